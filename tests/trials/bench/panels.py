"""Measures how long every panel of every dashboard takes, on many calls in the embedded engine.

    python -m trials.bench.panels [--calls 10000000] [--days 30] [--write] [--data DIRECTORY]

The calls are made in the database, evenly over the days: 12 models, 20 projects, 40 keys, 15
features, 50,000 users, receipts, and a correction for each hundredth.  Every panel is asked as the
console asks, three times, and the median counts.  The rows that it reads are the same on every
machine, and its CPU time nearly so; the time by the clock needs an idle one.  A directory that is
given is kept, and used again if it has calls.  Filling stops at DISK_BYTES_MAX.
"""

import argparse
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from textwrap import fill
from time import perf_counter, process_time

from clickhouse_connect.driver.client import Client

from exporters.clickhouse import connection, migrations
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.store import read_settings
from proxy.commands import terminal
from proxy.commands.terminal import Column
from proxy.dashboards.answers import Statement, ask
from proxy.dashboards.boards import Board, Panel, boards
from proxy.query.asked import Asked
from trials.bench import panel_calls
from trials.bench.panel_calls import column_bytes, disk_bytes
from trials.bench.report import DOCUMENT

DATABASE = "panels"
RANGES = ("now-7d", "now-30d")
GOALS_MS = (300.0, 600.0)
ROW_BYTES_GOAL, CALL_BYTES_GOAL = 110, 150  # of a row of `calls`; of a call in all tables
COLUMNS_SHOWN = 8
WIDTH = 120  # of the document
TIMES = 3
COLUMNS = (
    Column("board", "dashboard"),
    Column("panel", "panel"),
    *(
        Column(f"{name}_{days}", f"{days} days {unit}", number=True)
        for days in (7, 30)
        for name, unit in (("ms", "ms"), ("cpu", "CPU ms"), ("rows", "k rows"), ("mb", "MB"))
    ),
)


@dataclass(frozen=True, slots=True)
class Work:
    """What the targets of a panel take together."""

    ms: float
    cpu_ms: float
    rows: int
    read_bytes: int


@dataclass(frozen=True, slots=True)
class Timed:
    """One panel, and its work in each of RANGES."""

    board: str
    panel: str
    work: tuple[Work, ...]

    @property
    def misses(self) -> bool:
        """Whether it takes longer than it should."""
        return any(one.ms > goal for one, goal in zip(self.work, GOALS_MS, strict=True))

    @property
    def heavy(self) -> bool:
        """Whether its CPU time alone is longer, however many cores share it."""
        return any(one.cpu_ms > goal for one, goal in zip(self.work, GOALS_MS, strict=True))


@dataclass(frozen=True, slots=True)
class Held:
    """What so many calls take on disk: bytes by table, and by column of `calls`."""

    calls: int
    tables: Mapping[str, int]
    columns: Mapping[str, int]

    def lines(self) -> Iterator[str]:
        """As a document says it, each table's bytes for each call."""
        row, whole = self.tables["calls"] / self.calls, sum(self.tables.values())
        widest = [
            f"`{name}` {held / self.calls:.0f}"
            for name, held in list(self.columns.items())[:COLUMNS_SHOWN]
        ]
        yield "| table | bytes for each call |"
        yield "|---|--:|"
        for table, held in self.tables.items():
            if (each := held / self.calls) >= 0.1:
                yield f"| `{table}` | {each:.1f} |"
        yield f"| in all | {whole / self.calls:.1f} |"
        yield ""
        yield fill(
            f"That is {whole / 1e9:.2f} GB. The goals are {ROW_BYTES_GOAL} for `calls`"
            f" ({_verdict(row, ROW_BYTES_GOAL)}) and {CALL_BYTES_GOAL} in all"
            f" ({_verdict(whole / self.calls, CALL_BYTES_GOAL)}). The widest columns of `calls`:"
            f" {', '.join(widest)}.",
            WIDTH,
        )


def _verdict(measured: float, goal: float) -> str:
    return "met" if measured <= goal else "**missed**"


def questions(board: Board, panel: Panel, since: str, now: datetime) -> Iterator[Statement]:
    """The statements of a panel."""
    over = ask(board, panel, Asked({"from": (since,), "to": ("now",)}), now)
    yield from (over.statement(sql) for sql in panel.targets().values())


def work(client: Client, statements: Sequence[Statement]) -> Work:
    """Ask all targets of a panel, one after the other: the median of TIMES."""
    took, read = [], (0, 0)
    for _ in range(TIMES):
        began, used, read = perf_counter(), process_time(), (0, 0)
        for each in statements:
            answer = client.raw_query(each.sql, parameters=dict(each.bound), fmt="JSONCompact")
            found = json.loads(answer)["statistics"]
            read = read[0] + int(found["rows_read"]), read[1] + int(found["bytes_read"])
        took.append(((perf_counter() - began) * 1000, (process_time() - used) * 1000))
    return Work(median(ms for ms, _ in took), median(cpu for _, cpu in took), *read)


