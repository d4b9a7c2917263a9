"""The windows in which budgets count: calendar periods in any time zone, and rolling hours.

Windows of a calendar period are a partition of time: each instant is in exactly one, whatever the
clocks do.  A day begins at the first instant at which the local date is that day or a later one, so
a day whose midnight does not exist begins when its clock starts, and one whose midnight comes
twice begins with the first.  Every boundary is a multiple of 15 minutes UTC, as all offsets in use
are, so that sums by quarter of an hour can be cut at it.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

CALENDAR = ("hour", "day", "week", "month", "quarter", "year")
TOTAL = "total"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ROLLING = re.compile(r"rolling ([1-9]\d{0,3})h")
ROLLING_HOURS_MAX = 24 * 366
BUCKET = timedelta(minutes=15)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_HOUR_BUCKETS_MAX = 8  # an hour that the clocks repeat or skip a part of is at most 2 hours long


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` to `end`, which does not belong to it; None: it never ends.  Both are UTC."""

    start: datetime
    end: datetime | None

    @property
    def id(self) -> str:
        """The same on every machine: `2026-11-01T00:00Z/2026-12-01T00:00Z`, or `total`."""
        return TOTAL if self.end is None else f"{instant_text(self.start)}/{instant_text(self.end)}"

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at and (self.end is None or at < self.end)

    def elapsed(self, at: datetime) -> float:
        """The share of the window that is over at `at`; 0 if it never ends."""
        if self.end is None:
            return 0.0
        return min(max((at - self.start) / (self.end - self.start), 0.0), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """How time is divided into windows.  `mistakes` says what is wrong with one.

    `anchor_day` is the day on which months begin: a month without it begins on its last day.
    `anchor_month` is the first month of a fiscal year, and so of its first quarter.
    """

    name: str = "month"  # one of CALENDAR, "total" or "rolling 24h"
    timezone: str = "UTC"
    week_start: str = "monday"
    anchor_day: int = 1
    anchor_month: int = 1

    @property
    def rolling(self) -> timedelta | None:
        """The length of a rolling window; None for other periods."""
        found = ROLLING.fullmatch(self.name)
        return timedelta(hours=int(found[1])) if found else None

    @property
    def resets(self) -> bool:
        """Whether a window ends and the next one starts empty."""
        return self.name in CALENDAR

    def window(self, at: datetime) -> Window:
        """The window that contains `at`, an aware instant.

        A rolling window has exactly its length and ends with the quarter of an hour that contains
        `at`: it moves on every 15 minutes.
        """
        at = at.astimezone(UTC)
        if self.name == TOTAL:
            return Window(EPOCH, None)
        if length := self.rolling:
            end = bucket(at) + BUCKET
            return Window(end - length, end)
        zone = ZoneInfo(self.timezone)
        if self.name == "hour":
            return _hour(at, zone)
        first, after = self._days(at.astimezone(zone).date())
        found = Window(_begin(first, self.timezone), _begin(after, self.timezone))
        if found.end is None or at < found.end:
            return found
        # The clocks went back over midnight: the date of `at` is that of a day that is over.
        first, after = self._days(after)
        return Window(_begin(first, self.timezone), _begin(after, self.timezone))

    def _days(self, day: date) -> tuple[date, date]:
        """The first day of the window that `day` is in, and that of the next window."""
        if self.name == "day":
            return day, day + timedelta(days=1)
        if self.name == "week":
            past = (day.weekday() - WEEKDAYS.index(self.week_start)) % 7
            first = day - timedelta(days=past)
            return first, first + timedelta(days=7)
        month = day.year * 12 + day.month - 1  # months since year 0
        if day < self._anchored(month):
            month -= 1
        size = _MONTHS[self.name]
        month -= (month - (self.anchor_month - 1)) % size
        return self._anchored(month), self._anchored(month + size)

    def _anchored(self, month: int) -> date:
        year, index = divmod(month, 12)
        last = monthrange(year, index + 1)[1]
        return date(year, index + 1, min(self.anchor_day, last))


def bucket(at: datetime) -> datetime:
    """The beginning of the quarter of an hour that contains `at`, in UTC."""
    return at - (at - EPOCH) % BUCKET


@lru_cache(maxsize=1)
def zones() -> frozenset[str]:
    """The names of all time zones that this machine knows, without those that name no place."""
    return frozenset(available_timezones() - {"Factory", "localtime"})


@lru_cache(maxsize=4096)
def _begin(day: date, timezone: str) -> datetime:
    """The first instant at which the local date is `day` or a later one."""
    zone = ZoneInfo(timezone)
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)  # fold=0: the first of two
    at = midnight.astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return at
    # The clocks skip midnight; `at` is after that, by up to the length of the gap.
    while (at - BUCKET).astimezone(zone).date() >= day:
        at -= BUCKET
    return at


def _hour(at: datetime, zone: ZoneInfo) -> Window:
    """While the clock shows one hour: longer or shorter where half hours are skipped or repeated.

    Offsets that are no multiple of 15 minutes, none of which is in use, get the hours of UTC.
    """
    start = bucket(at)
    for before in range(_HOUR_BUCKETS_MAX):
        first = start - before * BUCKET
        if first.astimezone(zone).minute == 0:
            for length in range(1, _HOUR_BUCKETS_MAX + 1):
                end = first + length * BUCKET
                if end > at and end.astimezone(zone).minute == 0:
                    return Window(first, end)
    first = at.replace(minute=0, second=0, microsecond=0)
    return Window(first, first + timedelta(hours=1))


def instant_text(at: datetime) -> str:
    """As in the id of a window: to the minute, since every boundary is a quarter of an hour."""
    return f"{at:%Y-%m-%dT%H:%MZ}"
