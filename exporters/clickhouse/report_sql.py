"""The SQL of reports: sums over groups of calls, from the hourly rollup where it suffices.

The rollup is smaller and is kept for two years, the rows for store.ttl_days.  Both give the same
sums to the last digit and the same quantiles (DDSketch merges without loss).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from exporters.record import EPOCH
from pricing.money import status_of_sum

HOUR = timedelta(hours=1)

# Columns to group by: of the rollup and the rows, and of the rows alone.
ROLLED_UP = (
    "project",
    "environment",
    "team",
    "feature",
    "key_id",
    "provider",
    "operation",
    "request_model",
    "response_model",
)
IN_ROWS = (
    "client",
    "user_id",
    "session_id",
    "socket_id",
    "prompt_name",
    "prompt_version",
    "upstream",
    "region",
    "endpoint",
    "service_tier",
    "stream",
    "http_status",
    "outcome",
    "error_type",
    "finish_reason",
    "usage_origin",
    "cost_status",
    "list_status",
    "credential_kind",
    "tariff",
    "node",
)
# The model that answered, or the requested one if none did.
MODEL = "if(t.response_model = '', t.request_model, t.response_model)"
TAG = "tag."  # "tag.ticket" groups by the caller's own tag `ticket`


# Name → (over the rows, over the rollup).
COUNTS = {
    "calls": ("count()", "sum(t.calls)"),
    "errors": ("countIf(t.outcome != 'ok')", "sum(t.errors)"),
    "unpriced_calls": ("countIf(t.cost_usd IS NULL)", "sum(t.unpriced_calls)"),
    "inexact_calls": (
        "countIf(t.cost_status IN ('estimated', 'partial'))",
        "sum(t.inexact_calls)",
    ),
    "listed_calls": ("countIf(t.list_usd IS NOT NULL)", "sum(t.listed_calls)"),
    "list_inexact_calls": (
        "countIf(t.list_status IN ('estimated', 'partial'))",
        "sum(t.list_inexact_calls)",
    ),
    "partial_calls": ("countIf(t.cost_status = 'partial')", "sum(t.partial_calls)"),
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
TIMES = ("duration", "first_token")
_QUANTILES = "(0.01, 0.5, 0.95, 0.99)"  # relative accuracy, then the levels, as in the rollup


def grouped(
    since: datetime | None,
    until: datetime | None,
    by: Sequence[str],
    *,
    step: timedelta | None = None,
    rows: str = "calls",
) -> tuple[str, dict[str, str | int]]:
    """SQL and bound values for sums over [since, until), grouped by `by` and, with `step`, `time`.

    `rows` is the table to read if the rollup does not suffice: `calls` or `priced_calls`.
    Raises ValueError for a name that calls cannot be grouped by, and a step below one second.
    """
    hourly = _in_rollup(since, until, by, step)
    column = "hour" if hourly else "ts"
    parameters: dict[str, str | int] = {}
    keys: dict[str, str] = {}
    if step is not None:
        if step < timedelta(seconds=1):
            raise ValueError("step must be at least one second")
        parameters["step"] = int(step.total_seconds())
        keys["time"] = f"toStartOfInterval(t.{column}, toIntervalSecond({{step:UInt32}}), 'UTC')"
    for number, name in enumerate(by):
        keys[name] = _key(name, number, parameters)
    conditions = ["1"]
    for name, sign, instant in (("since", ">=", since), ("until", "<", until)):
        if instant is not None:
            conditions.append(
                f"t.{column} {sign} fromUnixTimestamp64Micro({{{name}:Int64}}, 'UTC')"
            )
            parameters[name] = microseconds(instant)
    selected = keys | _measures(hourly)
    sql = (
        f"SELECT {', '.join(f'{sql} AS `{name}`' for name, sql in selected.items())}"
        f" FROM {'calls_1h' if hourly else rows} AS t WHERE {' AND '.join(conditions)}"
    )
    names = [f"`{name}`" for name in keys]
    if names:
        sql += f" GROUP BY {', '.join(names)}"
    order = names[:1] if step else []
    order += ["cost_usd DESC NULLS LAST", "calls DESC", *names]
    return f"{sql} ORDER BY {', '.join(order)}", parameters


def with_status(row: dict[str, Any]) -> dict[str, Any]:
    """A row of such sums with the status of its cost and of its list price, unless grouped by it.

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
    return {"cost_status": status.value, "list_status": listed.value} | row


def microseconds(instant: datetime) -> int:
    """Exact microseconds since the epoch.  Raises ValueError for an instant without a time zone."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone")
    return (instant - EPOCH) // timedelta(microseconds=1)


def _in_rollup(
    since: datetime | None, until: datetime | None, by: Sequence[str], step: timedelta | None
) -> bool:
    """Whether the query needs only whole hours and columns of the rollup."""
    edges = [
        instant - EPOCH for instant in (since, until) if instant is not None and instant.tzinfo
    ]
    lengths = edges if step is None else [*edges, step]
    return all(not length % HOUR for length in lengths) and all(
        name == "model" or name in ROLLED_UP for name in by
    )


def _key(name: str, number: int, parameters: dict[str, str | int]) -> str:
    if name == "model":
        return MODEL
    if name in ROLLED_UP or name in IN_ROWS:
        return f"t.{name}"
    if name.startswith(TAG) and "`" not in name and "\\" not in name:
        parameters[f"tag{number}"] = name.removeprefix(TAG)
        return f"t.tags[{{tag{number}:String}}]"
    known = ", ".join(sorted(("model", f"{TAG}NAME", *ROLLED_UP, *IN_ROWS)))
    raise ValueError(f"cannot group calls by {name!r}; expected one of: {known}")


def _measures(hourly: bool) -> dict[str, str]:
    """Output name → expression."""
    measures = {name: pair[hourly] for name, pair in COUNTS.items()}
    measures |= {name: f"sum(t.{name})" for name in SUMS}
    # No calls cost a known 0.  If all costs became unknown, the rollup's sum is 0 instead of NULL.
    measures["cost_usd"] = "multiIf(calls = 0, 0, calls = unpriced_calls, NULL, sum(t.cost_usd))"
    measures["list_usd"] = "multiIf(calls = 0, 0, listed_calls = 0, NULL, sum(t.list_usd))"
    for time in TIMES:
        merged = f"quantilesDDMerge{_QUANTILES}(t.{time}_q)"
        levels = merged if hourly else f"quantilesDD{_QUANTILES}(t.{time}_us)"
        for index, level in ((1, "p50"), (2, "p95")):
            value = f"{levels}[{index}]"
            measures[f"{time}_{level}_us"] = f"if(isNaN({value}), NULL, toUInt64(round({value})))"
    return measures
