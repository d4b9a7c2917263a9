"""Reads the charge lines of a period day by day, for FOCUS: one day is in memory at a time."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import msgspec

from exporters.clickhouse.focus_sql import GROUPS_MAX, absent, charged, with_amounts
from exporters.clickhouse.query import Filter
from exporters.clickhouse.reports import Asks
from exporters.clickhouse.store import Row
from proxy.exports.directory import Question
from proxy.query.asked import PERIOD, Asked, Mistake, Pairs
from proxy.query.language import Defaults, stretch

DAY = timedelta(days=1)


class Day(msgspec.Struct):
    """The lines of a day (UTC), and how many of its calls have none."""

    day: date
    lines: list[Row]
    absent: Row


def days(asked: Asked, now: datetime) -> list[date]:
    """The days of a question.  Raises Mistake for a period that is not whole days (UTC)."""
    period = stretch(asked, now, Defaults(since=""))
    if period.since is None:
        raise Mistake("no period was given", "give --month, or --since and --until", "month")
    until = min(period.until or now, now)
    start = period.since
    if (start.hour, start.minute, start.second, start.microsecond) != (0, 0, 0, 0):
        raise Mistake("since is within a day", "FOCUS has days in UTC: give a date", "since")
    found = []
    while start < until:
        found.append(start.date())
        start += DAY
    return found


def question_of(wanted: list[date], pairs: Pairs) -> Question:
    """What goes into the audit log; `pairs` are the parameters as they were given."""
    asked = tuple(sorted((name, text) for name, text in pairs if name not in (*PERIOD, "format")))
    since = f"{wanted[0]}" if wanted else None
    return Question(asked=asked, since=since, until=f"{wanted[-1] + DAY}" if wanted else "")


async def read_day(store: Asks, day: date, filters: tuple[Filter, ...]) -> Day:
    """One day.  Raises TransientError, and ValueError for too many lines."""
    since = datetime(day.year, day.month, day.day, tzinfo=UTC)
    table = await store.rows_table()
    found = await store.ask(*charged(table, since, since + DAY, filters))
    lines = [with_amounts(line) for line in found]
    if len(lines) > GROUPS_MAX:
        raise ValueError(f"more than {GROUPS_MAX:,} lines on {day}; ask for less, by a filter")
    (missing,) = await store.ask(*absent(table, since, since + DAY, filters))
    return Day(day, lines, missing)


async def read_days(
    store: Asks, wanted: list[date], filters: tuple[Filter, ...]
) -> AsyncIterator[Day]:
    """All of them, in order."""
    for day in wanted:
        yield await read_day(store, day, filters)
