"""What a budget's spend means: how much is left, which thresholds were crossed, what fits.

Amounts are in the budget's unit.  Nothing here is stored: the same spend gives the same state, on
every machine and after every restart.
"""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pricing.budget import Budget, Key, alert_id
from pricing.window import Window

HUNDRED = Decimal(100)
StateName = Literal["unlimited", "ok", "warning", "spent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What one window of a budget holds, for one key.

    `spent`: the rows with a known amount.  `unknown`: what the rows without one count, and how
    many they are.  `uncertain`: what calls that were cut may have cost beyond their rows.
    `reserved`: what open calls hold back.  `refused`: calls that this budget turned away.
    """

    spent: Decimal = Decimal(0)
    unknown: Decimal = Decimal(0)
    unknown_calls: int = 0
    uncertain: Decimal = Decimal(0)
    reserved: Decimal = Decimal(0)
    refused: int = 0

    @property
    def counted(self) -> Decimal:
        """What thresholds look at: all that rows say."""
        return self.spent + self.unknown

    @property
    def committed(self) -> Decimal:
        """What the limit looks at before it lets another call pass."""
        return self.counted + self.uncertain + self.reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A budget's spend in one window, beside its limit."""

    name: StateName
    # Percent of the limit that is counted; None without a limit, or with a limit of 0.
    percent: Decimal | None
    left: Decimal | None  # None: unlimited
    crossed: tuple[Decimal, ...]  # thresholds, in ascending order


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Thresholds that were crossed since somebody was last told: one message."""

    budget: Budget
    key: Key
    window: Window
    spend: Spend
    thresholds: tuple[Decimal, ...]  # in ascending order; at least one

    @property
    def highest(self) -> Decimal:
        """The threshold that the message names."""
        return self.thresholds[-1]

    @property
    def ids(self) -> tuple[str, ...]:
        """One for each threshold; the last one is the message's."""
        return tuple(alert_id(self.budget, self.key, self.window, one) for one in self.thresholds)


def state(budget: Budget, spend: Spend) -> State:
    """Where `spend` stands."""
    limit = budget.limit
    if limit is None:
        return State(name="unlimited", percent=None, left=None, crossed=())
    passed = crossed(budget, spend)
    spent = spend.counted >= limit
    return State(
        name="spent" if spent else "warning" if passed else "ok",
        percent=spend.counted * HUNDRED / limit if limit else None,
        left=max(limit - spend.committed, Decimal(0)),
        crossed=passed,
    )


def crossed(budget: Budget, spend: Spend) -> tuple[Decimal, ...]:
    """The thresholds that `spend` has reached, in ascending order.

    The first refusal reaches 100 and all below it.  A limit of 0 is reached by the first call or
    refusal and not by an empty window: otherwise such a budget would tell of itself once a window.
    """
    limit = budget.limit
    if limit is None or (not limit and not spend.refused and not spend.counted):
        return ()
    return tuple(
        one
        for one in budget.percents
        if spend.counted * HUNDRED >= one * limit or (spend.refused and one <= HUNDRED)
    )


def crossing(
    budget: Budget, key: Key, window: Window, spend: Spend, told: Collection[str]
) -> Crossing | None:
    """What to tell now; None: nothing new.  `told` holds the ids of earlier alerts.

    Each threshold is told once in a window.  Rolling windows move on every 15 minutes: theirs are
    told again only after the spend was below the threshold, so `told` must hold the alerts that
    `ended` has not found, whatever their window, and no others.
    """
    reached = crossed(budget, spend)
    rolling = budget.windows.rolling is not None
    known: set[object] = set(map(_whose, told) if rolling else told)
    new = []
    for one in reached:
        id = alert_id(budget, key, window, one)
        if (_whose(id) if rolling else id) not in known:
            new.append(one)
    if not new:
        return None
    return Crossing(budget=budget, key=key, window=window, spend=spend, thresholds=tuple(new))


def ended(
    budget: Budget, key: Key, window: Window, spend: Spend, told: Collection[str]
) -> tuple[str, ...]:
    """The ids in `told` whose alerts are over, in order.  Others' ids are left alone.

    An alert is over with its window, by the clock; one of a rolling window once the spend is below
    the threshold.
    """
    reached = {_whose(alert_id(budget, key, window, one)) for one in crossed(budget, spend)}
    whose = _whose(alert_id(budget, key, window, ""))[0]
    own = sorted(one for one in told if _whose(one)[0] == whose)
    if budget.windows.rolling is not None:
        return tuple(one for one in own if _whose(one) not in reached)
    current = f"{whose}:{window.id}:"
    return tuple(one for one in own if not one.startswith(current))


def fits(budget: Budget, spend: Spend, amount: Decimal, *, free: bool = False) -> bool:
    """Whether a call that holds back `amount` may pass beside all that is committed.

    A spent budget lets nothing pass but calls that are known to be `free`; a limit of 0 not even
    those.
    """
    limit = budget.limit
    if limit is None or (free and limit):
        return True
    return spend.committed < limit and spend.committed + amount <= limit


def never_fits(budget: Budget, amount: Decimal) -> bool:
    """Whether a call of `amount` would exceed the limit even in an empty window."""
    limit = budget.limit
    return limit is not None and (not limit or amount > limit)


def _whose(alert: str) -> tuple[str, str]:
    """(budget and key, threshold) of an alert's id: what stays while a window rolls on."""
    whose, _, rest = alert.partition(":")
    return whose, rest.rpartition(":")[2]
