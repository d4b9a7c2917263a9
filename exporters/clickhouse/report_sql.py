"""The SQL of reports: sums over groups of calls, from the hourly rollup where it suffices.

The rollup is smaller and is kept for two years, the rows for store.ttl_days.  Both give the same
sums to the last digit.  Quantiles come from `latency_1h` if it has the groups, which is kept as
long, else from the rows that are there; they are the same (DDSketch merges without loss).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Context, Decimal
from typing import Any, Literal

from exporters.clickhouse import success
from exporters.clickhouse.dimensions import Bound, known
from exporters.clickhouse.query import ROWS_MAX, Query, bounds, microseconds
from pricing.money import status_of_sum

HOUR = timedelta(hours=1)
HOUR_US = HOUR // timedelta(microseconds=1)
# Columns of a statement besides those of the groups and sums.
EDGE, TIME, OTHER, WHOLE = "edge", "time", "other", "whole"

# Name → over the rows; the rollup holds it as a sum.
COUNTS = {
    "calls": "count()",
    "errors": "countIf(t.outcome != 'ok')",
    "unpriced_calls": "countIf(t.cost_usd IS NULL)",
    "inexact_calls": "countIf(t.cost_status IN ('estimated', 'partial'))",
    "listed_calls": "countIf(t.list_usd IS NOT NULL)",
    "list_inexact_calls": "countIf(t.list_status IN ('estimated', 'partial'))",
    "partial_calls": "countIf(t.cost_status = 'partial')",
}
SUMS = (
    "input_tokens_total",
    "output_tokens_total",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_usd",
    "list_usd",
)
STATUSES = ("cost_status", "list_status")
SUCCESSES, PER_SUCCESS = ("successes", "judged_calls"), "cost_per_success_usd"
_DIVIDING = Context(prec=18)  # significant digits of a quotient, rounded once
TIMES = {"duration": "UInt64", "first_token": "Nullable(UInt64)"}
LEVELS = tuple(f"{time}_{level}_us" for time in TIMES for level in ("p50", "p95"))
TIMED = frozenset(  # the dimensions of latency_1h
    {"environment", "provider", "operation", "model", "request_model", "response_model"}
)
_QUANTILES = "(0.01, 0.5, 0.95, 0.99)"  # relative accuracy, then the levels, as in the rollup

# What groups are ranked by; the dearest, or those with most, first.
_ORDERS: Mapping[str, tuple[str, ...]] = {
    "cost": ("cost_usd DESC NULLS LAST", "calls DESC"),
    "list": ("list_usd DESC NULLS LAST", "calls DESC"),
    "calls": ("calls DESC",),
    "errors": ("errors DESC", "calls DESC"),
    "name": (),
}


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with the values to bind in it.

    Its rows have the columns of `Query.by`; EDGE or TIME if there is a bucket or a step; and OTHER,
    if `limited`: 1 in the row of all groups that are not named.  With any of these, the first row
    is the total, and only there WHOLE is not 0.
    """

    sql: str
    bound: Bound
    limited: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A table that is read, its column of time, and what it gives."""

    table: str
    time: str
    sums: Literal["", "rows", "rolled up"] = "rows"
    times: Literal["", "rows", "rolled up"] = "rows"


_ROW_TIMES = Source("calls", "t.ts", sums="")
_HOUR_TIMES = Source("latency_1h", "t.hour", sums="", times="rolled up")


def sums(
    query: Query, *, rows: str = "calls", named: int | None = None, feedback: bool = False
) -> Statement:
    """Sums over the calls of a query, grouped.

    `rows` is the table to read if the rollup does not suffice: `calls` or `priced_calls`;
    `feedback` is whether anybody said of a call whether it succeeded.  `named`
    groups have rows of their own, the others one together; None: all of them, and one row more than
    allowed if there are too many.
    Raises ValueError for a name that calls cannot be grouped by, and a step below one second.
    """
    edges = [microseconds(window.start) // 1_000_000 for window in query.windows()]
    counts = dict(COUNTS)
    if query.measures:
        counts |= success.columns(feedback=feedback)
    bound: Bound = {}
    of = {name: known(name).expression(bound) for name in query.by}
    sources = _sources(query, edges, rows)
    groups: dict[str, str] = dict(of)
    limited = named is not None and bool(of)
    if limited:
        bound["named"] = named
        first = sources[0]
        ranked = _inner(of, first, counts, _where(query, bound, first.time))
        ranked = _outer(of, ranked, _order(query, of), counts)
        first_names = f"SELECT {_names(of)} FROM ({ranked} LIMIT {{named:UInt32}})"
        groups = {OTHER: f"({', '.join(of.values())}) NOT IN ({first_names})"} | {
            name: f"if(`{OTHER}`, defaultValueOfArgumentType({sql}), {sql})"
            for name, sql in of.items()
        }
    parts, keys = [], groups
    for source in sources:
        keys = _times(query, edges, bound, source.time) | groups
        parts.append(_inner(keys, source, counts, _where(query, bound, source.time)))
    order = [*_names(name for name in keys if name not in of).split(", "), *_order(query, of)]
    sql = _outer(keys, " UNION ALL ".join(parts), filter(None, order), counts, total=True)
    return Statement(f"{sql} LIMIT {ROWS_MAX + 2}", bound, limited)


def _sources(query: Query, edges: list[int], rows: str) -> list[Source]:
    """What is read; sums come from the first."""
    if not in_rollup(query, edges):
        return [Source(rows, "t.ts")]
    times = _HOUR_TIMES if times_rolled_up(query) else _ROW_TIMES
    return [Source("sums_1h", "t.hour", sums="rolled up", times=""), times]


def in_rollup(query: Query, edges: Iterable[int] = ()) -> bool:
    """Whether a query needs only whole hours (UTC) and dimensions of the rollup.

    `edges` are the beginnings of its buckets, in seconds since the epoch.
    """
    ends = [microseconds(at) for at in (query.since, query.until) if at is not None]
    ends += [edge * 1_000_000 for edge in edges]
    step = query.step or HOUR
    names = (*query.by, *(one.name for one in query.filters))
    return (
        not query.measures
        and not step % HOUR
        and all(not end % HOUR_US for end in ends)
        and all(known(name).rolled_up for name in names)
    )


def times_rolled_up(query: Query) -> bool:
    """Whether latency_1h has the groups and filters of a query."""
    return {*query.by, *(one.name for one in query.filters)} <= TIMED


def _where(query: Query, bound: Bound, column: str) -> str:
    conditions = bounds(query.since, query.until, bound, column)
    conditions += [one.sql(bound) for one in query.filters]
    return " AND ".join(conditions) or "1"


def _times(query: Query, edges: list[int], bound: Bound, column: str) -> dict[str, str]:
    """The column of time, if the query has one."""
    if query.step is not None:
        if query.step < timedelta(seconds=1):
            raise ValueError("step must be at least one second")
        bound["step"] = int(query.step.total_seconds())
        return {TIME: f"toStartOfInterval({column}, toIntervalSecond({{step:UInt32}}), 'UTC')"}
    if not query.bucket:
        return {}
    bound["edges"] = edges
    # By the very boundaries of pricing.window, so that a day is the same one everywhere.
    return {EDGE: f"roundDown(toInt64(toUnixTimestamp({column})), {{edges:Array(Int64)}})"}


def _inner(keys: Mapping[str, str], source: Source, counts: Mapping[str, str], where: str) -> str:
    """One row for each group, with all columns; what a source lacks adds nothing."""
    columns = dict(keys)
    for name, count in counts.items():
        of = {"rows": count, "rolled up": f"sum(t.{name})", "": "toInt64(0)"}
        columns[name] = of[source.sums]
    columns |= {name: f"sum(t.{name})" if source.sums else "NULL" for name in SUMS}
    for name, kind in TIMES.items():
        states = {
            "rows": f"quantilesDDState{_QUANTILES}(t.{name}_us)",
            "rolled up": f"quantilesDDMergeState{_QUANTILES}(t.{name}_q)",
            "": f"arrayReduce('quantilesDDState{_QUANTILES}', CAST([], 'Array({kind})'))",
        }
        columns[f"{name}_q"] = states[source.times]
    return f"SELECT {_as(columns)} FROM {source.table} AS t WHERE {where}{_by(keys)}"


def _outer(
    keys: Iterable[str],
    inner: str,
    order: Iterable[str],
    counts: Iterable[str],
    *,
    total: bool = False,
) -> str:
    """The sums of the rows of `_inner`, and with `total` those of all of them before the others."""
    groups = {name: f"g.`{name}`" for name in keys}
    columns, order = groups | _measures(counts), list(order)
    grouped = _by(groups)
    if total and groups:
        columns = {WHOLE: f"grouping({next(iter(groups.values()))})"} | columns
        grouped = f" GROUP BY GROUPING SETS (({', '.join(groups.values())}), ())"
        order = [f"`{WHOLE}` DESC", *order]
    ordered = f" ORDER BY {', '.join(order)}" if order and groups else ""
    return f"SELECT {_as(columns)} FROM ({inner}) AS g{grouped}{ordered}"


def _as(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{sql} AS `{name}`" for name, sql in columns.items())


def _by(keys: Iterable[str]) -> str:
    return f" GROUP BY {names}" if (names := _names(keys)) else ""


def _names(keys: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in keys)


def _order(query: Query, of: Iterable[str]) -> list[str]:
    return [*_ORDERS[query.order], *(f"`{name}`" for name in of)]


def with_status(row: dict[str, Any]) -> dict[str, Any]:
    """A row of such sums with the status of its cost and of its list price, unless grouped by it.

    With successes, also what one cost: all attempts are in it; None where there was none.

    `unpriced_calls` are not in the cost; `inexact_calls` are, of them `partial_calls` as bounds.
    """
    status = status_of_sum(
        row["cost_usd"],
        unknown=row["unpriced_calls"],
        partial=row["partial_calls"],
        inexact=row["inexact_calls"],
    )
    listed = status_of_sum(
        row["list_usd"],
        unknown=row["calls"] - row["listed_calls"],
        inexact=row["list_inexact_calls"],
    )
    if "successes" in row:
        row = row | {PER_SUCCESS: _each(row["cost_usd"], row["successes"])}
    return {"cost_status": status.value, "list_status": listed.value} | row


def _each(usd: object, number: int) -> str | None:
    if usd is None or not number:
        return None
    return f"{_DIVIDING.divide(Decimal(str(usd)), number).normalize():f}"


def _measures(counts: Iterable[str]) -> dict[str, str]:
    """Output name → expression over the rows of `_inner`."""
    measures = {name: f"sum(g.{name})" for name in counts}
    # A sum over no calls is a known 0; one over calls that all lack the value is unknown.
    measures |= {name: f"if(calls = 0, 0, sum(g.{name}))" for name in SUMS}
    # If all costs became unknown, the rollup's sum is 0 instead of NULL.
    measures["cost_usd"] = "multiIf(calls = 0, 0, calls = unpriced_calls, NULL, sum(g.cost_usd))"
    measures["list_usd"] = "multiIf(calls = 0, 0, listed_calls = 0, NULL, sum(g.list_usd))"
    for time in TIMES:
        for index, level in ((1, "p50"), (2, "p95")):
            value = f"quantilesDDMerge{_QUANTILES}(g.{time}_q)[{index}]"
            measures[f"{time}_{level}_us"] = f"if(isNaN({value}), NULL, toUInt64(round({value})))"
    return measures
