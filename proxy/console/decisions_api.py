"""What `taximeter compare` and `taximeter recommend` say, as pages and as JSON.

The statistics are the commands'.  Each runs as a process of its own, one at a time, and gets the
calls on its standard input, so it needs neither the store nor a token.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from html import escape
from pathlib import Path

import msgspec
from aiohttp import web

from exporters.clickhouse.evaluations import stored
from exporters.clickhouse.notes import notes
from exporters.clickhouse.observed import BY, observed
from exporters.clickhouse.query import Query
from exporters.clickhouse.reports import Asks
from exporters.clickhouse.store import Row
from exporters.record import TransientError
from proxy.console.asking import ASKED
from proxy.console.framed import parts, shown
from proxy.console.page import document
from proxy.query.answer import instant_text
from proxy.query.asked import Accepted, Asked, asked
from proxy.query.language import COMPARE, RECOMMEND, Defaults, report_query

SINCE = "30d"
TIMEOUT_S = 60.0
WAITING_MAX = 4  # questions, the one that is answered among them
TARIFFS = "TAXIMETER_METERING_TARIFFS"  # the setting metering.tariffs, for the command


@dataclass(frozen=True, slots=True)
class Decision:
    """A command in the console: the parameters that are its own, and the fields of its form."""

    command: str
    accepted: Accepted
    options: tuple[str, ...]
    fields: tuple[str, ...]

    @classmethod
    def of(cls, command: str, accepted: Accepted, options: tuple[str, ...]) -> "Decision":
        """The document is the file of its name."""
        return cls(command, accepted, options, ("since", "run", *options))


DECISIONS = (
    Decision.of("compare", COMPARE, ("slo", "weights", "anchors")),
    Decision.of("recommend", RECOMMEND, ("smallest",)),
)


class DecisionsApi:
    """Handlers over a store; `tariffs` are the user's own."""

    def __init__(self, store: Asks, tariffs: Path | None = None, base_path: str = "") -> None:
        self._store, self._waiting = store, 0
        self._documents = {
            one.command: document(f"{one.command}.html", base_path) for one in DECISIONS
        }
        self._environ = {**os.environ, **({TARIFFS: str(tariffs)} if tariffs else {})}
        self._one = asyncio.Semaphore(1)  # an answer keeps a processor busy

    def routes(self) -> list[web.RouteDef]:
        return [
            route
            for one in DECISIONS
            for route in (
                web.get(f"/api/{one.command}", partial(self._json, one)),
                web.get(f"/{one.command}", partial(self._page, one)),
            )
        ]

    async def _json(self, what: Decision, request: web.Request) -> web.StreamResponse:
        """As the command with `--json`."""
        answer = await self._decided(what, request[ASKED], "--json")
        return web.Response(body=answer, content_type="application/json")

    async def _page(self, what: Decision, request: web.Request) -> web.StreamResponse:
        """The same as a page, below a form that asks for it; what is wrong stands there too."""
        given = {name: request.query.get(name, "") for name in what.fields}
        try:
            pairs = [(name, text) for name, text in request.query.items() if text]
            html = (await self._decided(what, asked(pairs, what.accepted), "--html=-")).decode()
        except ValueError as error:
            said = f'<p role="alert">{escape(str(error))}</p>'
            return shown(self._documents[what.command], given, said, status=400)
        answer, style = parts(html)
        return shown(self._documents[what.command], given, answer, style=style)

    async def _decided(self, what: Decision, question: Asked, form: str) -> bytes:
        """Raises ValueError for what the command refuses, and TransientError if it fails."""
        query = report_query(question, datetime.now(UTC), Defaults(since=SINCE, by=BY))
        words = [word for name in what.options for word in _words(name, question)]
        if self._waiting >= WAITING_MAX:
            raise TransientError("other questions are being answered; ask again in a minute")
        self._waiting += 1
        try:
            async with self._one:
                document = msgspec.json.encode(await self._observed(query, question.one("run")))
                return await self._process(what.command, [*words, form], document)
        finally:
            self._waiting -= 1

    async def _observed(self, query: Query, run: str) -> Row:
        """What the command reads instead of a store."""
        found = await observed(self._store, query)
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

    async def _process(self, command: str, words: Sequence[str], calls: bytes) -> bytes:
        """What the command prints."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy", command, "--observed=-", *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environ,
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer, wrong = await process.communicate(calls)
        except TimeoutError:
            raise TransientError(f"the answer took longer than {TIMEOUT_S:g} s") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode == 2:
            said = wrong.decode(errors="replace").strip().rpartition("\n")[2]  # below the usage
            raise ValueError(said.removeprefix(f"{command}: "))
        if process.returncode:
            raise TransientError(f"it failed; `taximeter {command}` says why")
        return answer


def _words(name: str, question: Asked) -> list[str]:
    """`--slo=…`: so no value is taken for another option."""
    return [f"--{name}={value}" for value in question.given.get(name, ()) if value]
