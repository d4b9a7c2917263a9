"""Calls as evidence for a decision, over HTTP: for commands, which do the statistics."""

from datetime import UTC, datetime

from aiohttp import web

from exporters.clickhouse.evidence import BY, evidence
from exporters.clickhouse.notes import notes
from exporters.clickhouse.reports import Asks
from proxy.console.asking import ASKED, reply
from proxy.query.answer import instant_text
from proxy.query.language import Defaults, report_query

SINCE = "30d"


class EvidenceApi:
    """Its handler."""

    def __init__(self, store: Asks) -> None:
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/evidence", self.evidence)]

    async def evidence(self, request: web.Request) -> web.StreamResponse:
        """See `exporters.clickhouse.evidence`; with `since`, `until` and `notes`."""
        query = report_query(request[ASKED], datetime.now(UTC), Defaults(since=SINCE, by=BY))
        found = await evidence(self._store, query)
        said = await notes(self._store, query)
        period = {"since": instant_text(query.since), "until": instant_text(query.end)}
        return reply({**period, "tz": query.zone, **found.document(), "notes": said})
