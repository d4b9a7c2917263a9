"""What was said in a call, for those who may know, and its deletion.

Files are open to their owner alone, while a console without a token answers every user of this
machine.  So content is served only where `console.token` is set, or to a command of the same user.
"""

import asyncio
from datetime import UTC, datetime
from typing import Protocol

import msgspec
from aiohttp import web

from exporters.clickhouse.contents import Contents, ContentSelection
from exporters.record import TransientError
from proxy.console.api import Row, reply
from proxy.console.command import Command
from proxy.delivery.contents import ContentDelivery
from proxy.instants import instant
from proxy.settings.config import Config

PATH = "/api/calls/{call_id}/content"
DELETE_PATH = "/api/content/delete"
CATCH_UP_S = 10.0  # for what waits to be written, before something is deleted
HOW = "set console.token to read content here, or ask with: taximeter content CALL_ID"
NONE = "no content is kept of this call: capture is off, the call was left out, or it is too old"


class ReadsContent(Protocol):
    """What is asked of `exporters.clickhouse.store.Store`."""

    async def content(self, call_id: str) -> Row | None: ...


class DeletionOrder(msgspec.Struct, kw_only=True):
    """Whose content goes; `before` as in `proxy.instants.instant`."""

    call_id: str = ""
    user_id: str = ""
    before: str = ""

    def selection(self, now: datetime) -> ContentSelection:
        """Raises ValueError for an order that means nothing."""
        before = instant(self.before, now) if self.before else None
        return ContentSelection(call_id=self.call_id, user_id=self.user_id, before=before)


class ContentApi:
    """Routes; `delivery` has what may still be on its way to the table."""

    def __init__(
        self,
        config: Config,
        store: ReadsContent,
        contents: Contents,
        delivery: ContentDelivery | None,
        command: Command,
    ) -> None:
        self._open = bool(config.console.token)  # who comes this far has shown it
        self._store = store
        self._contents = contents
        self._delivery = delivery
        self._command = command

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self.content), web.post(DELETE_PATH, self.delete)]

    async def content(self, request: web.Request) -> web.StreamResponse:
        """The texts of one call, and what was cut and hidden."""
        if not (self._open or self._command.sent(request)):
            return reply({"error": HOW}, 403)
        row = await self._store.content(request.match_info["call_id"])
        return reply({"error": NONE}, 404) if row is None else reply(row)

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """See `DeletionOrder` for the body; the answer says of how many calls."""
        if not self._command.sent(request):
            return reply({"error": "ask with: taximeter content --delete"}, 403)
        order = msgspec.json.decode(await request.read(), type=DeletionOrder)
        whose = order.selection(datetime.now(UTC))
        if self._delivery is not None:
            try:
                async with asyncio.timeout(CATCH_UP_S):
                    await self._delivery.delivery.drained()
            except TimeoutError:
                text = "content waits to be written; delete again when the store has it"
                raise TransientError(text) from None
        return reply({"deleted": await self._contents.delete(whose)})
