"""What one budget says about a call, and what all budgets together say.  No I/O.

Amounts are whole numbers of 1e-18 of the budget's unit (`layout`).
"""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from pricing.budget import Budget, Key
from pricing.window import Window


class Cause(StrEnum):
    """Why a budget refuses a call."""

    SPENT = "spent"  # not before the window ends
    RESERVED = "reserved"  # what open calls hold back would have to be free: in seconds, perhaps
    NEVER = "never_fits"  # more than the limit, in any window
    UNPRICED = "unpriced"  # its price is unknown, and the budget takes no such calls
    UNREADABLE = "unreadable"  # the state cannot be read, and `fail = "closed"`


class Want(msgspec.Struct, frozen=True):
    """What a call wants of one budget for one key; a value."""

    budget: Budget
    key: Key
    amount: int  # at most; what a budget with `reserve = "typical"` holds back may be less
    free: bool = False  # known to cost nothing
    priced: bool = True  # False: `amount` is unknown, and the budget refuses such calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One budget that refuses, or would."""

    budget: Budget
    key: Key
    cause: Cause
    window: Window
    committed: int = 0  # counted and uncertain
    reserved: int = 0
    amount: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`refused` is what the caller is told; None: the call passes.

    `by` are the budgets that refuse; if it passes, those that would have (`action = "shadow"`).
    """

    refused: Refusal | None = None
    by: tuple[str, ...] = ()


PASSES = Verdict()


def judged(want: Want, limit: int, committed: int, reserved: int) -> tuple[Cause | None, int]:
    """Why the budget refuses (None: it does not), and what the call holds back if it passes.

    A spent budget lets nothing pass but calls that are known to be free; a limit of 0 not even
    those.
    """
    if want.free and limit:
        return None, 0
    if not want.priced:
        return Cause.UNPRICED, 0
    amount, left = want.amount, limit - committed - reserved
    if want.budget.reserve == "typical":  # any call passes while something is left
        amount = min(amount, max(left, 0))
    if left > 0 and amount <= left:
        return None, amount
    if not limit or amount > limit:
        return Cause.NEVER, amount
    alone = committed < limit and committed + amount <= limit
    return (Cause.RESERVED if alone else Cause.SPENT), amount


# Whom the caller is told of if several refuse: the one that it has to wait for longest.
_HARDNESS = (Cause.RESERVED, Cause.UNREADABLE, Cause.SPENT, Cause.UNPRICED, Cause.NEVER)


def combined(refusals: list[Refusal]) -> Verdict:
    """All budgets must pass; those with `action = "shadow"` only say what they would have done."""
    if not refusals:
        return PASSES
    hard = [one for one in refusals if one.budget.action != "shadow"]
    if not hard:
        return Verdict(None, tuple(one.budget.name for one in refusals))
    return Verdict(max(hard, key=_hardness), tuple(one.budget.name for one in hard))


def _hardness(refusal: Refusal) -> tuple[bool, int, float]:
    blocks = refusal.budget.action == "block"
    end = refusal.window.end
    return (
        blocks,
        _HARDNESS.index(refusal.cause),
        end.timestamp() if end is not None else float("inf"),
    )
