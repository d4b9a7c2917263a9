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
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from clickhouse_connect.driver.client import Client

from exporters.clickhouse import connection, migrations
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.store import READ_SETTINGS
from proxy.commands import terminal
from proxy.commands.terminal import Column
from proxy.dashboards.answers import Statement, ask
from proxy.dashboards.boards import Board, Panel, boards
from proxy.query.asked import Asked
from trials.bench.report import DOCUMENT

DATABASE = "panels"
BATCH = 100_000  # calls of an insert; the engine's memory limit holds here too
DISK_BYTES_MAX = 5 * 10**9
RANGES = ("now-7d", "now-30d")
GOALS_MS = (300.0, 600.0)
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
# What calls have; every other column has its default.  `number` is 0, 1, … of all calls.
FIELDS = """
  now64(6, 'UTC') - toIntervalMicrosecond(intDiv(number * {days} * 86400000000, {calls})) AS ts,
  generateUUIDv4(number) AS call_id,
  lower(hex(cityHash64(number, 1))) || lower(hex(cityHash64(number, 2))) AS trace_id,
  lower(hex(cityHash64(number, 3))) AS span_id,
  'session ' || toString(intDiv(number, 8)) AS session_id,
  'project ' || toString(cityHash64(number, 4) % 20) AS project,
  ['production', 'staging'][1 + (number % 10 = 0)] AS environment,
  'team ' || toString(cityHash64(number, 4) % 6) AS team,
  'feature ' || toString(cityHash64(number, 5) % 15) AS feature,
  'user ' || toString(cityHash64(number, 6) % 50000) AS user_id,
  'key ' || toString(cityHash64(number, 7) % 40) AS key_id,
  cityHash64(number, 8) % 12 AS m,
  ['openai', 'anthropic', 'gemini'][1 + m % 3] AS provider,
  'model-' || toString(m) AS request_model,
  request_model || '-2026' AS response_model,
  'chat' AS operation,
  'client ' || toString(cityHash64(number, 9) % 8) AS client,
  'standard' AS service_tier,
  number % 2 = 0 AS stream,
  cityHash64(number, 10) % 100 AS luck,
  if(luck < 97, 200, if(luck = 97, 429, 500))::UInt16 AS http_status,
  if(luck < 97, 'ok', if(luck = 97, 'rate_limited', 'upstream_error')) AS outcome,
  if(luck < 97, if(luck < 90, 'stop', 'length'), '') AS finish_reason,
  if(luck < 97, 200 + cityHash64(number, 11) % 8000, NULL) AS input_tokens_total,
  if(luck < 97, 20 + cityHash64(number, 12) % 800, NULL) AS output_tokens_total,
  if(luck < 40, 100 + cityHash64(number, 13) % 100, 0)::UInt64 AS cache_read_tokens,
  if(luck < 97, CAST(map('input', toDecimal128(input_tokens_total, 9), 'output',
    toDecimal128(output_tokens_total, 9)), 'Map(LowCardinality(String), Decimal(38, 9))'),
    CAST(map(), 'Map(LowCardinality(String), Decimal(38, 9))')) AS usage,
  'reported' AS usage_origin,
  toDecimal128(input_tokens_total, 18) / 1000000 AS cost_input_usd,
  toDecimal128(output_tokens_total, 18) / 200000 AS cost_output_usd,
  if(luck < 97, assumeNotNull(cost_input_usd) + assumeNotNull(cost_output_usd), NULL) AS cost_usd,
  cost_usd AS list_usd,
  multiIf(luck < 94, 'exact', luck < 97, 'estimated', 'not_billed') AS cost_status,
  cost_status AS list_status,
  'model@2026#0123456789ab' AS tariff,
  '{{"lines": [{{"meter": "input", "quantity": "' || toString(input_tokens_total)
    || '", "usd": "' || toString(cost_input_usd) || '"}}, {{"meter": "output", "quantity": "'
    || toString(output_tokens_total) || '", "usd": "' || toString(cost_output_usd) || '"}}]}}'
    AS receipt,
  300000 + cityHash64(number, 14) % 9000000 AS duration_us,
  if(stream, 200000 + cityHash64(number, 15) % 900000, NULL) AS first_token_us,
  if(stream, 5000 + cityHash64(number, 16) % 40000, NULL) AS gap_p50_us,
  if(stream, 9000 + cityHash64(number, 17) % 90000, NULL) AS gap_p95_us,
  if(stream, 20000 + cityHash64(number, 18) % 900000, NULL) AS gap_max_us,
  60 + cityHash64(number, 19) % 300 AS overhead_us,
  1000 + cityHash64(number, 20) % 30000 AS request_bytes,
  800 + cityHash64(number, 21) % 9000 AS response_bytes,
  map('ticket', 'T-' || toString(cityHash64(number, 22) % 200)) AS tags,
  (1 + cityHash64(number, 23) % 60)::UInt32 AS in_flight,
  if(luck = 97, toFloat64(cityHash64(number, 24) % 60), NULL) AS retry_after_s,
  if(luck < 97, toDecimal128(cache_read_tokens, 18) / 2000000, NULL) AS saved_cache_usd,
  if(luck < 97, if(number % 50 = 0, cost_usd, toDecimal128(0, 18)), NULL) AS saved_batch_usd,
  ['a', 'b'][1 + number % 2] AS node
"""
MADE_OF = ("m", "luck")  # helpers among the fields


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


