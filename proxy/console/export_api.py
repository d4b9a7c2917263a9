"""`GET /api/export/conversations` has conversations with their decisions, as lines of JSON.

A stream of any length with a page in memory: docs/export.md has the form of a line.  Only those who
may read content get it.  `GET /api/export/focus` has the bill.  Each export is in the audit log.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from exporters.clickhouse.conversations import Exported, conversations
from exporters.clickhouse.reports import Asks
from exporters.record import TransientError
from proxy.access.audit import Audit
from proxy.console.admission import CALLER
from proxy.console.asking import ASKED
from proxy.exports.asked import question, selection
from proxy.exports.focus import COLUMNS, cells, rows
from proxy.exports.focus_days import Day, days, question_of, read_days
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
        """A line of JSON for each day, with its charge lines: see `proxy.exports.focus_days.Day`.

        As CSV, the rows of `proxy.exports.focus`.
        """
        asked = request[ASKED]
        wanted, as_csv = days(asked, datetime.now(UTC)), asked.choice("format", FORMATS) == "csv"
        after = question_of(wanted, request.query.items())
        await self._audit(request[CALLER], "export", "focus", after=after)
        read = read_days(self._store, wanted, asked.filters)
        first = await anext(read, None)  # a store that is away is still an error of its own
        type = "text/csv" if as_csv else "application/x-ndjson"
        response = _attachment(
            type, f"taximeter-focus-{after.since}.{'csv' if as_csv else 'jsonl'}"
        )
        await response.prepare(request)
        if as_csv:
            await response.write(csv_text([], list(COLUMNS)).encode())
        async with _whole(request):
            if first is not None:
                await response.write(_day(first, as_csv=as_csv))
            async for day in read:
                await response.write(_day(day, as_csv=as_csv))
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


def _day(day: Day, *, as_csv: bool) -> bytes:
    if not as_csv:
        return msgspec.json.encode(day) + b"\n"
    made = csv_text(map(cells, rows(day.lines, day.day)), list(COLUMNS))
    return made.partition("\n")[2].encode()


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
