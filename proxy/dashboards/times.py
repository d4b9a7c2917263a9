"""Times and steps as Grafana writes them: `now-7d`, `now/d`, milliseconds since 1970, ISO 8601.

https://grafana.com/docs/grafana/latest/visualizations/dashboards/use-dashboards/ (time units and
relative ranges), and `parseDateMath` of @grafana/data: a number that is left out is 1, blanks are
nothing.  Days, weeks, months, quarters and years are those of the viewer's zone; weeks begin on
Monday, and fiscal years in January, as `fiscalYearStartMonth` of our dashboards says.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from zoneinfo import ZoneInfo

from proxy.instants import BARE_PLUS, iso_instant
from proxy.query.asked import Mistake

FORMS = "expected now-7d, now/d, milliseconds since 1970, or a time such as 2026-11-01T12:00:00Z"
_UNIT = "(?:[smhdwM]|f?[Qy])"
_RELATIVE = re.compile(rf"now((?:(?:[+-]\d{{0,5}}|/){_UNIT})*)", re.ASCII)
_PART = re.compile(rf"([+-]\d*|/)({_UNIT})", re.ASCII)
_LOST_PLUS = re.compile(r"(?<=\w) +(?=\d)")  # "now+1h" in a query that was not percent-encoded
_MS = re.compile(r"-?\d{1,14}", re.ASCII)
_DAY = re.compile(r"\d{8}", re.ASCII)  # 20261101, which Grafana takes for a date as well
_EXACT = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}
_DAYS = {"d": 1, "w": 7}
_MONTHS = {"M": 1, "Q": 3, "y": 12}
_INTERVAL = re.compile(r"(\d{1,5})([smhdw])")
# Grafana rounds steps to these: seconds up to which → step (`roundInterval` of @grafana/data).
_STEPS = (
    *((1.5, 1), (3.5, 2), (7.5, 5), (12.5, 10), (17.5, 15), (25, 20), (45, 30), (90, 60)),
    *((210, 120), (450, 300), (750, 600), (1_050, 900), (1_500, 1_200), (2_700, 1_800)),
    *((5_400, 3_600), (9_000, 7_200), (16_200, 10_800), (32_400, 21_600), (86_400, 43_200)),
    *((604_800, 86_400), (1_814_400, 604_800)),
)
_LONGEST_S = 2_592_000
_SHARED_POINTS = 1_000  # steps of a range to which it is rounded: too few to be seen


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
        if found := _RELATIVE.fullmatch(_LOST_PLUS.sub("+", text.strip()).replace(" ", "")):
            at = now.astimezone(ZoneInfo(zone))
            for sign, unit in _PART.findall(found[1]):
                at = _changed(at, sign, unit.removeprefix("f"), end=end)
            return at.astimezone(UTC)
        if _MS.fullmatch(text) and not _DAY.fullmatch(text):
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        return iso_instant(BARE_PLUS.sub(r"+\1", text), ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Mistake(f"invalid {name} {text[:100]!r}", FORMS, name) from error


def moves(text: str) -> bool:
    """Whether a time passes as the clock does, and not only from day to day."""
    return text.startswith("now") and "/" not in text


def steady(asked: Range, since: str, until: str) -> Range:
    """The range on whole steps where it moves, so that all who look within a step ask the same.

    The step follows from the range alone: all panels of a page cover the same calls.
    """
    start, end, step_s = asked.start, asked.end, shared_s(asked.seconds)
    if moves(since):
        start = datetime.fromtimestamp(start.timestamp() // step_s * step_s, UTC)
    if moves(until):
        end = datetime.fromtimestamp(ceil(end.timestamp() / step_s) * step_s, UTC)
    return Range(start, end, asked.zone)


def shared_s(seconds: float) -> int:
    """The seconds to which a range that moves is rounded, outwards."""
    return step_s(seconds, _SHARED_POINTS)


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


def _changed(at: datetime, sign: str, unit: str, *, end: bool) -> datetime:
    """After one part: `sign` is "/", or a number with its sign, of which 1 may be left out."""
    if sign == "/":
        return _rounded(at, unit, end=end)
    return _moved(at, int(sign if len(sign) > 1 else f"{sign}1"), unit)


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
    if unit in "hdwMQy":
        start = start.replace(minute=0)
    if unit in "dwMQy":
        start = start.replace(hour=0, fold=0)
    if unit == "w":
        start -= timedelta(days=start.weekday())
    if unit in "MQy":
        start = start.replace(day=1)
    if unit == "Q":
        start = start.replace(month=start.month - (start.month - 1) % 3)
    if unit == "y":
        start = start.replace(month=1)
    if not end:
        return start
    # On the line of time: where clocks go back at midnight, the last hour of a day comes twice.
    after = _moved(start, 1, unit).astimezone(UTC)
    return (after - timedelta(milliseconds=1)).astimezone(at.tzinfo)
