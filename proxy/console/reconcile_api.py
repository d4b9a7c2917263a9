"""`POST /api/reconcile` compares a bill that a browser sends with the calls: for the page `/bill`.

Nothing of the bill is kept.  The answer is that of `taximeter reconcile --json`.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

import msgspec
from aiohttp import web

from exporters.clickhouse.reports import Asks
from proxy.console.asking import reply
from proxy.console.invoice_api import metered_of
from proxy.invoices.answer import document
from proxy.invoices.compare import Told, compare
from proxy.invoices.metered import metered_rows
from proxy.invoices.providers import biller
from proxy.invoices.statement import Statement, StatementError
from proxy.settings.bills import InvoiceOptions

PATH = "/api/reconcile"
BODY_BYTES_MAX = 64 * 1024 * 1024
DAY = timedelta(days=1)


class Bill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body: the texts of files as they were downloaded, and the days to compare."""

    provider: str
    first_day: date
    last_day: date
    files: list[str]


class ReconcileApi:
    """Handlers; `options` are what the user says about names, by provider."""

    def __init__(self, store: Asks, options: Mapping[str, InvoiceOptions]) -> None:
        self._store = store
        self._options = options

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, self.reconcile)]

    async def reconcile(self, request: web.Request) -> web.StreamResponse:
        """See `Bill` for the body."""
        bill = msgspec.json.decode(await _body(request), type=Bill)
        if bill.last_day < bill.first_day:
            raise StatementError("the last day is before the first")
        since = datetime.combine(bill.first_day, time(), UTC) - DAY
        until = datetime.combine(bill.last_day, time(), UTC) + 2 * DAY
        read = biller(bill.provider).read
        statement = await asyncio.to_thread(
            lambda: sum((read(text) for text in bill.files), Statement())
        )
        if not statement.within(bill.first_day, bill.last_day).billed:
            raise StatementError("the bill has no amounts of these days, or usage without costs")
        rows = await metered_of(self._store, bill.provider, since, until)
        given = self._options.get(bill.provider) or InvoiceOptions(name=bill.provider)
        days, told = (bill.first_day, bill.last_day), Told(given.models, given.keys)
        found = await asyncio.to_thread(compare, metered_rows(rows), statement, *days, told)
        return reply(document(bill.provider, *days, found))


async def _body(request: web.Request) -> bytes:
    """All of it, up to the limit.  Raises StatementError for more."""
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            limit = BODY_BYTES_MAX // 2**20
            raise StatementError(f"more than {limit} MB; use taximeter reconcile --file instead")
    return bytes(body)
