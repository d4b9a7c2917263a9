"""The console's API: calls, receipts, health and alerts as JSON, metrics for Prometheus.

Queries are our own and their values are checked; no SQL comes from a caller.  Who may use which
route is in `proxy.access.rules`, what it may be asked in `proxy.console.asking`; sums of calls are
in `proxy.console.report_api`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from exporters import prometheus
from exporters.clickhouse.calls_sql import CallsQuestion
from exporters.clickhouse.clickhouse import REFUSAL_COLUMNS
from exporters.clickhouse.reconcile import SumDifference
from exporters.clickhouse.reports import Asks
from exporters.clickhouse.store import Row
from exporters.record import COLUMNS
from exporters.series import Family
from pricing.cause import explained
from proxy.access.audit import Audit
from proxy.console import page
from proxy.console.admission import CALLER, admission
from proxy.console.asking import ASKED, answering, guarded, reply, understood
from proxy.console.dashboards_api import DashboardsApi
from proxy.console.decisions_api import DecisionsApi
from proxy.console.observed_api import ObservedApi
from proxy.console.report_api import Period, ReportApi, download
from proxy.console.sparing import spared
from proxy.dashboards.answers import Reads
from proxy.health.verdict import Looking
from proxy.query.asked import Asked, Mistake, near
from proxy.query.csv_rows import csv_text, file_name
from proxy.query.language import calls_question
from proxy.settings.config import Listen

QUIET_S = 600  # days with rows newer than this are not compared, as they may still be written
QUIET_S_MAX = 10 * 366 * 86_400


class Calls(Asks, Reads, Protocol):
    """The queries of `exporters.clickhouse.store.Store` that the console needs."""

    async def calls(self, question: CallsQuestion) -> list[Row]: ...

    async def refusals(self, question: CallsQuestion) -> list[Row]: ...

    async def call(self, call_id: str) -> Row | None: ...

    async def health(self) -> Row: ...


class Check(Protocol):
    """Compares rollups with rows; see `exporters.clickhouse.reconcile`.

    Raises TransientError if the store does not respond, or rows are waiting to be written.
    """

    async def __call__(self, *, repair: bool, quiet_s: float) -> list[SumDifference]: ...


class Api:
    """Handlers over a store; `status` gives the status of this process by component."""

    def __init__(
        self,
        store: Calls,
        status: Callable[[], Mapping[str, Row]],
        *,
        metrics: Callable[[], list[Family]] | None = None,
        check: Check | None = None,
        alerts: Callable[[], Mapping[str, object]] | None = None,
        audit: Audit | None = None,
    ) -> None:
        self._alerts = alerts or (lambda: {"firing": [], "ended": [], "webhook": None})
        self._store = store
        self._health = Looking(self._ask_store, status, self._severities)
        self._metrics = metrics or list
        self._check = check
        self._audit = audit

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/calls", self.calls),
            web.get("/api/calls/{call_id}", self.call),
            web.get("/api/refusals", self.refusals),
            web.get("/api/health", self.health),
            web.get("/api/alerts", self.alerts),
            web.get("/api/store/check", self.check),
            web.post("/api/store/check", self.check),
            web.get("/metrics", self.metrics),
        ]

    async def calls(self, request: web.Request) -> web.StreamResponse:
        """The newest calls, with all columns; see `proxy.query.language.CALLS`."""
        return await self._newest(request, self._store.calls, "calls", COLUMNS)

    async def refusals(self, request: web.Request) -> web.StreamResponse:
        """The newest calls that a budget refused, asked for in the same way."""
        return await self._newest(request, self._store.refusals, "refusals", REFUSAL_COLUMNS)

    async def _newest(
        self,
        request: web.Request,
        find: Callable[[CallsQuestion], Awaitable[list[Row]]],
        name: str,
        columns: tuple[str, ...],
    ) -> web.StreamResponse:
        asked = request[ASKED]
        question, shown = calls_question(asked, datetime.now(UTC)), _columns(asked, columns)
        rows = await find(question)
        if shown:
            rows = [{name: row.get(name) for name in shown} for row in rows]
        if asked.one("format") != "csv":
            return reply(rows)
        text = csv_text(rows, shown or (*columns, "ingested_at"))
        return download(text, file_name(name, question.since, question.until))

    async def call(self, request: web.Request) -> web.StreamResponse:
        """One call with its charge lines; `explained` says what its reasons mean."""
        row = await self._store.call(request.match_info["call_id"])
        if row is None:
            text = "no call with this id; a new call appears after about a second"
            return reply({"error": text}, 404)
        reasons = row["reasons"]
        stored = map(str, reasons) if isinstance(reasons, list) else ()
        return reply(row | {"explained": explained(stored)})

    async def health(self, _: web.Request) -> web.StreamResponse:
        """Green, amber or red, and why, part by part; 503 if it is red."""
        found = await self._health.look()
        return reply(found, 200 if found["ok"] else 503)

    async def _ask_store(self) -> Row:
        return await self._store.health()

    def _severities(self) -> Iterator[str]:
        """Of the firing alerts."""
        firing = self._alerts()["firing"]
        for alert in firing if isinstance(firing, list) else ():
            yield str(alert.severity)

    async def alerts(self, _: web.Request) -> web.StreamResponse:
        """Firing alerts, the last that ended (newest first), and the webhook's status."""
        return reply(self._alerts())

    async def metrics(self, _: web.Request) -> web.StreamResponse:
        """All metrics in the Prometheus text format."""
        body = await asyncio.to_thread(prometheus.render, self._metrics())
        return web.Response(body=body, headers={"Content-Type": prometheus.CONTENT_TYPE})

    async def check(self, request: web.Request) -> web.StreamResponse:
        """Days on which rollups and rows differ; POST rebuilds the rollups."""
        if self._check is None:
            return reply({"error": "this console has no store to check"}, 404)
        quiet = request[ASKED].number("quiet_s", QUIET_S, 0, QUIET_S_MAX)
        repair = request.method == "POST"
        if repair and self._audit:
            await self._audit(
                request[CALLER], "store-repair", "rollups", after={"quiet_s": str(quiet)}
            )
        found = await self._check(repair=repair, quiet_s=quiet)
        return reply(found)


