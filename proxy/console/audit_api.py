"""`GET /api/audit` is the audit log; `POST /api/audit` takes the entry of a command."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Protocol

import msgspec
from aiohttp import web

from exporters.clickhouse.audit import EXACT, LIMIT_MAX, AuditQuestion
from exporters.clickhouse.store import Row, Scalar
from proxy.access.audit import Audit
from proxy.console.admission import CALLER
from proxy.console.api import reply
from proxy.delivery.audit import AuditDelivery
from proxy.instants import instant

PATH = "/api/audit"
LIMIT_DEFAULT = 100
CATCH_UP_S = 5.0  # how long an answer waits for entries that are on their way to the store
PARAMETERS = ("since", "until", "before", "before_id", "limit", *EXACT)


class Answers(Protocol):
    """The query of `exporters.clickhouse.store.Store` that is needed here."""

    async def ask(self, sql: str, parameters: Mapping[str, Scalar]) -> list[Row]: ...


class ChangeMade(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /api/audit`."""

    action: str
    target: str
    before: object = None
    after: object = None


class AuditApi:
    """Handlers; `delivery` holds entries that may not have reached the table yet."""

    def __init__(self, store: Answers, audit: Audit, delivery: AuditDelivery) -> None:
        self._store = store
        self._audit = audit
        self._delivery = delivery

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self.entries), web.post(PATH, self.add)]

    async def entries(self, request: web.Request) -> web.StreamResponse:
        """The newest entries; see PARAMETERS.  `before` and `after` of an entry are documents."""
        sql, bound = question(request.query, datetime.now(UTC)).sql()
        await self._catch_up()
        return reply([readable(row) for row in await self._store.ask(sql, bound)])

    async def _catch_up(self) -> None:
        """Wait for entries that are being delivered; while the store is away it says so itself."""
        try:
            async with asyncio.timeout(CATCH_UP_S):
                await self._delivery.delivery.drained()
        except TimeoutError:
            pass

    async def add(self, request: web.Request) -> web.StreamResponse:
        """See `ChangeMade` for the body; the actor is the command."""
        change = msgspec.json.decode(await request.read(), type=ChangeMade)
        made = await self._audit(
            request[CALLER], change.action, change.target, change.before, change.after
        )
        return reply({"id": made}, 201)


def question(query: Mapping[str, str], now: datetime) -> AuditQuestion:
    """The question that a query asks.  Raises ValueError for unknown names and invalid values."""
    for name in query:
        if name not in PARAMETERS:
            near = get_close_matches(name, PARAMETERS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected: {', '.join(PARAMETERS)}"
            raise ValueError(f"unknown parameter {name!r}; {hint}")
    limit = query.get("limit", str(LIMIT_DEFAULT))
    if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit) <= LIMIT_MAX):
        raise ValueError(f"limit must be a number from 1 to {LIMIT_MAX}")
    return AuditQuestion(
        since=_instant(query, "since", now),
        until=_instant(query, "until", now),
        before=_instant(query, "before", now),
        before_id=query.get("before_id", ""),
        limit=int(limit),
        equal={name: query[name] for name in EXACT if name in query},
    )


def _instant(query: Mapping[str, str], name: str, now: datetime) -> datetime | None:
    text = query.get(name, "")
    return instant(text, now) if text else None


def readable(row: Row) -> Row:
    """`row` with its documents decoded; None is nothing."""
    documents = {
        name: msgspec.json.decode(text) if (text := str(row[name])) else None
        for name in ("before", "after")
    }
    return row | documents
