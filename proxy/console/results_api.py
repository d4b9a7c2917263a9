"""What `taximeter simulate` and `taximeter loadtest` found, as pages and JSON; nothing is run."""

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from html import escape
from pathlib import Path

import msgspec
from aiohttp import web

from proxy import results
from proxy.console.asking import reply
from proxy.console.framed import parts, shown
from proxy.console.page import document
from proxy.results import COMMANDS, Summary

RESULT = "result"  # the parameter of a page: which one
GONE = f"there is no such result; the newest {results.KEPT_MAX} are kept"


class ResultsApi:
    """Handlers over the results in a data directory."""

    def __init__(self, data: Path, base_path: str = "") -> None:
        self._data, self._base = data, base_path
        self._documents = {one: document(f"{one}.html", base_path) for one in COMMANDS}

    def routes(self) -> list[web.RouteDef]:
        return [
            route
            for one in COMMANDS
            for route in (
                web.get(f"/api/{one}", partial(self.list, one)),
                web.get(f"/api/{one}/{{name}}", partial(self.one, one)),
                web.get(f"/{one}", partial(self.page, one)),
            )
        ]

    async def list(self, command: str, _: web.Request) -> web.StreamResponse:
        """The kept results, the newest first."""
        found = await asyncio.to_thread(results.listed, self._data, command)
        return reply([{"name": name, **msgspec.to_builtins(each)} for name, each in found])

    async def one(self, command: str, request: web.Request) -> web.StreamResponse:
        """What the command printed with `--json`."""
        name = request.match_info["name"]
        found = await asyncio.to_thread(results.kept, self._data, command, name)
        return reply({"error": GONE}, 404) if found is None else reply(found.document)

    async def page(self, command: str, request: web.Request) -> web.StreamResponse:
        """The list, or the report of one of them."""
        template, name = self._documents[command], request.query.get(RESULT, "")
        if name:
            found = await asyncio.to_thread(results.kept, self._data, command, name)
            if found is None:
                said = f'<p role="alert">{escape(GONE)}</p>'
                return shown(template, {"open": "open"}, said, status=404)
            answer, style = parts(found.html)
            above = "".join(self._above(command, name, found))
            return shown(template, {"open": ""}, above + answer, style=style)
        listed = await asyncio.to_thread(results.listed, self._data, command)
        if not listed:
            return shown(template, {"open": "open"}, '<p class="facts">No results yet.</p>')
        return shown(template, {"open": ""}, "".join(self._table(command, listed)))

    def _above(self, command: str, name: str, found: Summary) -> Iterator[str]:
        yield f'<p class="facts">{found.at:%Y-%m-%d %H:%MZ} · {escape(found.said)} · '
        yield f'<a href="{self._base}/{command}">All results</a> · '
        yield f'<a href="{self._base}/api/{command}/{name}">JSON</a></p>'

    def _table(self, command: str, listed: Sequence[tuple[str, Summary]]) -> Iterator[str]:
        yield '<div class="scroll" tabindex="0" role="group" aria-label="Results"><table>'
        yield "<thead><tr><th>When</th><th>Result</th></tr></thead><tbody>"
        for name, each in listed:
            to = f"{self._base}/{command}?{RESULT}={name}"
            kind = "ok" if each.ok else "doubt"
            yield f'<tr><td class="time"><a href="{to}">{each.at:%Y-%m-%d %H:%MZ}</a></td>'
            yield f'<td class="why"><b>{escape(each.title)}</b><br>'
            yield f'<span class="{kind}">{escape(each.said)}</span></td></tr>'
        yield "</tbody></table></div>"
