"""`GET /api/export/conversations` has conversations with their decisions, as lines of JSON.

A stream of any length with a page in memory: docs/export.md has the form of a line.  Only those who
may read content get it, and each export is in the audit log.  `GET /api/export/focus` has the bill.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiohttp import web

from exporters.clickhouse.conversations import Exported, conversations
from exporters.clickhouse.reports import Asks
from exporters.record import TransientError
from proxy.access.audit import Audit
from proxy.console.admission import CALLER
from proxy.console.asking import ASKED, reply
from proxy.exports.asked import question, selection
from proxy.exports.focus import COLUMNS, cells, rows
from proxy.exports.focus_days import days, read_days
from proxy.exports.line import Lines
from proxy.query.asked import FILTERED_PERIOD, FORMATS
from proxy.query.csv_rows import csv_text
from proxy.secrecy.redaction import Redactor
from proxy.settings.config import ContentOptions

Page = list[Exported]
log = logging.getLogger(__name__)

PATH = "/api/export/conversations"
FOCUS_PATH = "/api/export/focus"
FOCUS = FILTERED_PERIOD
NAME = "conversations.jsonl"


class ExportApi:
    """Handlers; `options` have the patterns of redaction."""

    def __init__(self, store: Asks, options: ContentOptions, audit: Audit) -> None:
        self._store = store
        self._lines = Lines(Redactor(options.redact, options.patterns))
        self._audit = audit

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self.conversations), web.get(FOCUS_PATH, self.focus)]

    async def focus(self, request: web.Request) -> web.StreamResponse:
        """The days of a period with their charge lines: `proxy.exports.focus` has the columns.

        As CSV, the rows themselves.
        """
        asked = request[ASKED]
        wanted = days(asked, datetime.now(UTC))
        read = read_days(self._store, wanted, asked.filters)
        if asked.choice("format", FORMATS) != "csv":
            return reply([day async for day in read])
        response = _attachment("text/csv", f"taximeter-focus-{wanted[0]}.csv")
        await response.prepare(request)
        await response.write(csv_text([], list(COLUMNS)).encode())
        async with _whole(request):
            async for day in read:
                made = csv_text(map(cells, rows(day.lines, day.day)), list(COLUMNS))
                await response.write(made.partition("\n")[2].encode())
        return response

    async def conversations(self, request: web.Request) -> web.StreamResponse:
        """The lines.  A stream that ends early is broken off, so that nobody takes it for whole."""
        wanted, after = selection(request[ASKED], datetime.now(UTC))
        asked = question(wanted, request.query.items())
        await self._audit(request[CALLER], "export", "conversations", after=asked)
        pages = conversations(self._store, wanted, after)
        first: Page = await anext(pages, [])  # a store that is away is still an error of its own
        response = _attachment("application/x-ndjson", NAME)
        await response.prepare(request)
        async with _whole(request):
            await response.write(await asyncio.to_thread(self._page, first))
            async for page in pages:
                await response.write(await asyncio.to_thread(self._page, page))
        return response

    def _page(self, page: Page) -> bytes:
        return b"".join(self._lines.line(*one) + b"\n" for one in page)


def _attachment(type: str, name: str) -> web.StreamResponse:
    """A file to save."""
    headers = {"Content-Type": type, "Content-Disposition": f'attachment; filename="{name}"'}
    return web.StreamResponse(headers=headers)


@asynccontextmanager
async def _whole(request: web.Request) -> AsyncIterator[None]:
    """Break the connection off if the store goes away: nobody takes a part for the whole."""
    try:
        yield
    except (TransientError, ValueError) as error:
        log.warning("An export broke off: %s", error)
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the export broke off") from error
