"""The macros of Grafana's ClickHouse plugin, and Grafana's own variables, in a panel's SQL.

As documented in https://github.com/grafana/clickhouse-datasource (README.md and
pkg/macros/macros.go, read 2026-11-29); their examples are the tests of this module.
What is not one of them raises ValueError: SQL that is half expanded would answer something else.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from proxy.dashboards.times import Range
from proxy.dashboards.variables import Bound, Choice

ALL_MACRO = "$__conditionalAll("
_NAMES = re.compile(r"\$(?:\{(\w+)(?::(\w+))?\}|(\w+))")
_QUOTES = "'\"`"


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a statement is expanded with; `bound` gets the values that it binds."""

    over: Range
    step_s: int
    choices: Mapping[str, Choice]
    bound: Bound = field(default_factory=Bound)

    def sql(self, text: str) -> str:
        """`text` without a macro or a variable.  Raises ValueError."""
        while (start := text.rfind(ALL_MACRO)) >= 0:  # from the innermost outwards
            parts, end = arguments(text, start + len(ALL_MACRO))
            condition, variable = _exactly(parts, 2, "conditionalAll")
            choice = self._choice(variable.strip("${} "))
            text = f"{text[:start]}{'1=1' if choice.is_all else condition}{text[end:]}"
        while found := self._last(text):
            text = f"{text[: found.start()]}{self._expanded(text, found)}"
        return text

    def _last(self, text: str) -> re.Match[str] | None:
        return max(_NAMES.finditer(text), key=lambda found: found.start(), default=None)

    def _expanded(self, text: str, found: re.Match[str]) -> str:
        """The text from `found` on, its name replaced."""
        braced, form, plain = found.groups()
        name, rest = braced or plain, text[found.end() :]
        if not name.startswith("__"):
            return self.bound.written(self._choice(name), form or "") + rest
        if name in self._values:
            return self._values[name] + rest
        macro = _MACROS.get(name)
        if macro is None or not rest.startswith("("):
            raise ValueError(f"unknown macro ${name}")
        parts, end = arguments(text, found.end() + 1)
        count, write = macro
        return write(self, *_exactly(parts, count, name)) + text[end:]

    def _choice(self, name: str) -> Choice:
        if name not in self.choices:
            raise ValueError(f"unknown variable ${name}")
        return self.choices[name]

    @property
    def _values(self) -> Mapping[str, str]:
        """Macros and global variables without arguments.  The back end takes them as calls too."""
        since, until = self.over.start, self.over.end
        return {
            "__fromTime": _seconds(since),
            "__toTime": _seconds(until),
            "__fromTime_ms": _milliseconds(since),
            "__toTime_ms": _milliseconds(until),
            "__interval_s": str(self.step_s),
            "__interval_ms": str(self.step_s * 1000),
            "__from": str(_epoch_ms(since)),
            "__to": str(_epoch_ms(until)),
            "__range_s": str(round(self.over.seconds)),
            "__range_ms": str(round(self.over.seconds * 1000)),
            "__timezone": self.over.zone,
        }

    def time_filter(self, column: str) -> str:
        return self._between(column, _seconds)

    def time_filter_ms(self, column: str) -> str:
        return self._between(column, _milliseconds)

    def date_filter(self, column: str) -> str:
        return self._between(column, self._date)

    def date_time_filter(self, date: str, time: str) -> str:
        return f"({self.date_filter(date)}) AND ({self.time_filter(time)})"

    def time_from(self, column: str) -> str:
        return f"{column} >= {_seconds(self.over.start)}"

    def time_to(self, column: str) -> str:
        return f"{column} <= {_seconds(self.over.end)}"

    def time_interval(self, column: str) -> str:
        return f"toStartOfInterval(toDateTime({column}), INTERVAL {self.step_s} second)"

    def time_interval_ms(self, column: str) -> str:
        ms = self.step_s * 1000
        return f"toStartOfInterval(toDateTime64({column}, 3), INTERVAL {ms} millisecond)"

    def _between(self, column: str, write: Callable[[datetime], str]) -> str:
        since, until = write(self.over.start), write(self.over.end)
        return f"{column} >= {since} AND {column} <= {until}"

    def _date(self, at: datetime) -> str:
        return f"toDate('{at.astimezone(ZoneInfo('UTC')):%Y-%m-%d}')"


# Name → how many arguments, and what it writes.
_MACROS: Mapping[str, tuple[int, Callable[..., str]]] = {
    "__timeFilter": (1, Expansion.time_filter),
    "__timeFilter_ms": (1, Expansion.time_filter_ms),
    "__dateFilter": (1, Expansion.date_filter),
    "__dateTimeFilter": (2, Expansion.date_time_filter),
    "__dt": (2, Expansion.date_time_filter),
    "__timeFrom": (1, Expansion.time_from),
    "__timeTo": (1, Expansion.time_to),
    "__timeInterval": (1, Expansion.time_interval),
    "__timeInterval_ms": (1, Expansion.time_interval_ms),
}


def arguments(text: str, start: int) -> tuple[list[str], int]:
    """The arguments of a call whose bracket opens before `start`, and the index after it.

    Brackets and commas in quotes are text.  Raises ValueError if it does not close.
    """
    depth, begin, quote = 1, start, ""
    parts: list[str] = []
    index = start
    while index < len(text):
        sign = text[index]
        if quote:
            if sign == "\\":
                index += 1
            elif sign == quote:
                quote = ""
        elif sign in _QUOTES:
            quote = sign
        elif sign in "()[]":
            depth += 1 if sign in "([" else -1
            if not depth:
                return [*parts, text[begin:index].strip()], index + 1
        elif sign == "," and depth == 1:
            parts.append(text[begin:index].strip())
            begin = index + 1
        index += 1
    raise ValueError(f"a macro does not close: {text[start : start + 60]}")


def _exactly(parts: list[str], count: int, name: str) -> list[str]:
    if len(parts) != count or not all(parts):
        raise ValueError(f"${name} takes {count} arguments, not {len(parts)}")
    return parts


def _epoch_ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _seconds(at: datetime) -> str:
    return f"toDateTime({int(at.timestamp())})"


def _milliseconds(at: datetime) -> str:
    return f"fromUnixTimestamp64Milli({_epoch_ms(at)})"