def _columns(asked: Asked, known: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are asked for; none means all.  Raises Mistake."""
    names = asked.listed("columns") or ()
    for name in names:
        if name not in (*known, "ingested_at", "success", "judged"):
            raise Mistake(f"unknown column {name[:100]!r}", near(name, known), "columns")
    return tuple(dict.fromkeys(names))


def application(
    store: Calls,
    status: Callable[[], Mapping[str, Row]],
    listen: Listen,
    *,
    metrics: Callable[[], list[Family]] | None = None,
    alerts: Callable[[], Mapping[str, object]] | None = None,
    check: Check | None = None,
    admits: Middleware | None = None,
    unpriced: Period | None = None,
    counted: Period | None = None,
    audit: Audit | None = None,
    tariffs: Path | None = None,
    base_path: str = "",
    more: Iterable[web.RouteDef] = (),
) -> web.Application:
    """The console as an aiohttp application; `listen` has its token and host.

    `admits` decides who may use what, by `listen` alone if it is None; `tariffs` are the user's
    own; the links of pages begin with `base_path`; `more` are further routes.
    """
    app = web.Application(
        middlewares=[
            guarded,
            spared,
            admits or admission(listen, base_path=base_path),
            understood,
        ]
    )
    api = Api(
        store,
        status,
        metrics=metrics,
        check=check,
        alerts=alerts,
        audit=audit,
    )
    reports = ReportApi(store, status, unpriced=unpriced, counted=counted)
    shown = [*page.routes(base_path), *DashboardsApi(store).routes()]
    decisions = [*ObservedApi(store).routes(), *DecisionsApi(store, tariffs, base_path).routes()]
    app.add_routes(answering([*shown, *api.routes(), *reports.routes(), *decisions, *more]))
    return app
