"""An instant of every week, such as `mon@03:00`, in a time zone.  Pure: `now` is a parameter."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FORM = re.compile(r"(\w+)@(\d{1,2}):(\d{2})")
EXPECTED = f"expected DAY@HH:MM such as mon@03:00; DAY is one of {', '.join(DAYS)}"


@dataclass(frozen=True, slots=True)
class Weekly:
    """`day` is 0 for Monday.  A time that a change of clocks skips is taken an hour later."""

    day: int
    at: time
    zone: ZoneInfo

    def last(self, now: datetime) -> datetime:
        """The newest instant that is not after `now`, in UTC."""
        return next(each for back in range(9) if (each := self._on(now, -back)) and each <= now)

    def next(self, now: datetime) -> datetime:
        """The first instant after `now`, in UTC."""
        return next(each for ahead in range(9) if (each := self._on(now, ahead)) and each > now)

    def between(self, since: datetime, until: datetime) -> list[datetime]:
        """Those after `since` and not after `until`, oldest first."""
        found, at = [], self.next(since)
        while at <= until:
            found.append(at)
            at = self.next(at)
        return found

    def _on(self, now: datetime, days: int) -> datetime | None:
        """The instant so many days from `now`; None if that is another day of the week."""
        day = now.astimezone(self.zone).date() + timedelta(days=days)
        if day.weekday() != self.day:
            return None
        return datetime.combine(day, self.at, self.zone).astimezone(UTC)


def weekly(text: str, zone: str) -> Weekly:
    """`text` as an instant of every week.  Raises ValueError that says what is expected."""
    found = FORM.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is no time of the week; {EXPECTED}")
    name, hour, minute = found[1], int(found[2]), int(found[3])
    days = [day for day in DAYS if name == day or (len(name) > 3 and _full(day) == name)]
    if not days:
        near = get_close_matches(name[:3], DAYS, n=1)
        hint = f"did you mean {near[0]}@{found[2]}:{found[3]}?" if near else EXPECTED
        raise ValueError(f"{name!r} is no day of the week; {hint}")
    if hour > 23 or minute > 59:
        raise ValueError(f"{found[2]}:{found[3]} is no time of the day; {EXPECTED}")
    return Weekly(DAYS.index(days[0]), time(hour, minute), ZoneInfo(zone))


def _full(day: str) -> str:
    stems = {"tue": "tues", "wed": "wednes", "thu": "thurs", "sat": "satur"}
    return f"{stems.get(day, day)}day"
