"""`GET /api/metered`: what was metered of one provider, by hour, model and key, to compare a bill.

`taximeter reconcile` asks for it; the columns are those of `exporters.clickhouse.invoice_sql`.
`GET /api/amortised` spreads fixed costs over calls, in the words of a report.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from aiohttp import web

from exporters.clickhouse.invoice_sql import GROUPS_MAX, metered
from exporters.clickhouse.reports import Asks
from exporters.clickhouse.store import Row
from proxy.console.asking import ASKED, reply
from proxy.console.report_api import download
from proxy.invoices.fixed import amortised
from proxy.query.asked import Mistake
from proxy.query.csv_rows import csv_text, file_name
from proxy.query.language import Defaults, report_query, stretch
from proxy.settings.bills import FixedCostOptions

PATH = "/api/metered"
AMORTISED = "/api/amortised"


class InvoiceApi:
    """Handlers."""

    def __init__(self, store: Asks, costs: Mapping[str, FixedCostOptions]) -> None:
        self._store = store
        self._costs = costs

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self.metered), web.get(AMORTISED, self.amortised)]

    async def amortised(self, request: web.Request) -> web.StreamResponse:
        """See `proxy.invoices.fixed.amortised`."""
        query = report_query(request[ASKED], datetime.now(UTC), Defaults())
        found = await amortised(self._store, self._costs, query)
        if request[ASKED].one("format") == "csv":
            name = file_name("amortised", query.since, query.until)
            return download(csv_text(found["rows"], [*found["by"], "amortised_usd"]), name)
        return reply(found)

    async def metered(self, request: web.Request) -> web.StreamResponse:
        """The sums of `provider` since `since` until `until`."""
        asked = request[ASKED]
        period = stretch(asked, datetime.now(UTC), Defaults(since=""))
        if period.since is None or not (provider := asked.one("provider")):
            raise Mistake("no provider or no period", "give provider and since", "provider")
        until = period.until or datetime.now(UTC)
        return reply(await metered_of(self._store, provider, period.since, until))


async def metered_of(store: Asks, provider: str, since: datetime, until: datetime) -> list[Row]:
    """The rows.  Raises TransientError, and ValueError for too many of them."""
    sql, bound = metered(await store.rows_table(), provider, since, until)
    rows = await store.ask(sql, bound)
    if len(rows) > GROUPS_MAX:
        raise ValueError(f"more than {GROUPS_MAX:,} groups; ask for a shorter period")
    return rows
