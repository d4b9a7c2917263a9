"""Serves and deletes the content of calls, for those who may read it.

Our files are readable by their owner only, but a console without a token by every user of this
machine.  So `proxy.access.rules` gives it to tokens of that role and to commands of the same user.
"""

import asyncio
from datetime import UTC, datetime
from typing import Protocol

import msgspec
from aiohttp import web

from exporters.clickhouse.erasing import CONTENT
from exporters.clickhouse.selection import Selection
from exporters.clickhouse.store import Row
from exporters.record import TransientError
from proxy.access.audit import Audit
from proxy.console.admission import CALLER
from proxy.console.asking import reply
from proxy.delivery.contents import ContentDelivery
from proxy.instants import instant
from proxy.retention.eraser import Eraser

PATH = "/api/calls/{call_id}/content"
DELETE_PATH = "/api/content/delete"
CATCH_UP_S = 10.0  # how long a deletion waits for content to be written to the store
NONE = "no content for this call: capture was off, the call was not captured, or it has expired"


class StoredContent(Protocol):
    """The query of `exporters.clickhouse.store.Store` that is needed here."""

    async def content(self, call_id: str) -> Row | None: ...


class DeletionOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Whose content to delete; `before` as in `proxy.instants.instant`."""

    call_id: str = ""
    user_id: str = ""
    before: str = ""

    @property
    def target(self) -> str:
        """What it deletes, for the audit log."""
        given = {"call": self.call_id, "user": self.user_id, "before": self.before}
        return ", ".join(f"{name} {value}" for name, value in given.items() if value)

    def selection(self, now: datetime) -> Selection:
        """The selection.  Raises ValueError for an invalid or empty one."""
        before = instant(self.before, now) if self.before else None
        return Selection(call_id=self.call_id, user_id=self.user_id, before=before)


class ContentApi:
    """Handlers; `delivery` holds content that may not have reached the table yet."""

    def __init__(
        self,
        store: StoredContent,
        eraser: Eraser,
        delivery: ContentDelivery | None,
        audit: Audit,
    ) -> None:
        self._store = store
        self._eraser = eraser
        self._delivery = delivery
        self._audit = audit

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self.content), web.post(DELETE_PATH, self.delete)]

    async def content(self, request: web.Request) -> web.StreamResponse:
        """The texts of one call, what was cut, and the redactions.  Reading them is an entry."""
        call_id = request.match_info["call_id"]
        row = await self._store.content(call_id)
        if row is not None:
            await self._audit(request[CALLER], "content-read", f"call {call_id}")
        return reply({"error": NONE}, 404) if row is None else reply(row)

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """See `DeletionOrder` for the body; responds with the numbers of calls."""
        order = msgspec.json.decode(await request.read(), type=DeletionOrder)
        whose = order.selection(datetime.now(UTC))
        if self._delivery is not None:
            try:
                async with asyncio.timeout(CATCH_UP_S):
                    await self._delivery.delivery.drained()
            except TimeoutError:
                text = "content is waiting to be written; delete again once the store has it"
                raise TransientError(text) from None
        erased = await self._eraser.erase(
            request[CALLER], "content-delete", order.target, CONTENT, whose
        )
        return reply(erased)
