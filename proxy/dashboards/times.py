"""Times and steps as Grafana writes them: `now-7d`, `now/d`, milliseconds since 1970, ISO 8601.

https://grafana.com/docs/grafana/latest/visualizations/dashboards/use-dashboards/ (time units and
relative ranges).  Days, weeks, months and years are those of the viewer's zone; weeks begin on
Monday.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from zoneinfo import ZoneInfo

from proxy.query.asked import Mistake

FORMS = "expected now-7d, now/d, milliseconds since 1970, or a time such as 2026-11-01T12:00:00Z"
_RELATIVE = re.compile(r"now((?:[+-]\d{1,5}[smhdwMy]|/[smhdwMy])*)")
_PART = re.compile(r"([+-]\d+|/)([smhdwMy])")
_EXACT = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}
_DAYS = {"d": 1, "w": 7}
_MONTHS = {"M": 1, "y": 12}
_INTERVAL = re.compile(r"(\d{1,5})([smhdw])")
# Grafana rounds steps to these: seconds up to which → step (`roundInterval` of @grafana/data).
_STEPS = (
    *((1.5, 1), (3.5, 2), (7.5, 5), (12.5, 10), (17.5, 15), (25, 20), (45, 30), (90, 60)),
    *((210, 120), (450, 300), (750, 600), (1_050, 900), (1_500, 1_200), (2_700, 1_800)),
    *((5_400, 3_600), (9_000, 7_200), (16_200, 10_800), (32_400, 21_600), (86_400, 43_200)),
    *((604_800, 86_400), (1_814_400, 604_800)),
)
_LONGEST_S = 2_592_000


@dataclass(frozen=True, slots=True)
class Range:
    """A closed range as a dashboard has it, and the zone in which its days are."""

    start: datetime
    end: datetime
    zone: str

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


def time_range(since: str, until: str, now: datetime, zone: str) -> Range:
    """From Grafana's `from` and `to`.  Raises Mistake for what is no time, and an empty range."""
    start, end = moment(since, now, zone), moment(until, now, zone, end=True)
    if start >= end:
        raise Mistake(
            f"the range from {since} to {until} is empty", "to must be after from", "from"
        )
    return Range(start, end, zone)


def moment(text: str, now: datetime, zone: str, *, end: bool = False) -> datetime:
    """An instant in UTC; `end` rounds `/d` to the last millisecond of the day.  Raises Mistake."""
    name = "to" if end else "from"
    try:
        if found := _RELATIVE.fullmatch(text):
            at = now.astimezone(ZoneInfo(zone))
            for sign, unit in _PART.findall(found[1]):
                at = _rounded(at, unit, end=end) if sign == "/" else _moved(at, int(sign), unit)
            return at.astimezone(UTC)
        if re.fullmatch(r"-?\d{1,14}", text):
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise Mistake(f"invalid {name} {text[:100]!r}", FORMS, name) from error
    return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def moves(text: str) -> bool:
    """Whether a time passes as the clock does, and not only from day to day."""
    return text.startswith("now") and "/" not in text


def steady(asked: Range, step_s: int, since: str, until: str) -> Range:
    """The range on whole steps where it moves, so that all who look within a step ask the same."""
    start, end = asked.start, asked.end
    if moves(since):
        start = datetime.fromtimestamp(start.timestamp() // step_s * step_s, UTC)
    if moves(until):
        end = datetime.fromtimestamp(ceil(end.timestamp() / step_s) * step_s, UTC)
    return Range(start, end, asked.zone)


def step_s(seconds: float, points: int, least: str = "") -> int:
    """Seconds of a step: about `points` of them, not below `least`, such as `1m` or `>1m`."""
    exact = max(seconds / points, interval_s(least.removeprefix(">")) if least else 1)
    return next((step for most, step in _STEPS if exact < most), _LONGEST_S)


def interval_s(text: str) -> int:
    """The seconds of `30s`, `5m`, `1h`, `1d` or `1w`.  Raises ValueError."""
    if not (found := _INTERVAL.fullmatch(text)):
        raise ValueError(f"invalid interval {text!r}; expected such as 30s, 5m or 1h")
    number, unit = int(found[1]), found[2]
    return number * int(_EXACT.get(unit, timedelta(days=_DAYS.get(unit, 0))).total_seconds())


def _moved(at: datetime, number: int, unit: str) -> datetime:
    if unit in _EXACT:  # on the line of time; the others by the calendar
        return (at.astimezone(UTC) + number * _EXACT[unit]).astimezone(at.tzinfo)
    if unit in _DAYS:
        return at + timedelta(days=number * _DAYS[unit])
    months = at.year * 12 + at.month - 1 + number * _MONTHS[unit]
    year, month = divmod(months, 12)
    first = at.replace(year=year, month=month + 1, day=1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(at.day, last.day))


def _rounded(at: datetime, unit: str, *, end: bool) -> datetime:
    """The beginning of the unit, or the last millisecond in it."""
    start = at.replace(microsecond=0)
    if unit != "s":
        start = start.replace(second=0)
    if unit in "hdwMy":
        start = start.replace(minute=0)
    if unit in "dwMy":
        start = start.replace(hour=0, fold=0)
    if unit == "w":
        start -= timedelta(days=start.weekday())
    if unit in "My":
        start = start.replace(day=1)
    if unit == "y":
        start = start.replace(month=1)
    return _moved(start, 1, unit) - timedelta(milliseconds=1) if end else start
