"""Spreads what is paid however much is called over the calls that share it.  Pure.

A fixed cost accrues evenly over each of its windows (an hour, a day, a month or a year, in UTC).
What has accrued is shared by the calls of the window in proportion to a weight; a window without
calls leaves it idle.  Arithmetic is in fractions, so shares add up to what accrued; each is rounded
once, at the end.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction

from exporters.record import SCALE
from pricing.window import Period

WINDOWS_MAX = 20_000  # of one cost: two years of hours
Group = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedCost:
    """`usd` for each window; `first` is its first day (UTC), `end` the day after the last."""

    name: str
    usd: Decimal
    per: str
    first: date | None = None
    end: date | None = None


@dataclass(frozen=True, slots=True)
class Accrued:
    """A window, and what has accrued in it."""

    start: datetime
    end: datetime
    usd: Fraction


@dataclass(slots=True)
class Spread:
    """What a cost comes to: the shares of groups, and what no call shares."""

    by_group: dict[Group, Fraction] = field(default_factory=dict)
    accrued: Fraction = Fraction(0)  # of all windows that the period touches
    idle: Fraction = Fraction(0)  # in windows without a call

    @property
    def spread(self) -> Fraction:
        """The shares together."""
        return sum(self.by_group.values(), Fraction(0))


def accrued(cost: FixedCost, since: datetime, until: datetime, now: datetime) -> list[Accrued]:
    """The windows that a period touches.  Raises ValueError for more than WINDOWS_MAX."""
    period, found, at = Period(name=cost.per), list[Accrued](), since
    first, end = (_midnight(one) for one in (cost.first, cost.end))
    while at < until:
        window = period.window(at)
        assert window.end is not None
        stop = window.end
        start, over = max(window.start, first or window.start), min(stop, end or stop, now)
        if over > start:
            share = Fraction(_us(over - start), _us(stop - window.start))
            found.append(Accrued(window.start, stop, Fraction(cost.usd) * share))
        if len(found) > WINDOWS_MAX:
            raise ValueError(f"more than {WINDOWS_MAX:,} windows; ask for a shorter period")
        at = stop
    return found


def spread(
    windows: Sequence[Accrued],
    totals: Iterable[tuple[datetime, Decimal]],
    shares: Iterable[tuple[datetime, Group, Decimal]],
) -> Spread:
    """Share what accrued.  `totals` are weights of all calls that share, `shares` of groups.

    Both are by the time of the calls; what is in no window does not share.
    """
    sums = dict.fromkeys((one.start for one in windows), Fraction(0))
    for at, weight in totals:
        if (window := _window(windows, at)) is not None:
            sums[window.start] += Fraction(weight)
    found = Spread()
    for one in windows:
        found.accrued += one.usd
        if not sums[one.start]:
            found.idle += one.usd
    for at, group, weight in shares:
        window = _window(windows, at)
        if window is not None and sums[window.start]:
            usd = window.usd * Fraction(weight) / sums[window.start]
            found.by_group[group] = found.by_group.get(group, Fraction(0)) + usd
    return found


def rounded(usd: Fraction) -> Decimal:
    """To 18 places, as all amounts of rows."""
    return Decimal(round(usd / Fraction(SCALE))) * SCALE


def together(spreads: Mapping[str, Spread]) -> Iterator[tuple[Group, Fraction]]:
    """The shares of each group in all costs."""
    found: dict[Group, Fraction] = {}
    for one in spreads.values():
        for group, usd in one.by_group.items():
            found[group] = found.get(group, Fraction(0)) + usd
    yield from found.items()


def _window(windows: Sequence[Accrued], at: datetime) -> Accrued | None:
    low, high = 0, len(windows)
    while low < high:
        middle = (low + high) // 2
        if at < windows[middle].end:
            high = middle
        else:
            low = middle + 1
    return windows[low] if low < len(windows) and windows[low].start <= at else None


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)


def _us(length: timedelta) -> int:
    return length // timedelta(microseconds=1)
