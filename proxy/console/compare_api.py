"""Candidates side by side: what `taximeter compare` says, as a page and as JSON.

The statistics are the command's.  It runs as a process of its own, one at a time, and gets the
evidence on its standard input, so it needs neither the store nor a token.
"""

import asyncio
import re
import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from string import Template

import msgspec
from aiohttp import web

from exporters.clickhouse.evaluations import stored
from exporters.clickhouse.evidence import BY, evidence
from exporters.clickhouse.notes import notes
from exporters.clickhouse.query import Query
from exporters.clickhouse.reports import Asks
from exporters.clickhouse.store import Row
from exporters.record import TransientError
from proxy.console.asking import ASKED, SECURITY_HEADERS
from proxy.console.page import FOLDER
from proxy.query.answer import instant_text
from proxy.query.asked import Asked, asked
from proxy.query.language import COMPARE, Defaults, report_query

PAGE, API = "/compare", "/api/compare"
SINCE = "30d"
TIMEOUT_S = 60.0
WAITING_MAX = 4  # questions, the one that is answered among them
OPTIONS = ("slo", "weights", "anchors")
POLICY = "Content-Security-Policy"
PARTS = re.compile(r"<style>(?P<style>.*)</style>.*<body>(?P<body>.*)</body>", re.DOTALL)
FIELDS = ("since", "slo", "weights", "anchors", "run")
DOCUMENT = Template(FOLDER.joinpath("compare.html").read_text(encoding="utf-8"))


class CompareApi:
    """Handlers over a store."""

    def __init__(self, store: Asks) -> None:
        self._store, self._waiting = store, 0
        self._one = asyncio.Semaphore(1)  # a comparison keeps a processor busy

    def routes(self) -> list[web.RouteDef]:
        return [web.get(API, self.document), web.get(PAGE, self.page)]

    async def document(self, request: web.Request) -> web.StreamResponse:
        """As `taximeter compare --json`."""
        answer = await self._compared(request[ASKED], "--json")
        return web.Response(body=answer, content_type="application/json")

    async def page(self, request: web.Request) -> web.StreamResponse:
        """The same as a page, below a form that asks for it; what is wrong stands there too."""
        given = {name: request.query.get(name, "") for name in FIELDS}
        try:
            pairs = [(name, text) for name, text in request.query.items() if text]
            html = (await self._compared(asked(pairs, COMPARE), "--html=-")).decode()
        except ValueError as error:
            return _shown(given, f"<p>{escape(str(error))}</p>", status=400)
        found = PARTS.search(html)
        assert found is not None  # every report of ours has both
        return _shown(given, found["body"], found["style"])

    async def _compared(self, question: Asked, *form: str) -> bytes:
        """Raises ValueError for what the command refuses, and TransientError if it fails."""
        query = report_query(question, datetime.now(UTC), Defaults(since=SINCE, by=BY))
        words = [word for name in OPTIONS for word in _words(name, question.given.get(name, ()))]
        if self._waiting >= WAITING_MAX:
            raise TransientError("other comparisons are under way; ask again in a minute")
        self._waiting += 1
        try:
            async with self._one:
                document = await self._evidence(query, question.one("run"))
                return await _process([*words, *form], msgspec.json.encode(document))
        finally:
            self._waiting -= 1

    async def _evidence(self, query: Query, run: str) -> Row:
        """What the command reads instead of a store."""
        found = await evidence(self._store, query)
        document: Row = {
            "since": instant_text(query.since),
            "until": instant_text(query.end),
            "tz": query.zone,
            **found.document(),
            "notes": await notes(self._store, query),
        }
        if run:
            document["run"] = await stored(self._store, run)
            if document["run"] is None:
                raise ValueError(f"no run {run}; taximeter eval report shows the newest")
        return document


def _words(name: str, values: Sequence[str]) -> list[str]:
    """`--slo=…`: so no value is taken for another option."""
    return [f"--{name}={value}" for value in values if value]


async def _process(words: Sequence[str], evidence: bytes) -> bytes:
    """What the command prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy", "compare", "--evidence=-", *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answer, wrong = await process.communicate(evidence)
    except TimeoutError:
        raise TransientError(f"the comparison took longer than {TIMEOUT_S:g} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode == 2:
        raise ValueError(wrong.decode(errors="replace").strip().removeprefix("compare: "))
    if process.returncode:
        raise TransientError("the comparison failed; `taximeter compare` says why")
    return answer


def _shown(
    given: Mapping[str, str], answer: str, style: str = "", status: int = 200
) -> web.Response:
    """The form with an answer below it, and leave for the style of the answer alone."""
    values = {name: escape(text, quote=True) for name, text in given.items()}
    text = DOCUMENT.substitute(values, answer=answer, style=style)
    response = web.Response(text=text, content_type="text/html", status=status)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    response.headers[POLICY] = f"{SECURITY_HEADERS[POLICY]}; style-src 'self' 'sha256-{digest}'"
    return response
