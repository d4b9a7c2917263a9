"""Compares what callers saw, what the provider answered and what the store holds."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from evaluation.standin.processes import Row
from trials.faults.callers import SeenCall

SETTLE_S = 45.0
POLL_S = 0.25
TOLD_OF_ROWS = (  # of a row that differs from the answer
    *("outcome", "cost_status", "usage_origin", "input_tokens_total", "output_tokens_total"),
    *("reasons", "error_type", "dropped_bytes", "source"),
)
ROLLED_UP = ("input_tokens_total", "output_tokens_total", "cost_usd")


@dataclass(slots=True, kw_only=True)
class AuditResult:
    """One line of the table.

    `cut` counts calls that broke because the process that carried them died; `errors` counts every
    other failure that a caller saw.  `lost` calls were dispatched and have no row.  `wrong` counts
    finished calls whose totals differ from the provider's, and rollups that differ from the rows.
    """

    fault: str
    rounds: int = 1
    calls: int = 0
    cut: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    errors: int = 0
    notes: list[str] = field(default_factory=list)
    skipped: bool = False

    @property
    def ok(self) -> bool:
        return not (self.lost or self.doubled or self.wrong or self.errors)

    def check(self, holds: bool, what: str) -> None:
        """Note a claim, and count it as wrong if it does not hold."""
        self.notes.append(what if holds else f"FALSE: {what}")
        self.wrong += not holds


def dispatched(answers: Iterable[dict[str, Any]], group: str) -> dict[str, dict[str, Any]]:
    """The provider's answers by ticket.  Raises ValueError if a call reached it twice."""
    found: dict[str, dict[str, Any]] = {}
    for exchange in answers:
        body = exchange["received"]["body"] or ""
        _, mark, rest = body.partition("ticket ")
        ticket = rest.partition('"')[0]
        if mark and ticket.rpartition("-")[0] == group:
            if ticket in found:
                raise ValueError(f"call {ticket} reached the provider twice")
            found[ticket] = exchange["answered"]
    return found


async def settled(
    rows: Callable[[], Awaitable[list[Row]]], count: int, timeout_s: float = SETTLE_S
) -> list[Row]:
    """The rows once there are `count`, or those there are at the timeout."""
    deadline = time.monotonic() + timeout_s
    while len(found := await rows()) < count and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)
    return found


async def agreeing(read: Callable[[], Awaitable[Row]], rows: Sequence[Row]) -> Row:
    """The rollup once it is the sum of `rows`, or as it is at the timeout.

    The store fills it a moment after the table.
    """
    deadline = time.monotonic() + SETTLE_S
    while not same_sums(rows, found := await read()) and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)
    return found


def compare(
    result: AuditResult,
    seen: Sequence[SeenCall],
    answers: dict[str, dict[str, Any]],
    rows: Sequence[Row],
    rollup: Row | None = None,
    *,
    totals: bool = True,
    cuts: bool = False,
) -> None:
    """Add what one group of calls shows to `result`.

    `totals`: whether every body was kept.  `cuts`: whether a process that carries calls was killed.
    """
    by_ticket = Counter(str(row["tags"]["ticket"]) for row in rows)
    result.calls += len(seen)
    result.lost += sum(not by_ticket[ticket] for ticket in answers)
    result.doubled += sum(count - 1 for count in by_ticket.values())
    row_of = {str(row["tags"]["ticket"]): row for row in rows}
    ours: Counter[str] = Counter()
    for call in seen:
        row = row_of.get(call.ticket)
        if not call.finished:
            cut = cuts and (row is None or row["outcome"] == "interrupted")
            result.cut += cut
            result.errors += not cut
            ours[f"{call.error}, row: {row['outcome'] if row else 'none'}"] += not cut
        elif row is not None and totals and not exact(row, answers[call.ticket]):
            result.wrong += 1
            told = {name: row.get(name) for name in TOLD_OF_ROWS}
            result.notes.append(f"{call.ticket}: {told}, answered {answers[call.ticket]['usage']}")
    result.notes += [f"{count} callers saw {what}" for what, count in ours.items() if count]
    if rollup is not None and rows and not same_sums(rows, rollup):
        result.wrong += 1
        result.notes.append(f"rollup {rollup} is not the sum of the rows")


def exact(row: Row, answered: dict[str, Any]) -> bool:
    """Whether the row of a finished call has the totals that the provider billed."""
    usage = answered["usage"]
    return bool(
        row["outcome"] == "ok"
        and row["cost_status"] == "exact"
        and row["input_tokens_total"] == usage["input_total"]
        and row["output_tokens_total"] == usage["output_total"]
    )


def same_sums(rows: Sequence[Row], rollup: Row) -> bool:
    """Whether the rollup is exactly the sum of these rows."""
    if rollup.get("calls", 0) != len(rows):
        return False
    return all(
        sum((Decimal(str(row[name])) for row in rows if row[name] is not None), Decimal(0))
        == Decimal(str(rollup.get(name) or 0))
        for name in ROLLED_UP
    )
