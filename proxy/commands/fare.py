"""The fare of a run: usage and cost of its calls, and why some have no price."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TextIO

import msgspec

from exporters.clickhouse.calls_sql import CallsQuestion
from exporters.clickhouse.query import Query
from exporters.clickhouse.report_sql import PER_SUCCESS
from exporters.clickhouse.reports import NOTHING, report
from exporters.clickhouse.store import Row, Store
from pricing.cause import parse
from pricing.money import amount, calls, doubts, money
from proxy.commands import terminal
from proxy.commands.terminal import Column, count, seconds
from proxy.metering.unpriced import NAMING, command
from proxy.settings.config import Config
from proxy.settings.places import store_dsn

UNMETERED = (
    "Taximeter: the command was connected to {} itself, past Taximeter: those calls are not in the "
    "fare. See docs/clients.md for how to set its base URL."
)
REASONS_MAX = 8  # lines shown
CALLS_MAX = 10_000  # newest calls whose reasons are counted
MONEY: Sequence[Column] = (
    Column("calls", "calls", number=True),
    Column("input", "input", number=True),
    Column("output", "output", number=True),
    Column("cost", "cost", money=True),
    Column("list", "list price", money=True, shed=1),
    Column("doubts", "calls not exact"),
    Column("p50", "first token p50", number=True, shed=2),
    Column("p95", "p95", number=True, shed=3),
)
SUCCESS: Sequence[Column] = (
    Column("successes", "successes", number=True),
    Column("each", "cost per success", money=True),
)


class Fare(msgspec.Struct, frozen=True, kw_only=True):
    """`total` is a row like those of `models`; `reasons` counts calls that are not fully priced.

    `unmetered` are providers to which the command was connected itself, and of which no call came.
    """

    total: Row
    models: Sequence[Row]
    reasons: Mapping[str, int]
    unmetered: Sequence[str] = ()
    unpriced: Sequence[str] = ()  # provider/model


NO_CALLS = Fare(total=NOTHING.total, models=[], reasons={}, unpriced=[])


async def of(config: Config) -> Fare:
    """The fare of all calls in the configured store.  Raises TransientError."""
    store = Store(store_dsn(config), database=config.store.database)
    try:
        return await read(store)
    finally:
        await store.close()


async def read(store: Store) -> Fare:
    """The fare of all calls in `store`.  Raises TransientError."""
    found = await report(store, Query(by=("provider", "model")))
    total, models = found.total, found.rows
    reasons: Counter[str] = Counter()
    unpriced: dict[str, None] = {}
    for call in await store.calls(CallsQuestion(limit=CALLS_MAX)):
        if call["cost_usd"] is None or call["cost_status"] == "partial":
            model = call["response_model"] or call["request_model"] or "no model"
            why = ", ".join(_list(call["reasons"])) or str(call["outcome"])
            reasons[f"{call['provider']}/{model}: {why}"] += 1
            named = [
                cause for cause in map(parse, _list(call["reasons"])) if cause.reason in NAMING
            ]
            unpriced |= {f"{call['provider']}/{cause.detail}": None for cause in named}
    names = list(unpriced)[:REASONS_MAX]
    return Fare(total=total, models=models, reasons=dict(reasons.most_common()), unpriced=names)


def show(fare: Fare, to: TextIO) -> None:
    """Print the fare, and what it lacks."""
    _show(fare, to)
    if fare.unmetered:
        terminal.say(UNMETERED.format(", ".join(fare.unmetered)), to)


def _show(fare: Fare, to: TextIO) -> None:
    if not fare.total["calls"]:
        terminal.say("Taximeter: no calls.", to)
        return
    total, shown = fare.total, cells(fare.total)
    failed = f" ({count(total['errors'])} failed)" if total["errors"] else ""
    cost = money(total["cost_usd"], str(total["cost_status"]), _number(total["unpriced_calls"]))
    terminal.say(
        f"Taximeter: {calls(_number(total['calls']))}{failed}, {shown['input']} tokens in, "
        f"{shown['output']} out, {cost}",
        to,
    )
    columns = (Column("provider", "provider"), Column("model", "model"), *MONEY)
    terminal.show(columns, [cells(row) for row in fare.models], to)
    for reason, number in list(fare.reasons.items())[:REASONS_MAX]:
        terminal.say(f"not fully priced: {number:,} x {reason}", to)
    for name in fare.unpriced:
        terminal.say(f"to add its price: {command(*name.split('/', 1))}", to)
    if len(fare.reasons) > REASONS_MAX:
        more = len(fare.reasons) - REASONS_MAX
        terminal.say(f"and {more:,} more reasons (use --json to see all)", to)


def cells(row: Mapping[str, object]) -> dict[str, str]:
    """The cells of a row of `Store.report` by column key; group columns are unchanged."""
    return {name: str(value) for name, value in row.items()} | {
        "calls": count(row["calls"]),
        "input": count(row["input_tokens_total"]),
        "output": count(row["output_tokens_total"]),
        "cost": amount(row["cost_usd"], str(row["cost_status"])),
        "list": amount(row["list_usd"], str(row["list_status"])),
        "doubts": doubts(
            _number(row["unpriced_calls"]),
            _number(row["partial_calls"]),
            _number(row["inexact_calls"]),
        ),
        "p50": seconds(row["first_token_p50_us"]),
        "p95": seconds(row["first_token_p95_us"]),
        "each": _each(row),
    }


def _each(row: Mapping[str, object]) -> str:
    """What a success cost; as far to be trusted as the cost."""
    each = row.get(PER_SUCCESS)
    return "-" if each is None else amount(each, str(row["cost_status"]))


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _list(value: object) -> list[str]:
    return list(map(str, value)) if isinstance(value, list) else []
