"""Answers panels: one flight for all who ask the same, and a short memory of what came back."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Protocol

from exporters.clickhouse.store import Table
from proxy.dashboards.boards import Board, Panel
from proxy.dashboards.macros import Expansion
from proxy.dashboards.times import Range, steady, step_s, time_range
from proxy.dashboards.variables import PREFIX, choices
from proxy.query.asked import Accepted, Asked, Mistake
from proxy.query.language import time_zone

RANGE = Accepted(("from", "to", "tz"))
PANEL = Accepted((*RANGE.once, "refId", "format"), prefix=PREFIX)
ROWS_MAX = 20_000  # of one target
CACHED_MAX = 200  # answers
FRESH_S = 5.0  # of a range that goes on
PAST_S = 60.0  # of one that ended; late rows and corrections still reach it
ZONES_MAX = (
    64  # zones in queries, ever: the engine keeps 4.6 MB for each, and never lets go of them
)
ZONE = "__timezone"
OPTIONS_POINTS = 100  # steps of the range in which the values of a variable are looked for


class Reads(Protocol):
    """What is needed of `exporters.clickhouse.store.Store`."""

    async def table(self, sql: str, parameters: Mapping[str, object]) -> Table: ...


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL of a file, expanded, and the values to bind in it."""

    sql: str
    bound: Mapping[str, object]
    until: datetime
    zone: str = ""  # that the engine must know for it


@dataclass(frozen=True, slots=True)
class Ask:
    """A question about a dashboard: its range on whole steps, and what is chosen."""

    board: Board
    over: Range
    step_s: int
    asked: Asked

    def statement(self, sql: str) -> Statement:
        """`sql` of the dashboard's file.  Raises Mistake for variables, ValueError for the file."""
        chosen = choices(self.board.variables, self.asked.given)
        expansion = Expansion(self.over, self.step_s, chosen)
        text = expansion.sql(sql)
        zone = self.over.zone if ZONE in sql else ""
        return Statement(text, dict(expansion.bound.values), self.over.end, zone)


def ask(board: Board, panel: Panel | None, asked: Asked, now: datetime) -> Ask:
    """The question that parameters ask; without a panel, one about variables.  Raises Mistake."""
    since = asked.one("from", board.document["time"]["from"])
    until = asked.one("to", board.document["time"]["to"])
    over = time_range(since, until, now, time_zone(asked.one("tz", "UTC")))
    step = panel.step_s(over.seconds) if panel else step_s(over.seconds, OPTIONS_POINTS)
    return Ask(board, steady(over, since, until), step, asked)


class Answers:
    """Asks `store`; viewers of the same thing share one query."""

    def __init__(self, store: Reads) -> None:
        self._store = store
        self._flights: dict[object, tuple[float, asyncio.Task[Table]]] = {}
        self._zones = {"", "UTC"}

    async def answer(self, statement: Statement, now: datetime) -> Table:
        """The rows.  Raises TransientError, and Mistake if there are too many, or too many zones.

        Whoever leaves does not take the answer away from others.
        """
        self._admit(statement.zone)
        key = (statement.sql, tuple(sorted(map(str, statement.bound.items()))))
        until, flight = self._flights.get(key, (0.0, None))
        if flight is None or (flight.done() and until < monotonic()) or _failed(flight):
            flight = asyncio.create_task(self._fetch(statement))
            kept_s = FRESH_S if statement.until >= now else PAST_S
            self._forget()
            self._flights[key] = (monotonic() + kept_s, flight)
        return await asyncio.shield(flight)

    def _admit(self, zone: str) -> None:
        """Raises Mistake for a zone that is one too many."""
        if zone not in self._zones and len(self._zones) >= ZONES_MAX:
            hint = f"this panel takes {ZONES_MAX} in all until Taximeter is restarted; choose UTC"
            raise Mistake(f"one time zone too many: {zone}", hint, "tz")
        self._zones.add(zone)

    async def _fetch(self, statement: Statement) -> Table:
        table = await self._store.table(statement.sql, statement.bound)
        if len(table.data) > ROWS_MAX:
            raise Mistake(f"more than {ROWS_MAX:,} rows", "choose a shorter range", "from")
        return table

    def _forget(self) -> None:
        """Make room: what is out of date goes first, then the oldest."""
        now = monotonic()
        for key in [k for k, (until, task) in self._flights.items() if until < now and task.done()]:
            del self._flights[key]
        while len(self._flights) >= CACHED_MAX:
            del self._flights[next(iter(self._flights))]


def _failed(flight: asyncio.Task[Table]) -> bool:
    return flight.done() and (flight.cancelled() or flight.exception() is not None)
