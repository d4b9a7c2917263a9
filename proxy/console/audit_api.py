"""`GET /api/audit` is the audit log; `POST /api/audit` takes the entry of a command."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

import msgspec
from aiohttp import web

from exporters.audit import COLUMNS
from exporters.clickhouse.store import Row
from proxy.access.audit import Audit
from proxy.console.admission import CALLER
from proxy.console.asking import ASKED, reply
from proxy.console.report_api import download
from proxy.delivery.audit import AuditDelivery
from proxy.query.csv_rows import csv_text, file_name
from proxy.query.language import audit_question

PATH = "/api/audit"
CATCH_UP_S = 5.0  # how long an answer waits for entries that are on their way to the store


class Answers(Protocol):
    """The query of `exporters.clickhouse.store.Store` that is needed here."""

    async def ask(self, sql: str, parameters: Mapping[str, object]) -> list[Row]: ...


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
        """The newest entries.  `before` and `after` of an entry are documents."""
        question = audit_question(request[ASKED], datetime.now(UTC))
        sql, bound = question.sql()
        await self._catch_up()
        rows = [readable(row) for row in await self._store.ask(sql, bound)]
        if request[ASKED].one("format") == "csv":
            name = file_name("audit", question.since, question.until)
            return download(csv_text(rows, COLUMNS), name)
        return reply(rows)

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


def readable(row: Row) -> Row:
    """`row` with its documents decoded; None is nothing."""
    documents = {
        name: msgspec.json.decode(text) if (text := str(row[name])) else None
        for name in ("before", "after")
    }
    return row | documents
