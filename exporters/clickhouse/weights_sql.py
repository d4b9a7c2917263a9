"""How much of a cost that is shared falls on which calls: weights by time and group."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from exporters.clickhouse.dimensions import Bound, known
from exporters.clickhouse.query import Filter, bounds

GROUPS_MAX = 500_000
BIN = "bin"
# Name → weight of one call.
WEIGHTS: Mapping[str, str] = {
    "tokens": "toDecimal128(ifNull(t.input_tokens_total, 0) + ifNull(t.output_tokens_total, 0), 0)",
    "calls": "toDecimal128(1, 0)",
    "time": "toDecimal128(t.duration_us, 0)",
    "list": "ifNull(t.list_usd, 0)",
}


def weights(
    rows: str,
    by: Sequence[str],
    period: tuple[datetime, datetime],
    filters: Sequence[Filter],
    *,
    spread: str,
    bin_s: int,
) -> tuple[str, Mapping[str, Any]]:
    """SQL over `rows`: for each `bin` (its start in epoch seconds) and group `calls`, `weight`."""
    bound: Bound = {"most": GROUPS_MAX + 1, "bin": bin_s}
    of = {name: known(name).expression(bound) for name in by}
    conditions = bounds(*period, bound) + [one.sql(bound) for one in filters]
    columns = {BIN: "toInt64(intDiv(toUnixTimestamp(t.ts), {bin:UInt32}) * {bin:UInt32})"} | of
    names = ", ".join(f"`{name}`" for name in columns)
    shown = ", ".join(f"{sql} AS `{name}`" for name, sql in columns.items())
    sql = (
        f"SELECT {shown}, count() AS calls, sum({WEIGHTS[spread]}) AS weight FROM {rows} AS t"
        f" WHERE {' AND '.join(conditions)} GROUP BY {names} ORDER BY {names}"
        " LIMIT {most:UInt32}"
    )
    return sql, bound
