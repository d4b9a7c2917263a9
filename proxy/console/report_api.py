"""Sums of calls over HTTP: `/api/report`, and `/api/spend` and `/api/timeline`, its rows alone."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import msgspec
from aiohttp import web

from exporters.clickhouse.notes import notes, success_notes
from exporters.clickhouse.query import Filter, Query
from exporters.clickhouse.reports import Asks, Report, columns, report
from exporters.clickhouse.store import Row
from proxy.console.asking import ASKED, reply
from proxy.query.answer import document, shown_columns
from proxy.query.asked import FORMATS
from proxy.query.csv_rows import CONTENT_TYPE, csv_text, file_name
from proxy.query.language import Defaults, report_query, stretch, timeline_query

NOTES = "Taximeter-Notes"  # header: notes as JSON in ASCII, where the body has no place for them
STEP_S = 60
LATE_S = 5.0  # of rows on their way to the store; it is usual for a second


class Period(Protocol):
    """A query over a period.  Raises TransientError if the store does not respond."""

    async def __call__(
        self, since: datetime | None, until: datetime | None, filters: Sequence[Filter] = ()
    ) -> Sequence[object]: ...


class ReportApi:
    """Handlers; `status` is that of this process by component, whose rows may be on their way."""

    def __init__(
        self,
        store: Asks,
        status: Callable[[], Mapping[str, Row]],
        *,
        unpriced: Period | None = None,
        counted: Period | None = None,
    ) -> None:
        self._store, self._status = store, status
        self._unpriced, self._counted = unpriced, counted

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/report", self.report),
            web.get("/api/spend", self.spend),
            web.get("/api/timeline", self.timeline),
            web.get("/api/unpriced", self.unpriced),
            web.get("/api/counted", self.counted),
        ]

    async def report(self, request: web.Request) -> web.StreamResponse:
        """Rows, their total, the period, and notes: see `proxy.query.answer.document`."""
        query = report_query(request[ASKED], datetime.now(UTC), Defaults())
        found, said = await self._answer(query)
        if request[ASKED].one("format") == "csv":
            return _csv(query, found, said)
        return reply(document(query, found, said))

    async def spend(self, request: web.Request) -> web.StreamResponse:
        """The rows of the same report."""
        query = report_query(request[ASKED], datetime.now(UTC), Defaults())
        return self._rows(request, query, *await self._answer(query))

    async def timeline(self, request: web.Request) -> web.StreamResponse:
        """The rows since `since` (1h) in steps of `step` seconds, by `by` (model)."""
        defaults = Defaults(since="1h", by=("model",))
        query = timeline_query(request[ASKED], datetime.now(UTC), defaults, STEP_S)
        return self._rows(request, query, *await self._answer(query))

    async def unpriced(self, request: web.Request) -> web.StreamResponse:
        """Models without a price since `since` (24h) until `until`, and what to do about them."""
        return await _over(self._unpriced, request, "unpriced")

    async def counted(self, request: web.Request) -> web.StreamResponse:
        """Reported tokens by counted ones, by provider, model and kind; periods as above."""
        return await _over(self._counted, request, "counted")

    async def _answer(self, query: Query) -> tuple[Report, list[str]]:
        status = self._status()  # first: what waits now may be in the store by then
        found = await report(self._store, query)
        said = [*await notes(self._store, query), *success_notes(query, found)]
        return found, [*said, *pending(status, late_s=LATE_S if found.total["calls"] else 0)]

    def _rows(
        self, request: web.Request, query: Query, found: Report, said: list[str]
    ) -> web.StreamResponse:
        if request[ASKED].one("format") == "csv":
            return _csv(query, found, said)
        return _noted(reply(found.rows), said)


def pending(status: Mapping[str, Row], late_s: float) -> list[str]:
    """What is to be said about rows that are not in the store yet, the oldest for `late_s`."""
    state = status.get("clickhouse", {})
    waiting, lag_s = state.get("waiting"), state.get("lag_s")
    if not isinstance(waiting, int) or not isinstance(lag_s, int | float):
        return []
    if not waiting or lag_s < late_s:
        return []
    return [f"{waiting:,} calls are recorded, but not in the store yet"]


def download(text: str, name: str) -> web.Response:
    """A CSV file."""
    response = web.Response(text=text, content_type=CONTENT_TYPE, charset="utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _csv(query: Query, found: Report, said: list[str]) -> web.Response:
    text = csv_text(found.rows, shown_columns(columns(query), found.rows))
    return _noted(download(text, file_name("report", query.since, query.until)), said)


def _noted(response: web.Response, said: list[str]) -> web.Response:
    if said:
        response.headers[NOTES] = json.dumps(said)
    return response


async def _over(query: Period | None, request: web.Request, what: str) -> web.StreamResponse:
    """What a query says about the period that a request names."""
    period = stretch(request[ASKED], datetime.now(UTC), Defaults())
    kind = request[ASKED].choice("format", FORMATS)
    found = () if query is None else await query(period.since, period.until, request[ASKED].filters)
    if kind == "csv":
        rows = msgspec.convert(msgspec.to_builtins(found), list[dict[str, object]])
        return download(csv_text(rows), file_name(what, period.since, period.until))
    return reply(found)
