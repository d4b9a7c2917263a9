"""Where a window's spend will end, with an interval from the method's own past errors.

The expected amount of an hour is the median of its hour of the week over the last weeks, times a
level: what the last seven days were, relative to their own expectation.  The same method is
replayed over the past at the same horizon, and its errors there give the interval (split conformal
prediction).  With little history it is the daily rate and says so; with less there is none.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from math import ceil, floor
from statistics import median
from typing import Literal
from zoneinfo import ZoneInfo

from pricing.window import EPOCH, Window

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
WEEKS_MAX = 8  # that medians look back
HISTORY_MIN = 3 * DAY  # below it there is no forecast
SEASONAL_MIN = 14 * DAY  # below it the daily rate
ELAPSED_MIN = 0.05  # of the window
LEVEL_MIN, LEVEL_MAX = Decimal("0.25"), Decimal(4)
REPLAYS_MAX = 56  # one origin a day
# The ranks of 10 % and 90 % exist from 9 errors on: floor(0.1 * (9 + 1)) = 1.
REPLAYS_MIN = 9
CONFIRM = HOUR  # between two forecasts that confirm each other
NONE = Decimal(0)

Method = Literal["hour_of_week", "daily_rate"]


@dataclass(frozen=True, slots=True)
class History:
    """Amounts by whole UTC hour, without gaps: an hour without calls is 0, not missing.

    `start` is the first hour in which amounts were recorded at all.
    """

    start: datetime
    amounts: Sequence[Decimal]

    def __post_init__(self) -> None:
        if (self.start - EPOCH) % HOUR:
            raise ValueError(f"{self.start} is not the beginning of a UTC hour")

    @property
    def first(self) -> int:
        """The number of the first hour since the epoch."""
        return (self.start - EPOCH) // HOUR

    @property
    def end(self) -> datetime:
        """The end of the last hour."""
        return self.start + len(self.amounts) * HOUR

    def between(self, start: datetime, end: datetime) -> "History":
        """The part from `start` up to `end`, in whole hours within both."""
        first = max(ceil((start - self.start) / HOUR), 0)
        last = max(floor((end - self.start) / HOUR), first)
        return History(self.start + first * HOUR, self.amounts[first:last])

    def total(self) -> Decimal:
        """The sum of all amounts."""
        return sum(self.amounts, NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the window will hold at its end.  `low` and `high` are None where errors are too few."""

    at: datetime
    window: Window
    amount: Decimal
    low: Decimal | None  # 10 %
    high: Decimal | None  # 90 %
    method: Method

    @property
    def little_history(self) -> bool:
        """Whether messages must mark it as a rough one."""
        return self.method == "daily_rate"


def forecast(
    history: History, window: Window, spent: Decimal, now: datetime, timezone: str = "UTC"
) -> Forecast | None:
    """Where `window` will end; None: it never ends, has hardly begun, or too little is known.

    `history` may go on after `now`, which is not looked at.
    """
    now = now.astimezone(UTC)
    past = history.between(history.start, now)
    known = past.end - past.start
    if window.end is None or now not in window:
        return None
    if known < HISTORY_MIN or window.elapsed(now) < ELAPSED_MIN:
        return None
    rest = window.end - now
    if known < SEASONAL_MIN:
        more, method, errors = _daily_rate(past, rest), "daily_rate", []
    else:
        more, method = _expected_rest(past, now, rest, timezone), "hour_of_week"
        errors = _replayed(past, rest, timezone)
    low, high = _interval(errors)
    return Forecast(
        at=now,
        window=window,
        amount=spent + more,
        low=None if low is None else spent + max(more + low, NONE),
        high=None if high is None else spent + max(more + high, NONE),
        method="daily_rate" if method == "daily_rate" else "hour_of_week",
    )


def exceeds(limit: Decimal, current: Forecast, earlier: Forecast | None) -> bool:
    """Whether to tell that `limit` will be exceeded.

    Yes if the lower bound says so; else the forecast itself must, and so must an earlier one of
    the same window, made at least an hour before.
    """
    if current.low is not None and current.low > limit:
        return True
    return (
        current.amount > limit
        and earlier is not None
        and earlier.window == current.window
        and current.at - earlier.at >= CONFIRM
        and earlier.amount > limit
    )


@lru_cache(maxsize=16_384)  # a replay asks for the same hours again and again
def hour_of_week(hour: int, timezone: str) -> int:
    """Of the UTC hour with this number: 0 is Monday from midnight to one, by the local clocks."""
    local = (EPOCH + hour * HOUR).astimezone(ZoneInfo(timezone))
    return local.weekday() * 24 + local.hour


def _daily_rate(past: History, rest: timedelta) -> Decimal:
    return past.total() * _ratio(rest, past.end - past.start)


def _expected_rest(past: History, now: datetime, rest: timedelta, timezone: str) -> Decimal:
    """The amount expected from `now` on for the length of `rest`."""
    recent = past.between(now - WEEKS_MAX * WEEK, now)
    medians = _medians(recent, timezone)
    week = recent.between(recent.end - WEEK, recent.end)
    usual = sum(
        (medians[hour_of_week(week.first + n, timezone)] for n in range(len(week.amounts))), NONE
    )
    actual = week.total()
    if not usual:  # medians are blind to spend that comes in rare hours
        return _daily_rate(week, rest)
    level = min(max(actual / usual, LEVEL_MIN), LEVEL_MAX)
    end = now + rest
    hour, last = (now - EPOCH) // HOUR, (end - EPOCH) // HOUR
    expected = NONE
    for each in range(hour, last + 1):
        expected += medians.get(hour_of_week(each, timezone), NONE)
    # Of the first hour what is left, of the last what belongs to the window.
    before, after = _ratio((now - EPOCH) % HOUR, HOUR), 1 - _ratio((end - EPOCH) % HOUR, HOUR)
    expected -= medians.get(hour_of_week(hour, timezone), NONE) * before
    expected -= medians.get(hour_of_week(last, timezone), NONE) * after
    return expected * level


def _medians(history: History, timezone: str) -> Mapping[int, Decimal]:
    by_hour: dict[int, list[Decimal]] = defaultdict(list)
    for number, amount in enumerate(history.amounts, history.first):
        by_hour[hour_of_week(number, timezone)].append(amount)
    return {hour: median(amounts) for hour, amounts in by_hour.items()}


def _replayed(past: History, rest: timedelta, timezone: str) -> list[Decimal]:
    """Actual minus expected, where the method looked `rest` ahead from a past instant."""
    errors: list[Decimal] = []
    whole = -(-rest // HOUR) * HOUR  # hours are not cut: the past is known by the hour
    origin = past.end - whole
    while origin - past.start >= SEASONAL_MIN and len(errors) < REPLAYS_MAX:
        actual = past.between(origin, origin + whole).total()
        expected = _expected_rest(past.between(past.start, origin), origin, whole, timezone)
        errors.append(actual - expected)
        origin -= DAY
    return errors


def _interval(errors: Sequence[Decimal]) -> tuple[Decimal | None, Decimal | None]:
    """The 10 % and 90 % ranks among the errors, as conformal prediction takes them."""
    count = len(errors)
    if count < REPLAYS_MIN:
        return None, None
    ordered = sorted(errors)
    return ordered[(count + 1) // 10 - 1], ordered[-(-9 * (count + 1) // 10) - 1]


def _ratio(part: timedelta, whole: timedelta) -> Decimal:
    microsecond = timedelta(microseconds=1)
    return Decimal(part // microsecond) / Decimal(whole // microsecond)
