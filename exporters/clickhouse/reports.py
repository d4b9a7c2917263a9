"""Answers a `Query`: sums by group and stretch of time that add up to the total, to the last digit.

Rows and total come from one statement, so that a call that arrives meanwhile is in both or in none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Protocol

from exporters.clickhouse import success
from exporters.clickhouse.query import BUCKETS_MAX, ROWS_MAX, Query
from exporters.clickhouse.report_sql import (
    COUNTS,
    EDGE,
    LEVELS,
    OTHER,
    PER_SUCCESS,
    STATUSES,
    SUCCESSES,
    SUMS,
    TIME,
    WHOLE,
    Statement,
    sums,
    with_status,
)

Row = dict[str, object]
ZERO: Row = (  # the sums of no calls
    dict.fromkeys(COUNTS, 0)
    | {name: "0" if name.endswith("_usd") else 0 for name in SUMS}
    | dict.fromkeys(LEVELS)
)
TOO_MANY = f"more than {ROWS_MAX:,} rows; ask for a shorter period or longer steps"


class Asks(Protocol):
    """What is needed of `exporters.clickhouse.store.Store`."""

    async def ask(self, sql: str, parameters: Mapping[str, object]) -> list[Row]: ...

    async def rows_table(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Report:
    """Rows in the order that was asked for, and their total; both with statuses.

    A row has the names of `Query.by`; with a bucket its label under the bucket's name, `start` and
    `end`; with a step `time`.  Every bucket has a row for each group, of zero calls if there were
    none; steps without calls have no row.  `other` is true in the row of the groups that are not
    named, whose names are None; the key is there only if a limit applied.
    """

    rows: list[Row]
    total: Row


NOTHING = Report([], with_status(ZERO))  # of a store that does not exist


def columns(query: Query) -> list[str]:
    """The names in a row, in an order for people; OTHER only if a limit applied."""
    times = (query.bucket, "start", "end") if query.bucket else (TIME,) if query.step else ()
    measured = (*SUCCESSES, PER_SUCCESS) if query.measures else ()
    return [*times, *query.by, OTHER, *COUNTS, *SUMS, *STATUSES, *LEVELS, *measured]


async def report(store: Asks, query: Query) -> Report:
    """The sums.  Raises TransientError, and ValueError for names and steps as `sums` does."""
    table = await store.rows_table()
    windows = query.windows()
    named_max = ROWS_MAX // _columns_of_time(query, len(windows)) - 1
    if named_max < 1:
        raise ValueError(TOO_MANY)
    limit = None if query.limit is None else min(query.limit, named_max)
    made, rows, total = await _ask(store, query, table, limit)
    if not made.limited and query.by and _too_many(rows, query, len(windows)):
        made, rows, total = await _ask(store, query, table, named_max)
    if len(rows) > ROWS_MAX:
        raise ValueError(TOO_MANY)
    measured = {name: total.get(name, zero) for name, zero in _zero(query).items()}
    return Report(list(_finished(rows, query, made)), with_status(measured))


async def _ask(
    store: Asks, query: Query, table: str, named: int | None
) -> tuple[Statement, list[Row], Row]:
    """The statement, its rows and the total."""
    feedback = bool(query.measures and await store.ask(success.FOUND, {}))
    made = sums(query, rows=table, named=named, feedback=feedback)
    total, *rows = await store.ask(made.sql, made.bound)
    return made, rows if WHOLE in total else [total], total


def _columns_of_time(query: Query, windows: int) -> int:
    """How many rows a group may have; a step without a beginning is as good as one."""
    if query.step is None or query.since is None:
        return max(1, windows)
    # Steps without calls have no row, so that long periods of short steps may fit.
    return min(BUCKETS_MAX, max(1, ceil((query.end - query.since) / query.step)))


def _too_many(rows: list[Row], query: Query, windows: int) -> bool:
    groups = {_group(row, query) for row in rows}
    return len(rows) > ROWS_MAX or len(groups) * max(1, windows) > ROWS_MAX


def _group(row: Row, query: Query) -> tuple[object, ...]:
    return tuple(row[name] for name in (OTHER, *query.by) if name in row)


def _finished(rows: list[Row], query: Query, made: Statement) -> Iterator[Row]:
    """The rows with statuses and names of time, the missing buckets filled in."""
    for row in rows:
        row.pop(WHOLE, None)
        if made.limited:
            row[OTHER] = bool(row[OTHER])
            row.update(dict.fromkeys(query.by) if row[OTHER] else {})
    if not query.bucket:
        yield from map(with_status, rows)
        return
    names = [name for name in (OTHER, *query.by) if not rows or name in rows[0]]
    groups = list(dict.fromkeys(_group(row, query) for row in rows)) if query.by else [()]
    found: dict[object, dict[tuple[object, ...], Row]] = {}
    for row in rows:
        found.setdefault(row.pop(EDGE), {})[_group(row, query)] = row
    for window, start, end in query.spans():
        here = found.get(int(window.start.timestamp()), {})
        at: Row = {query.bucket: query.label(window), "start": _text(start), "end": _text(end)}
        for group in dict.fromkeys([*here, *groups]):
            empty = dict(zip(names, group, strict=False)) | _zero(query)
            yield at | with_status(here.get(group) or empty)


def _zero(query: Query) -> Row:
    """The sums of no calls, with what the query measures."""
    return ZERO | dict.fromkeys(SUCCESSES, 0) if query.measures else ZERO


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
