"""`GET /api/export/conversations`: conversations with their decisions as lines of JSON, in order.

A stream of any length with a page in memory: docs/export.md has the form of a line.  Only those who
may read content get it, and each export is in the audit log.
"""

import asyncio
import logging
from datetime import UTC, datetime

from aiohttp import web

from exporters.clickhouse.conversations import conversations
from exporters.clickhouse.reports import Asks
from exporters.clickhouse.store import Row
from exporters.record import TransientError
from proxy.access.audit import Audit
from proxy.console.admission import CALLER
from proxy.console.asking import ASKED
from proxy.exports.asked import question, selection
from proxy.exports.line import Lines
from proxy.secrecy.redaction import Redactor
from proxy.settings.config import ContentOptions

Page = list[tuple[str, Row, Row | None]]
log = logging.getLogger(__name__)

PATH = "/api/export/conversations"
NAME = "conversations.jsonl"


class ExportApi:
    """Handlers; `options` have the patterns of redaction."""

    def __init__(self, store: Asks, options: ContentOptions, audit: Audit) -> None:
        self._store = store
        self._lines = Lines(Redactor(options.redact, options.patterns))
        self._audit = audit

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self.conversations)]

    async def conversations(self, request: web.Request) -> web.StreamResponse:
        """The lines.  A stream that ends early is broken off, so that nobody takes it for whole."""
        wanted, after = selection(request[ASKED], datetime.now(UTC))
        asked = question(wanted, request.query.items())
        await self._audit(request[CALLER], "export", "conversations", after=asked)
        pages = conversations(self._store, wanted, after)
        first: Page = await anext(pages, [])  # a store that is away is still an error of its own
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/x-ndjson",
                "Content-Disposition": f'attachment; filename="{NAME}"',
            }
        )
        await response.prepare(request)
        try:
            await response.write(await asyncio.to_thread(self._page, first))
            async for page in pages:
                await response.write(await asyncio.to_thread(self._page, page))
        except TransientError as error:
            log.warning("Export of conversations broke off: %s", error)
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the store is away") from error
        return response

    def _page(self, page: Page) -> bytes:
        return b"".join(self._lines.line(*one) + b"\n" for one in page)
