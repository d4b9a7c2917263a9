"""Calls that a decision rests on, over HTTP: for commands, which do the statistics."""

from datetime import UTC, datetime

from aiohttp import web

from exporters.clickhouse.notes import notes
from exporters.clickhouse.observed import BY, observed
from exporters.clickhouse.reports import Asks
from proxy.console.asking import ASKED, reply
from proxy.query.answer import instant_text
from proxy.query.language import Defaults, report_query

SINCE = "30d"


class ObservedApi:
    """Its handler."""

    def __init__(self, store: Asks) -> None:
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/observed", self.observed)]

    async def observed(self, request: web.Request) -> web.StreamResponse:
        """See `exporters.clickhouse.observed`; with `since`, `until` and `notes`."""
        query = report_query(request[ASKED], datetime.now(UTC), Defaults(since=SINCE, by=BY))
        found = await observed(self._store, query)
        said = await notes(self._store, query)
        period = {"since": instant_text(query.since), "until": instant_text(query.end)}
        return reply({**period, "tz": query.zone, **found.document(), "notes": said})
