"""One change that could be made: what it saves, how that is known, and what would prove it."""

import math
from typing import Literal, TypedDict

import msgspec

from evaluation.reports.bounds import Bounds
from evaluation.statistics.interval import Estimate, Interval
from evaluation.statistics.power import cases_needed
from pricing.money import UNKNOWN

Kind = Literal["model", "batch", "cache", "cache_ttl", "effort", "retries", "duplicates"]
# recommended: quality is known to hold.  try: nothing but a condition that rows cannot show stands
# against it.  not enough evidence: see `collect`.
# not recommended: quality is known to fall, or nothing is saved.
Conclusion = Literal["recommended", "try", "not enough evidence", "not recommended"]
# What a claim about quality rests on; none: there is no such claim, only cost.
Rewards = Literal["feedback", "evaluation", "none"]
ORDER: tuple[Conclusion, ...] = (*("recommended", "try", "not enough evidence", "not recommended"),)
CANARY_SHARE = 0.1  # of the sessions
CALLS_MIN = 20  # of a kind, below which nothing is said about it
SESSIONS_MIN = 10
DISAGREE = 0.3  # share of cases on which two models disagree, seen in real sets: 0.23 to 0.36


class Collect(msgspec.Struct, frozen=True, kw_only=True):
    """What is missing for a decision: `number` of `what`; None: no number can be named."""

    what: str
    number: int | None
    command: str = ""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change.  Savings are in USD over the period that was asked for, `share` of the spend.

    Without enough evidence that is what could be saved if quality held; `value` is None where only
    the most is known.
    """

    kind: Kind
    title: str
    candidate: str
    to: str = ""  # another candidate, of kind `model`
    conclusion: Conclusion
    saving_usd: Bounds
    saving_share: Bounds
    spend_usd: float
    calls: int
    quality_difference: Bounds | None = None
    evidence: str
    evidence_kind: str  # replay | off-policy | repriced | observed
    rewards: Rewards = "none"
    risk: str
    canary: str
    collect: Collect | None = None

    @property
    def rank(self) -> tuple[int, float]:
        """Most sure first, then by expected saving."""
        found = self.saving_usd
        expected = found.value if found.value is not None else found.high or 0.0
        return ORDER.index(self.conclusion), -expected


def canary_of(rate: float, smallest: float, what: str = "success") -> str:
    """How to prove a change on a part of the sessions."""
    calls = calls_needed(rate, smallest, CANARY_SHARE)
    return (
        f"send {CANARY_SHARE * 100:.0f} % of the sessions there by a split; {calls:,} calls in all"
        f" show a loss of {smallest * 100:g} points of {what} in 80 % of runs; go back at once when"
        " the errors of that arm have an e-value of 20 or more"
    )


def calls_needed(rate: float, smallest: float, part: float) -> int:
    """Calls that show so small a loss, if a part of them goes to another candidate.

    A difference of shares in arms of ρ and 1 - ρ has the variance p(1-p)/ρ + p(1-p)/(1-ρ).
    """
    spread = max(rate * (1 - rate), 0.01)
    return cases_needed(spread * (1 / part + 1 / (1 - part)), smallest)


def still_needed(
    quality: Estimate, share: Bounds, smallest: float, confidence: float
) -> int | None:
    """How many more cases or calls would tell: of quality, or of the saving if quality holds.

    None: no number can be named, as the loss is too large or the saving too uncertain.
    """
    if quality.low is not None and quality.low > -smallest:
        if share.value is None or share.low is None or share.value <= 0:
            return None
        needed = math.ceil(quality.cases * ((share.value - share.low) / share.value) ** 2)
    else:
        room = smallest + min(quality.value, 0.0)
        if room <= 0:
            return None
        variance = (quality.se or math.sqrt(DISAGREE / quality.cases)) ** 2 * quality.cases
        needed = cases_needed(variance, room, confidence=confidence)
    return max(needed - quality.cases, 1)


def less(costs: Interval) -> Bounds:
    """What a ratio of costs saves: 1 less the ratio."""
    value, low, high = (
        None if each is None else 1 - each for each in (costs.value, costs.high, costs.low)
    )
    return Bounds(value, low, high)


class Saving(TypedDict):
    """What a change saves, as three of its fields."""

    saving_share: Bounds
    saving_usd: Bounds
    spend_usd: float


def saving(share: Bounds, spend: float) -> Saving:
    """A share of a spend in USD, and the same in USD."""
    value, low, high = (
        None if each is None else each * spend for each in (share.value, share.low, share.high)
    )
    return Saving(saving_share=share, saving_usd=Bounds(value, low, high), spend_usd=spend)


def percent(value: float | None) -> str:
    """A share in whole percent."""
    return UNKNOWN if value is None else f"{value * 100:.0f} %"
