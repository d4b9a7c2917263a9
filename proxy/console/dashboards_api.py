"""Dashboards over HTTP: which there are, how each is drawn, and the rows of a panel.

A query is named by (dashboard, panel, target) and comes from the files of grafana/; a viewer
chooses the range, the zone and the values of variables, and nothing else.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from aiohttp import web

from exporters.clickhouse.store import Table
from proxy.console.asking import ASKED, reply
from proxy.console.report_api import download
from proxy.dashboards.answers import Answers, Ask, Reads, ask
from proxy.dashboards.boards import Missing, Panel, board, boards
from proxy.dashboards.variables import ASKED as IN_STORE
from proxy.query.asked import FORMATS, Mistake, near
from proxy.query.csv_rows import csv_text, file_name

PANEL = "/api/dashboards/{uid}/panels/{id}"
VARIABLE = "/api/dashboards/{uid}/variables/{name}"
Now = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


class DashboardsApi:
    """Handlers over a store."""

    def __init__(self, store: Reads, now: Now = _now) -> None:
        self._answers, self._now = Answers(store), now

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/dashboards", self.all),
            web.get("/api/dashboards/{uid}", self.one),
            web.get(PANEL, self.panel),
            web.get(VARIABLE, self.variable),
        ]

    async def all(self, _: web.Request) -> web.StreamResponse:
        """`uid`, `title` and `description` of each."""
        shown = ("uid", "title", "description")
        return reply([{name: each.document[name] for name in shown} for each in boards().values()])

    async def one(self, request: web.Request) -> web.StreamResponse:
        """Its panels and variables; see `Board.shown`."""
        try:
            return reply(board(request.match_info["uid"]).shown())
        except Missing as error:
            return reply({"error": str(error)}, 404)

    async def panel(self, request: web.Request) -> web.StreamResponse:
        """`targets`: `refId`, `columns` (`name`, `type`) and `rows`; and the range they cover.

        With `format=csv` the rows of one target.
        """
        asked, now = request[ASKED], self._now()
        kind = asked.choice("format", FORMATS)
        try:
            found = board(request.match_info["uid"])
            panel = found.panel(request.match_info["id"])
        except Missing as error:
            return reply({"error": str(error)}, 404)
        question = ask(found, panel, asked, now)
        tables = {
            ref: await self._answers.answer(question.statement(sql), now)
            for ref, sql in _targets(panel, asked.one("refId")).items()
        }
        if kind == "csv":
            return _csv(panel, tables, question)
        return reply(_covered(question) | {"targets": [_shown(*one) for one in tables.items()]})

    async def variable(self, request: web.Request) -> web.StreamResponse:
        """`options`: what can be chosen in the range."""
        now = self._now()
        try:
            found = board(request.match_info["uid"])
            variable = found.variable(request.match_info["name"])
        except Missing as error:
            return reply({"error": str(error)}, 404)
        if variable.kind != IN_STORE:
            return reply({"options": variable.options})
        question = ask(found, None, request[ASKED], now)
        table = await self._answers.answer(question.statement(variable.query), now)
        return reply({"options": [str(row[0]) for row in table.data]})


def _targets(panel: Panel, ref: str) -> dict[str, str]:
    """The queries of a panel, or the one that is asked for."""
    known = panel.targets()
    if ref and ref not in known:
        raise Mistake(f"unknown refId {ref[:100]!r}", near(ref, known), "refId")
    return {ref: known[ref]} if ref else known


def _covered(question: Ask) -> dict[str, object]:
    """The range of an answer in milliseconds since 1970, and its step."""
    over = question.over
    edges = {"from": over.start, "to": over.end}
    ms = {name: round(at.timestamp() * 1000) for name, at in edges.items()}
    return {**ms, "tz": over.zone, "step_s": question.step_s}


def _shown(ref: str, table: Table) -> dict[str, object]:
    return {"refId": ref, "columns": table.meta, "rows": table.data}


def _csv(panel: Panel, tables: dict[str, Table], question: Ask) -> web.Response:
    if len(tables) != 1:
        raise Mistake("a CSV file holds one target", f"expected: {', '.join(tables)}", "refId")
    (table,) = tables.values()
    names = [column["name"] for column in table.meta]
    rows = [dict(zip(names, row, strict=True)) for row in table.data]
    words = "".join(c if c.isalnum() else " " for c in str(panel.document["title"])).lower().split()
    name = file_name("-".join(words), question.over.start, question.over.end)
    return download(csv_text(rows, names), name)
