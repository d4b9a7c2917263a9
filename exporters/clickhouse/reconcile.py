"""Compares the rollups with the rows and corrections, day by day, and rebuilds those that differ.

Tokens keep them equal through crashes.  This finds what tokens cannot prevent: a view that was
missing for a while, rows deleted by hand, a fault of ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from uuid import uuid4

from clickhouse_connect.driver.client import Client

from exporters.clickhouse import backfill
from exporters.clickhouse.dsn import Dsn

# Rollup → its time column and its TTL in days (schema/010_spend.sql, 017_narrow_rollups.sql,
# 020_smaller_rows.sql).
ROLLUPS = {
    "sums_1h": ("hour", 730),
    "usage_1h": ("hour", 730),
    "latency_1h": ("hour", 730),
    "quantities_1h": ("hour", 730),
    "spend_15m": ("bucket", 1095),
    "spend_tags_15m": ("bucket", 1095),
}

# Sums that must be equal to the last digit: name → (over the rows, over a rollup).
SUMS = {
    "calls": ("count()", "sum(t.calls)"),
    "errors": ("countIf(t.outcome != 'ok')", "sum(t.errors)"),
    "unpriced_calls": ("countIf(t.cost_usd IS NULL)", "sum(t.unpriced_calls)"),
    "input_tokens_total": ("sum(t.input_tokens_total)", "sum(t.input_tokens_total)"),
    "output_tokens_total": ("sum(t.output_tokens_total)", "sum(t.output_tokens_total)"),
    "cost_usd": (
        "sum(t.cost_usd)",
        "if(sum(t.calls) = sum(t.unpriced_calls), NULL, sum(t.cost_usd))",
    ),
    "listed_calls": ("countIf(t.list_usd IS NOT NULL)", "sum(t.listed_calls)"),
    "list_usd": ("sum(t.list_usd)", "if(sum(t.listed_calls) = 0, NULL, sum(t.list_usd))"),
}
# The same; usage_1h tells outcomes apart.
USAGE_SUMS = SUMS | {"errors": ("countIf(t.outcome != 'ok')", "sumIf(t.calls, t.outcome != 'ok')")}
# The same for what budgets count.
SPEND_SUMS = {
    "calls": ("count()", "sum(t.calls)"),
    "tokens": (
        "sum(ifNull(t.input_tokens_total, 0) + ifNull(t.output_tokens_total, 0))",
        "sum(t.tokens)",
    ),
    "cost_usd": ("sum(ifNull(t.cost_usd, 0))", "sum(t.cost_usd)"),
    "unknown_calls": ("countIf(t.cost_usd IS NULL)", "sum(t.unknown_calls)"),
    "list_usd": ("sum(ifNull(t.list_usd, 0))", "sum(t.list_usd)"),
}

# The same for times, which no correction changes.
LATENCY_SUMS = {
    "calls": ("count()", "sum(t.calls)"),
    "durations": ("count()", "sum(arraySum(mapValues(t.durations)))"),
    "duration_us_max": ("max(t.duration_us)", "max(t.duration_us_max)"),
}
# The same for what was used, kind by kind.
QUANTITY_SUMS = {
    "calls": ("sum(length(t.usage))", "sum(t.calls)"),
    "quantity": ("sum(arraySum(mapValues(t.usage)))", "sum(t.quantity)"),
}
COMPARED = {
    "sums_1h": SUMS,
    "usage_1h": USAGE_SUMS,
    "latency_1h": LATENCY_SUMS,
    "quantities_1h": QUANTITY_SUMS,
    "spend_15m": SPEND_SUMS,
    "spend_tags_15m": SPEND_SUMS,
}

Sums = dict[str, int | Decimal | None]  # None: no known value to add up; {}: no rows at all


@dataclass(frozen=True, slots=True)
class SumDifference:
    """A day (UTC, YYYY-MM-DD) on which a rollup differs from the sum of the rows."""

    rollup: str
    day: str
    rows: Sums
    rolled_up: Sums
    repaired: bool


def reconcile(
    client: Client, dsn: Dsn, ttl_days: int, *, repair: bool, quiet_s: float
) -> list[SumDifference]:
    """The days on which a rollup differs from the rows; `repair` rebuilds them.

    Days are compared only if both sides still hold all of them, no call of theirs was erased (its
    sums stay), and nothing was written to them for `quiet_s` seconds: a rebuild must not race with
    an insert.  No batch should be waiting to be resent either: rebuilding a day forgets its tokens,
    so that batch would be counted twice until the next reconcile.  On a cluster, only `client`'s
    own shard is compared.
    """
    suffix = "_local" if dsn.cluster else ""
    found = []
    erased = set(_erased_days(client))
    for rollup, (time, days) in ROLLUPS.items():
        reach = min(ttl_days, days) - 1
        table = "calls" if rollup in backfill.UNPRICED else "priced_calls"
        rows = _by_day(client, rollup, f"{table}{suffix}", "ts", reach, side=0)
        rolled_up = _by_day(client, rollup, f"{rollup}{suffix}", time, reach, side=1)
        tables = (f"calls{suffix}", f"corrections{suffix}")
        busy = {day for table in tables for day in _busy_days(client, table, quiet_s)}
        for day in sorted((rows.keys() | rolled_up.keys()) - busy - erased):
            if rows.get(day, {}) != rolled_up.get(day, {}):
                if repair:
                    _rebuild(client, dsn, rollup, f"{rollup}{suffix}", day)
                found.append(
                    SumDifference(rollup, day, rows.get(day, {}), rolled_up.get(day, {}), repair)
                )
    return found


def _by_day(
    client: Client, rollup: str, table: str, time: str, reach: int, *, side: int
) -> dict[str, Sums]:
    compared = COMPARED[rollup]
    sums = ", ".join(pair[side] for pair in compared.values())
    result = client.query(
        f"SELECT toString(toDate(t.{time})) AS day, {sums} FROM {table} AS t"
        f" WHERE toDate(t.{time}) > toDate(now('UTC')) - {{reach:UInt32}} GROUP BY day",
        {"reach": reach},
    )
    return {  # a day without a usage has no quantities
        str(day): dict(zip(compared, values, strict=True))
        for day, *values in result.result_rows
        if any(values)
    }


def _busy_days(client: Client, table: str, quiet_s: float) -> Iterator[str]:
    """Days to which rows were written during the last `quiet_s` seconds."""
    result = client.query(
        f"SELECT DISTINCT toString(toDate(ts)) FROM {table}"
        " WHERE ingested_at >= now64(3) - toIntervalMillisecond({quiet_ms:UInt64})",
        {"quiet_ms": int(quiet_s * 1000)},
    )
    return (str(row[0]) for row in result.result_rows)


def _erased_days(client: Client) -> Iterator[str]:
    """Days of which calls or corrections were deleted on purpose."""
    result = client.query(
        "SELECT DISTINCT toString(toDate(l.ts)) FROM leaves AS l"
        " WHERE l.kind IN ('call', 'correction')"
        " AND (l.tree, l.number) GLOBAL IN (SELECT tree, number FROM erased)"
    )
    return (str(row[0]) for row in result.result_rows)


def _rebuild(client: Client, dsn: Dsn, rollup: str, table: str, day: str) -> None:
    """Drop `day` from a rollup and refill it with what its views select from that day's rows."""
    select = backfill.day_of(client, dsn.database, rollup, day, table.removeprefix(rollup))
    client.command(f"ALTER TABLE {table} DROP PARTITION '{day}'")
    client.command(
        f"INSERT INTO {table} {select}",
        # A token of its own: by content it could be taken for a duplicate of what was dropped.
        settings={"insert_deduplication_token": f"reconcile:{uuid4()}"},
    )
