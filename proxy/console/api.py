"""The console's API: calls, receipts, spend, health and alerts as JSON, metrics for Prometheus.

Queries are our own and their values are checked; no SQL comes from a caller.  Who may use which
route is in `proxy.access.rules`; `proxy.console.admission` sees to it.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from exporters import prometheus
from exporters.clickhouse.reconcile import SumDifference
from exporters.clickhouse.store import Row
from exporters.record import TransientError
from exporters.series import Family
from pricing.cause import explained
from proxy.access.audit import Audit, NotAudited
from proxy.console import page
from proxy.console.admission import CALLER, admission
from proxy.health.verdict import Looking
from proxy.instants import instant
from proxy.settings.config import Listen

LIMIT_DEFAULT, LIMIT_MAX = 100, 10_000
QUIET_S = 600  # days with rows newer than this are not compared, as they may still be written
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Calls(Protocol):
    """The queries of `exporters.clickhouse.store.Store` that the console needs."""

    async def calls(
        self,
        limit: int = 100,
        *,
        since: datetime | None = None,
        before: datetime | None = None,
        before_id: str = "",
        filters: Mapping[str, str] | None = None,
    ) -> list[Row]: ...

    async def call(self, call_id: str) -> Row | None: ...

    async def report(
        self, since: datetime | None, until: datetime | None, by: tuple[str, ...]
    ) -> list[Row]: ...

    async def timeline(
        self,
        since: datetime,
        step: timedelta,
        until: datetime | None = None,
        by: tuple[str, ...] = ("model",),
    ) -> list[Row]: ...

    async def health(self) -> Row: ...


def reply(document: object, status: int = 200) -> web.Response:
    """A response with `document` as JSON."""
    return web.Response(
        body=msgspec.json.encode(document), status=status, content_type="application/json"
    )


class Check(Protocol):
    """Compares rollups with rows; see `exporters.clickhouse.reconcile`.

    Raises TransientError if the store does not respond, or rows are waiting to be written.
    """

    async def __call__(self, *, repair: bool, quiet_s: float) -> list[SumDifference]: ...


class Period(Protocol):
    """A query over a period.  Raises TransientError if the store does not respond."""

    async def __call__(self, since: datetime, until: datetime | None) -> Sequence[object]: ...


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
        unpriced: Period | None = None,
        counted: Period | None = None,
        audit: Audit | None = None,
    ) -> None:
        self._unpriced, self._counted = unpriced, counted
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
            web.get("/api/spend", self.spend),
            web.get("/api/timeline", self.timeline),
            web.get("/api/unpriced", self.unpriced),
            web.get("/api/counted", self.counted),
            web.get("/api/health", self.health),
            web.get("/api/alerts", self.alerts),
            web.get("/api/store/check", self.check),
            web.post("/api/store/check", self.check),
            web.get("/metrics", self.metrics),
        ]

    async def calls(self, request: web.Request) -> web.StreamResponse:
        """The newest calls: `limit`, `since`, `before`, `before_id`; other names are filters."""
        now, query = datetime.now(UTC), dict(request.query)
        limit = query.pop("limit", str(LIMIT_DEFAULT))
        if not limit.isdecimal() or not 1 <= int(limit) <= LIMIT_MAX:
            raise ValueError(f"limit must be a number from 1 to {LIMIT_MAX}")
        since, before = query.pop("since", ""), query.pop("before", "")
        rows = await self._store.calls(
            int(limit),
            since=instant(since, now) if since else None,
            before=instant(before, now) if before else None,
            before_id=query.pop("before_id", ""),
            filters=query,
        )
        return reply(rows)

    async def call(self, request: web.Request) -> web.StreamResponse:
        """One call with its charge lines; `explained` says what its reasons mean."""
        row = await self._store.call(request.match_info["call_id"])
        if row is None:
            text = "no call with this id; a new call appears after about a second"
            return reply({"error": text}, 404)
        reasons = row["reasons"]
        stored = map(str, reasons) if isinstance(reasons, list) else ()
        return reply(row | {"explained": explained(stored)})

    async def spend(self, request: web.Request) -> web.StreamResponse:
        """Calls, tokens and cost since `since` (24h) until `until`, by `by` (provider,model)."""
        now = datetime.now(UTC)
        until = request.query.get("until", "")
        rows = await self._store.report(
            instant(request.query.get("since", "24h"), now),
            instant(until, now) if until else None,
            tuple(filter(None, request.query.get("by", "provider,model").split(","))),
        )
        return reply(rows)

    async def timeline(self, request: web.Request) -> web.StreamResponse:
        """The same since `since` (1h) in steps of `step` seconds, by `by` (model)."""
        now = datetime.now(UTC)
        step = request.query.get("step", "60")
        if not step.isdecimal() or not int(step):
            raise ValueError("step must be a number of seconds, at least 1")
        rows = await self._store.timeline(
            instant(request.query.get("since", "1h"), now),
            timedelta(seconds=int(step)),
            None,
            tuple(filter(None, request.query.get("by", "model").split(","))),
        )
        return reply(rows)

    async def unpriced(self, request: web.Request) -> web.StreamResponse:
        """Models without a price since `since` (24h) until `until`, and what to do about them."""
        return reply(await _over(self._unpriced, request))

    async def counted(self, request: web.Request) -> web.StreamResponse:
        """Reported tokens by counted ones, by provider, model and kind; periods as above."""
        return reply(await _over(self._counted, request))

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
        quiet = request.query.get("quiet_s", str(QUIET_S))
        if not quiet.isdecimal():
            raise ValueError("quiet_s must be a number of seconds")
        repair = request.method == "POST"
        if repair and self._audit:
            await self._audit(request[CALLER], "store-repair", "rollups", after={"quiet_s": quiet})
        found = await self._check(repair=repair, quiet_s=int(quiet))
        return reply(found)


async def _over(query: Period | None, request: web.Request) -> Sequence[object]:
    """What a query says about the period that a request names."""
    if query is None:
        return ()
    now, until = datetime.now(UTC), request.query.get("until", "")
    since = instant(request.query.get("since", "24h"), now)
    return await query(since, instant(until, now) if until else None)


@web.middleware
async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns exceptions into JSON errors and adds security headers."""
    response: web.StreamResponse
    try:
        response = await handler(request)
    except (ValueError, OverflowError) as error:
        response = reply({"error": str(error)}, 400)
    except TransientError as error:
        response = reply({"error": f"cannot read the store: {error}"}, 503)
    except NotAudited as error:
        response = reply({"error": str(error)}, 503)
    except web.HTTPException as error:
        response = reply({"error": error.reason}, error.status)
    response.headers.update(SECURITY_HEADERS)
    return response


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
    more: Iterable[web.RouteDef] = (),
) -> web.Application:
    """The console as an aiohttp application; `listen` has its token and host.

    `admits` decides who may use what, by `listen` alone if it is None; `more` are further routes.
    """
    app = web.Application(middlewares=[guarded, admits or admission(listen)])
    api = Api(
        store,
        status,
        metrics=metrics,
        check=check,
        alerts=alerts,
        unpriced=unpriced,
        counted=counted,
        audit=audit,
    )
    app.add_routes([*page.routes(), *api.routes(), *more])
    return app
