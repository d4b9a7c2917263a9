"""How a budget came to hold what it holds: its window by steps of time, and who contributed most.

From the same sums as the budget itself; calls of unknown price are counted beside the amounts.
No I/O: the rows of the store come in.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from exporters.clickhouse.spend import SpendQuestion, Step
from pricing.budget import ANY, Budget, Key
from pricing.charge import plain
from pricing.window import Window

FINE_MAX = timedelta(days=3)  # windows up to this are shown by quarters of an hour
POINTS_MAX = 1_000  # of an answer; more of them are added up
CONTRIBUTORS_MAX = 10
AMOUNTS = {"usd": "cost_usd", "tokens": "tokens", "calls": "calls"}
BY = ("team", "model")  # whom a contributor is told by


def question(budget: Budget, key: Key, window: Window) -> SpendQuestion:
    """What the calls of this budget and key cost in its window, step by step."""
    length = (window.end or datetime.now(UTC)) - window.start
    scope = dict(budget.scope) | dict(key)
    step: Step = "bucket" if length <= FINE_MAX else "hour"
    return SpendQuestion(scope=scope, since=window.start, until=window.end, step=step)


def dimensions(budget: Budget) -> tuple[str, ...]:
    """By what contributors are told: not by what its scope fixes."""
    return tuple(name for name in BY if budget.scope.get(name, ANY) == ANY)


def points(budget: Budget, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Each step with its amount, the sum so far, and its calls of unknown price, oldest first."""
    column = AMOUNTS[budget.unit]
    steps: dict[int, tuple[Decimal, int]] = {}
    for row in rows:
        amount, unknown = steps.get(row["at"], (Decimal(0), 0))
        steps[row["at"]] = (amount + Decimal(str(row[column])), unknown + row["unknown_calls"])
    found, total = list[dict[str, object]](), Decimal(0)
    merged = -(-len(steps) // POINTS_MAX) or 1
    ordered = sorted(steps.items())
    for first in range(0, len(ordered), merged):
        group = ordered[first : first + merged]
        amount = sum((each for _, (each, _) in group), Decimal(0))
        total += amount
        found.append(
            {
                "at": datetime.fromtimestamp(group[0][0], UTC).isoformat().replace("+00:00", "Z"),
                "amount": plain(amount),
                "total": plain(total),
                "unknown_calls": sum(unknown for _, (_, unknown) in group),
            }
        )
    return found


def contributors(budget: Budget, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Who spent most, in USD: the values of `dimensions`, and `cost_usd`."""
    names = dimensions(budget)
    return [
        {name: row[f"k{n}"] for n, name in enumerate(names)} | {"cost_usd": row["cost_usd"]}
        for row in rows
    ]
