"""What an answer does not show by itself: values that no call has, and rows that are gone."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from difflib import get_close_matches

from exporters.clickhouse import success
from exporters.clickhouse.dimensions import REASON, Bound, Dimension, known
from exporters.clickhouse.query import Filter, Query, bounds
from exporters.clickhouse.report_sql import in_rollup, times_rolled_up
from exporters.clickhouse.reports import Asks, Report

NEAR_MAX = 3  # similar values that are named
ROLLUP_KEPT = timedelta(days=730)  # the TTL of sums_1h
VALUES_MAX = 2_000  # of a dimension, looked through for similar ones
# A call without a reason has "".
_EACH_REASON = "arrayJoin(if(empty(t.reasons), [''], CAST(t.reasons, 'Array(String)')))"


def success_notes(query: Query, found: Report) -> list[str]:
    """What a success of the answer is, and of how many calls anybody said so."""
    if not query.measures:
        return []
    judged, calls = found.total["judged_calls"], found.total["calls"]
    said = f"a success is: {success.DEFINITION}"
    if judged:
        return [f"{said}; something was said about {judged:,} of {calls:,} calls"]
    return [f"{said}; nothing was said about any of these calls, so successes are assumed"]


async def notes(store: Asks, query: Query) -> list[str]:
    """Sentences for the reader of the answer.  Raises TransientError."""
    found = [line for one in query.filters for line in await _of_filter(store, query, one)]
    if query.since is not None and query.since < query.now - ROLLUP_KEPT:
        found.append("hourly sums are kept for two years; older calls are not in this answer")
    rolled_up = in_rollup(query)
    if not (rolled_up and times_rolled_up(query)) and (gone := await _gone(store, query)):
        kept = f"{gone:,} calls of this period are kept as hourly sums only (store.ttl_days)"
        found.append(
            f"{kept} and are not in the percentiles"
            if rolled_up
            else f"{kept} and are not in this answer; whole hours (UTC), by dimensions of the"
            " rollup, would have them"
        )
    return found


async def _of_filter(store: Asks, query: Query, one: Filter) -> list[str]:
    """What is to be said about values that no call of the period has."""
    asked = known(one.name)
    there = await _values(store, asked, one.values, query)
    missing = [value for value in map(_text, one.values) if value not in there]
    if not missing:
        return []
    elsewhere = await _values(store, asked, one.values, Query())
    lines = []
    for value in missing:
        said = f"{one.name}={value}" if value else f"an empty {one.name}"
        if value in elsewhere:
            lines.append(f"no call of this period has {said}")
            continue
        near = get_close_matches(value, await _values(store, asked, (), Query()), NEAR_MAX, 0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        lines.append(f"no call has {said}{hint}")
    return lines


async def _values(
    store: Asks, asked: Dimension, wanted: Sequence[object], query: Query
) -> list[str]:
    """The values that calls of the period have: of those `wanted`, or of all."""
    bound: Bound = {"most": VALUES_MAX}
    hourly = asked.rolled_up and in_rollup(Query(since=query.since, until=query.until))
    table = "sums_1h" if hourly else await store.rows_table()
    conditions = bounds(query.since, query.until, bound, "t.hour" if hourly else "t.ts")
    one = _EACH_REASON if asked.name == REASON else asked.expression(bound)
    if wanted:
        conditions.append(asked.condition(tuple(wanted), bound))  # type: ignore[arg-type]
    rows = await store.ask(
        f"SELECT DISTINCT {one} AS value FROM {table} AS t"
        f" WHERE {' AND '.join(conditions) or '1'} LIMIT {{most:UInt32}}",
        bound,
    )
    values = [_text(row["value"]) for row in rows]
    return list(_with_names(values)) if asked.name == REASON else values


def _with_names(reasons: Iterable[str]) -> Iterable[str]:
    """Reasons with and without their details."""
    for text in reasons:
        yield from (text, text.partition(":")[0])


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


async def _gone(store: Asks, query: Query) -> int:
    """How many calls of the period are in the rollup, but before the oldest row that is kept."""
    bound: Bound = {}
    conditions = bounds(query.since, query.until, bound, "t.hour")
    rows = await store.ask(
        "SELECT sum(t.calls) AS calls FROM sums_1h AS t WHERE"
        " t.hour < (SELECT if(count() = 0, now(), toStartOfHour(min(ts))) FROM calls)"
        f"{''.join(f' AND {one}' for one in conditions)}",
        bound,
    )
    calls = rows[0]["calls"] if rows else 0
    return calls if isinstance(calls, int) else 0
