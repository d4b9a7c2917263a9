"""The SQL that asks for what budgets count: sums over quarters of an hour, for one scope."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from exporters.clickhouse.query import microseconds
from pricing.budget import ANY, TAG

Bound = dict[str, str | int | bool]
Step = Literal["", "bucket", "hour"]

# Dimension of a scope → its column; tags are told by `TAG`.
COLUMNS = {
    **{name: name for name in ("project", "team", "feature", "client", "provider", "model")},
    "environment": "environment",
    "user": "user_id",
    "key": "key_id",
}
SUMS = (
    *("calls", "tokens", "uncounted_calls", "cost_usd", "unknown_calls"),
    *("unknown_input_tokens", "unknown_output_tokens", "unmeasured_calls"),
)
KINDS = ("provider", "operation")  # by which the price of an unknown call is estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendQuestion:
    """What calls in `scope` that began in the half-open period have cost.

    `since` and `until` are multiples of 15 minutes; None: without an end.  `step` divides the
    answer by time.
    """

    scope: Mapping[str, str]
    since: datetime
    until: datetime | None = None
    step: Step = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The dimensions that are `*`, in order: an answer's first columns."""
        return tuple(sorted(name for name, value in self.scope.items() if value == ANY))

    def sql(self) -> tuple[str, Bound]:
        """Rows of the keys' values, KINDS, the beginning of the step in epoch seconds, and SUMS."""
        where, bound = self._where()
        keys = {f"k{n}": _column(name, bound) for n, name in enumerate(self.keys)}
        at = {"": "toInt64(0)", "bucket": "t.bucket", "hour": "toStartOfHour(t.bucket)"}[self.step]
        columns = [f"{sql} AS {name}" for name, sql in keys.items()]
        columns += [f"t.{name} AS {name}" for name in KINDS]
        columns.append(f"toInt64({at}) AS at")
        columns += [f"sum(t.{name}) AS {name}" for name in SUMS]
        return (
            f"SELECT {', '.join(columns)} FROM {self._table()} AS t WHERE {where}"
            f" GROUP BY {', '.join((*keys, *KINDS, 'at'))}",
            bound,
        )

    def contributors(self, by: tuple[str, ...], most: int) -> tuple[str, Bound]:
        """Rows of the values of the dimensions `by` and `cost_usd`, the highest first."""
        where, bound = self._where()
        columns = {f"k{n}": _column(name, bound) for n, name in enumerate(by)}
        table = "spend_tags_15m" if "user" in by else self._table()
        return (
            f"SELECT {', '.join(f'{sql} AS {name}' for name, sql in columns.items())},"
            f" sum(t.cost_usd) AS cost_usd FROM {table} AS t WHERE {where}"
            f" GROUP BY {', '.join(columns)} ORDER BY cost_usd DESC, {', '.join(columns)}"
            f" LIMIT {most:d}",
            bound,
        )

    def _table(self) -> str:
        open_ended = any(name == "user" or name.startswith(TAG) for name in self.scope)
        return "spend_tags_15m" if open_ended else "spend_15m"

    def _where(self) -> tuple[str, Bound]:
        bound: Bound = {"since": microseconds(self.since) // 1_000_000}
        where = ["t.bucket >= fromUnixTimestamp({since:Int64})"]
        if self.until is not None:
            where.append("t.bucket < fromUnixTimestamp({until:Int64})")
            bound["until"] = microseconds(self.until) // 1_000_000
        for number, (name, value) in enumerate(self.scope.items()):
            if value != ANY:
                where.append(f"{_column(name, bound)} = {{v{number}:String}}")
                bound[f"v{number}"] = value
        return " AND ".join(where), bound


def _column(dimension: str, bound: Bound) -> str:
    """A dimension as SQL; the name of a tag is bound."""
    if not dimension.startswith(TAG):
        return f"t.{COLUMNS[dimension]}"
    name = f"t{len(bound)}"
    bound[name] = dimension.removeprefix(TAG)
    return f"arrayFirst(tag -> tag.1 = {{{name}:String}}, t.tags).2"