def columns() -> list[str]:
    """The columns that are filled."""
    names = re.findall(r" AS (\w+),?$", FIELDS, re.MULTILINE)
    return [name for name in names if name not in MADE_OF]


def fill(client: Client, calls: int, days: int) -> None:
    """Insert the calls, and a correction of each hundredth.  Raises SystemExit beyond the disk."""
    names = ", ".join(columns())
    fields = FIELDS.format(days=days, calls=calls)
    began = perf_counter()
    for first in range(0, calls, BATCH):
        last = min(first + BATCH, calls)
        client.command(
            f"INSERT INTO calls ({names}) SELECT {names} FROM (SELECT number, {fields}"
            f" FROM numbers({first}, {last - first})) SETTINGS max_partitions_per_insert_block = 0"
        )
        if (held := sizes(client)[1] * 1e9) > DISK_BYTES_MAX:
            raise SystemExit(f"{last:,} calls take {held / 1e9:.1f} GB of disk: too many")
        print(f"{last:,} of {calls:,} calls, {perf_counter() - began:.0f} s", file=sys.stderr)
    both = client.query(
        "SELECT name FROM system.columns WHERE database = {name:String}"
        " AND table IN ('calls', 'corrections') AND name != 'ingested_at'"
        " AND name NOT LIKE 'cost%' AND name NOT LIKE 'list%'"
        " GROUP BY name HAVING count() = 2",
        {"name": DATABASE},
    )
    same = ", ".join(str(row[0]) for row in both.result_rows)
    client.command(
        f"INSERT INTO corrections ({same}, revision, old_cost_usd, old_cost_status, cost_usd,"
        f" cost_status) SELECT {same}, 1, cost_usd, cost_status, cost_usd * 2, cost_status"
        " FROM calls WHERE cityHash64(call_id) % 100 = 0 AND cost_usd IS NOT NULL"
        " SETTINGS max_partitions_per_insert_block = 0"
    )


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


def sizes(client: Client) -> tuple[float, float]:
    """(bytes a row of `calls`, gigabytes of all tables)."""
    rows = client.query(
        "SELECT sumIf(bytes_on_disk, table = 'calls') / sumIf(rows, table = 'calls'),"
        " sum(bytes_on_disk) / 1e9 FROM system.parts WHERE database = {name:String} AND active",
        {"name": DATABASE},
    ).result_rows
    return float(rows[0][0]), float(rows[0][1])


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
        dsn = f"chdb://{(options.data or Path(temporary)).resolve()}"
        client = connection.connect(parse_dsn(dsn))
        migrations.migrate(client, database=DATABASE, ttl_days=400)
        if not count(client):
            fill(client, options.calls, options.days)
        calls = count(client)
        for name, value in READ_SETTINGS.items():
            client.set_client_setting(name, value)
        found = every(client, options.only)
        row_bytes, gigabytes = sizes(client)
        client.close()
    found.sort(key=lambda one: -one.work[-1].cpu_ms)
    missed = [one for one in found if one.misses]
    terminal.show(COLUMNS, rows(found))
    print(f"{row_bytes:.0f} B a row of calls, {gigabytes:.2f} GB in all; {len(missed)} too slow")
    if options.write:
        write(document(found, calls, row_bytes, gigabytes))
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


def document(found: Sequence[Timed], calls: int, row_bytes: float, gigabytes: float) -> str:
    """The slowest ten panels, and what all take."""
    week, month = (median(one.work[n].ms for one in found) for n in (0, 1))
    lines = [
        f"On {calls:,} calls: {row_bytes:.0f} B a row of `calls`, {gigabytes:.2f} GB in all. Median"
        f" panel {week:.0f} ms over 7 days and {month:.0f} ms over 30; the ten dearest of"
        f" {len(found)}:",
        "",
        "| dashboard | panel | 7 days, ms | CPU ms | thousand rows"
        " | 30 days, ms | CPU ms | thousand rows |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for one in found[:10]:
        cells = (f"{w.ms:.0f} | {w.cpu_ms:.0f} | {w.rows / 1e3:,.0f}" for w in one.work)
        lines.append(f"| {one.board} | {one.panel} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write(text: str) -> None:
    """Replace what stands between the markers of docs/performance.md."""
    document = DOCUMENT.read_text(encoding="utf-8")
    found = re.compile(r"(<!-- panels: begin -->\n).*?(<!-- panels: end -->)", re.DOTALL)
    made = found.sub(lambda match: f"{match[1]}{text}\n{match[2]}", document)
    DOCUMENT.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