def timed(client: Client, board: Board, panel: Panel, now: datetime) -> Timed:
    """One panel over each range."""
    asked = (list(questions(board, panel, since, now)) for since in RANGES)
    found = tuple(work(client, statements) for statements in asked)
    return Timed(board.title, str(panel.document["title"]), found)


def every(client: Client, only: str) -> list[Timed]:
    """All panels that ask anything, of the dashboards whose address begins so."""
    now = datetime.now(UTC)
    return [
        timed(client, board, panel, now)
        for uid, board in boards().items()
        if uid.startswith(only)
        for panel in board.panels.values()
        if panel.targets()
    ]


def count(client: Client) -> int:
    return int(client.query("SELECT count() FROM calls").result_rows[0][0])


def main() -> int:
    """Returns the exit code: 1 if a panel is slower than its goal."""
    parser = argparse.ArgumentParser(prog="python -m trials.bench.panels", description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--data", type=Path, help="keep the calls here, and use them again")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    parser.add_argument("--only", default="", help="dashboards whose uid begins so")
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write is for all dashboards")
    with tempfile.TemporaryDirectory(prefix="taximeter-panels-") as temporary:
        dsn = parse_dsn(f"chdb://{(options.data or Path(temporary)).resolve()}")
        client = connection.connect(dsn)
        migrations.migrate(client, database=DATABASE, ttl_days=400)
        if not count(client):
            panel_calls.fill(client, options.calls, options.days)
        calls = count(client)
        for name, value in read_settings(dsn).items():
            client.set_client_setting(name, value)
        load = os.getloadavg()[0]
        found = every(client, options.only)
        held = Held(calls, disk_bytes(client), column_bytes(client))
        client.close()
    found.sort(key=lambda one: -one.work[-1].cpu_ms)
    missed = [one for one in found if one.misses]
    terminal.show(COLUMNS, rows(found))
    print("\n".join(held.lines()), f"{len(missed)} of {len(found)} panels too slow", sep="\n")
    if options.write:
        write(document(found, held, load))
    return int(bool(missed))


def rows(found: Sequence[Timed]) -> list[dict[str, str]]:
    return [
        {"board": one.board, "panel": one.panel}
        | {
            f"{name}_{days}": f"{value:.0f}"
            for days, took in zip((7, 30), one.work, strict=True)
            for name, value in (
                ("ms", took.ms),
                ("cpu", took.cpu_ms),
                ("rows", took.rows / 1e3),
                ("mb", took.read_bytes / 1e6),
            )
        }
        for one in found
    ]


def document(found: Sequence[Timed], held: Held, load: float) -> str:
    """How many panels are too slow; these and the ten dearest; and what is on disk."""
    week, month = (median(one.work[n].ms for one in found) for n in (0, 1))
    missed, today = [one for one in found if one.misses], datetime.now(UTC)
    heavy, cores = sum(one.heavy for one in found), os.cpu_count() or 1
    disturbed = ", so that other work took a part of the times by the clock" if load > cores else ""
    lines = [
        fill(
            f"{held.calls:,} calls, {today.day} {today:%B %Y}, {cores} cores, load average"
            f" {load:.1f} before{disturbed}."
            f" **{len(missed)} of {len(found)} panels are slower than their goal by the clock**;"
            f" CPU time alone exceeds the goal of {heavy}, on one core. The median panel takes"
            f" {week:.0f} ms over 7 days and {month:.0f} ms over 30. The dearest, with times that"
            " miss their goal in bold:",
            WIDTH,
        ),
        "",
        "| dashboard | panel | 7 days, ms | CPU ms | thousand rows"
        " | 30 days, ms | CPU ms | thousand rows |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for one in [*found[:10], *(late for late in missed if late not in found[:10])]:
        cells = []
        for took, goal in zip(one.work, GOALS_MS, strict=True):
            ms = f"**{took.ms:.0f}**" if took.ms > goal else f"{took.ms:.0f}"
            cells.append(f"{ms} | {took.cpu_ms:.0f} | {took.rows / 1e3:,.0f}")
        lines.append(f"| {one.board} | {one.panel} | {' | '.join(cells)} |")
    return "\n".join((*lines, "", *held.lines()))


def write(text: str) -> None:
    """Replace what stands between the markers of docs/performance.md."""
    document = DOCUMENT.read_text(encoding="utf-8")
    found = re.compile(r"(<!-- panels: begin -->\n).*?(<!-- panels: end -->)", re.DOTALL)
    made = found.sub(lambda match: f"{match[1]}{text}\n{match[2]}", document)
    DOCUMENT.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
