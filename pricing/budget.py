"""A budget: which calls it counts, up to which limit, in which windows, and what follows.

A budget with `*` in its scope is one budget for each value, and one for the calls without a value:
otherwise a caller would escape it by leaving the value out.  All budgets that match a call must
pass.  `mistakes` says what is wrong with a budget; nothing else here is defined for such a one.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Literal, NamedTuple
from urllib.parse import quote, unquote

from pricing.window import (
    CALENDAR,
    ROLLING_HOURS_MAX,
    TOTAL,
    WEEKDAYS,
    Period,
    Window,
    zones,
)

Unit = Literal["usd", "tokens", "calls"]
# The values of the `*` in a scope for which this budget is one: (("user", "ann"),); () without `*`.
Key = tuple[tuple[str, str], ...]

ANY = "*"
TAG = "tag."
DIMENSIONS = (
    *("project", "team", "feature", "user", "key", "client", "provider", "model", "environment"),
)
# Tags that have a column of their own and so are no `tag.NAME`, and the dimension, if it is one.
COLUMN_TAGS: Mapping[str, str] = MappingProxyType(
    {name: name for name in ("project", "environment", "team", "feature", "user")}
    | {"user-id": "user"}
    | dict.fromkeys(("session", "session-id", "prompt-name", "prompt-version", "content"), "")
)
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
FORECAST = "forecast"
CHOICES: Mapping[str, tuple[object, ...]] = MappingProxyType(
    {
        "action": ("alert", "shadow", "block", "throttle"),
        "status": (429, 402, 403),
        "reserve": ("worst", "typical", "none"),
        "unknown": ("ceiling", "refuse"),
        "fail": ("open", "closed"),
        "week_start": WEEKDAYS,
    }
)
THRESHOLD_MAX = 1000  # percent
THRESHOLDS_MAX = 20
AMOUNT_MAX = Decimal(10) ** 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One `[budgets.NAME]`.  None of a limit means that there is none; 0 blocks every call."""

    name: str
    # Dimension or `tag.NAME` → value; all must agree.  Empty: all calls.
    scope: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    limit_usd: Decimal | None = None
    limit_tokens: int | None = None
    limit_calls: int | None = None
    period: str = "month"  # hour | day | week | month | quarter | year | rolling 24h | total
    timezone: str = "UTC"
    week_start: str = "monday"
    anchor_day: int = 1  # on which a month begins; the last one where a month is shorter
    anchor_month: int = 1  # with which a fiscal year begins
    thresholds: tuple[float | str, ...] = (50.0, 80.0, 100.0)  # percent of the limit; "forecast"
    anomaly_usd: Decimal | None = None  # tell of unusual hours that cost more than this; None: no
    action: str = "alert"  # alert | shadow | block | throttle
    status: int = 429  # of a blocked call: 429 | 402 | 403
    reserve: str = "typical"  # what an open call holds back: worst | typical | none
    unknown: str = "ceiling"  # calls without a known price: ceiling | refuse
    unknown_usd: Decimal | None = None  # what each of them counts; None: found from dear models
    notify: tuple[str, ...] = ()  # names of targets; the log is always told
    close_sockets: bool = False  # close an open socket after the running response when blocked
    fail: str = "open"  # what happens to calls while the budget's state is unreadable
    hide_amounts: bool = False  # leave amounts out of answers to callers and of messages

    @property
    def unit(self) -> Unit:
        """What the budget counts."""
        if self.limit_tokens is not None:
            return "tokens"
        return "calls" if self.limit_calls is not None else "usd"

    @property
    def limit(self) -> Decimal | None:
        """The limit in its unit; None: unlimited."""
        if self.limit_usd is not None:
            return self.limit_usd
        other = self.limit_tokens if self.limit_tokens is not None else self.limit_calls
        return None if other is None else Decimal(other)

    @property
    def percents(self) -> tuple[Decimal, ...]:
        """The thresholds that are numbers, in ascending order."""
        return tuple(sorted(Decimal(str(one)) for one in self.thresholds if one != FORECAST))

    @property
    def windows(self) -> Period:
        """How time is divided for this budget."""
        return Period(
            name=self.period,
            timezone=self.timezone,
            week_start=self.week_start,
            anchor_day=self.anchor_day,
            anchor_month=self.anchor_month,
        )

    def matches(self, call: Mapping[str, str]) -> Key | None:
        """The key under which this budget counts `call`; None: it does not count it.

        `call` has a value for each of DIMENSIONS that is known, and `tag.NAME` for the other tags;
        an absent value is the same as an empty one.  `key` is the credential's configured name,
        or else its fingerprint; `model` the one that served or, before that is known, was asked.
        """
        key = []
        for dimension, wanted in self.scope.items():
            value = call.get(dimension, "")
            if wanted == ANY:
                key.append((dimension, value))
            elif value != wanted:
                return None
        return tuple(sorted(key))


def alert_id(budget: Budget, key: Key, window: Window, threshold: object) -> str:
    """`search-monthly:2026-11-01T00:00Z/2026-12-01T00:00Z:80`, the same wherever it is computed.

    `threshold` is a percentage, "forecast" or "anomaly".  Values in `key` are percent-encoded.
    """
    values = ",".join(f"{name}={quote(value, safe='')}" for name, value in key)
    whose = f"{budget.name}[{values}]" if key else budget.name
    return f"{whose}:{window.id}:{percent(threshold)}"


class AlertId(NamedTuple):
    """The parts of an alert's id; `window` is the id of one."""

    budget: str
    key: Key
    window: str
    threshold: str


def parse_alert_id(id: str) -> AlertId | None:
    """What `alert_id` was made from; None for an id that is no budget's."""
    whose, _, rest = id.partition(":")
    window, _, threshold = rest.rpartition(":")
    name, bracket, values = whose.removesuffix("]").partition("[")
    if not NAME.fullmatch(name) or not window or bool(bracket) != whose.endswith("]"):
        return None
    pairs = (value.partition("=") for value in values.split(",")) if bracket else ()
    key = tuple((dimension, unquote(value)) for dimension, _, value in pairs)
    return AlertId(name, key, window, threshold)


def percent(threshold: object) -> str:
    """A threshold as text: `80`, `99.5`, `forecast`."""
    if isinstance(threshold, str):
        return threshold
    text = f"{Decimal(str(threshold)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def mistakes(budget: Budget) -> Iterator[tuple[str, str]]:
    """(field, what is wrong with it) of everything that can be told from the budget alone."""
    if not NAME.fullmatch(budget.name):
        yield "", "invalid name; use up to 64 of a-z, 0-9, '.', '_' and '-'"
    yield from _scope_mistakes(budget.scope)
    yield from _limit_mistakes(budget)
    yield from _period_mistakes(budget)
    yield from _threshold_mistakes(budget)
    for name, choices in CHOICES.items():
        if (value := getattr(budget, name)) not in choices:
            yield name, f"expected {' | '.join(map(str, choices))}, got {value!r}"
    if budget.limit is None and budget.action != "alert":
        yield (
            "action",
            f'"{budget.action}" needs a limit; set limit_usd, limit_tokens or limit_calls',
        )
    if budget.close_sockets and budget.action in ("alert", "throttle"):
        yield "close_sockets", f'has no effect with action = "{budget.action}"'
    if budget.unknown == "refuse" and budget.unknown_usd is not None:
        yield "unknown_usd", 'contradicts unknown = "refuse"; remove one of them'


def _scope_mistakes(scope: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in scope.items():
        tag = name.removeprefix(TAG)
        if name != tag and tag in COLUMN_TAGS:
            own = COLUMN_TAGS[tag]
            hint = f'; write {own} = "{value}"' if own else ""
            yield f"scope.{name}", f"{tag} is not among the free tags, so no call matches{hint}"
        elif name == tag and name not in DIMENSIONS:
            yield f"scope.{name}", "unknown dimension"
        elif not tag:
            yield f"scope.{name}", 'expected a tag\'s name, as in tag.squad = "red"'
        if not value:
            yield f"scope.{name}", 'must not be empty; "*" means one budget for each value'
        elif ANY in value and value != ANY:
            yield f"scope.{name}", f'{value!r}: only "*" alone stands for any value'


def _limit_mistakes(budget: Budget) -> Iterator[tuple[str, str]]:
    limits = ("limit_usd", "limit_tokens", "limit_calls")
    for name in (*limits, "unknown_usd", "anomaly_usd"):
        value = getattr(budget, name)
        if value is None:
            continue
        if not Decimal(value).is_finite() or not 0 <= value < AMOUNT_MAX:
            least = "; 0 blocks every call, and without it there is no limit"
            yield name, f"expected at least 0, got {value}{least if name in limits else ''}"
    given = [name for name in limits if getattr(budget, name) is not None]
    for name in given[1:]:
        yield name, f"{given[0]} is set too; use one budget for each limit"


def _period_mistakes(budget: Budget) -> Iterator[tuple[str, str]]:
    period, rolling = budget.period, budget.windows.rolling
    if period not in (*CALENDAR, TOTAL) and rolling is None:
        known = f"{' | '.join(CALENDAR)} | rolling 24h | total"
        yield "period", f"expected {known}, got {period!r}"
    elif rolling is not None and rolling.total_seconds() > ROLLING_HOURS_MAX * 3600:
        yield "period", f"expected at most rolling {ROLLING_HOURS_MAX}h, got {period!r}"
    if budget.timezone not in zones():
        yield "timezone", f"unknown time zone {budget.timezone!r}"
    for name, most in (("anchor_day", 31), ("anchor_month", 12)):
        if not 1 <= (value := getattr(budget, name)) <= most:
            yield name, f"expected 1 to {most}, got {value}"
    fits = {
        "week_start": ("monday", ("week",)),
        "anchor_day": (1, ("month", "quarter", "year")),
        "anchor_month": (1, ("quarter", "year")),
    }
    valid = period in (*CALENDAR, TOTAL) or rolling is not None
    for name, (default, periods) in fits.items():
        if valid and getattr(budget, name) != default and period not in periods:
            only = " or ".join(periods)
            yield name, f'has no effect with period = "{period}", only with {only}'


def _threshold_mistakes(budget: Budget) -> Iterator[tuple[str, str]]:
    seen = set()
    if len(budget.thresholds) > THRESHOLDS_MAX:
        yield "thresholds", f"expected at most {THRESHOLDS_MAX}, got {len(budget.thresholds)}"
    for one in budget.thresholds:
        if isinstance(one, str):
            if one != FORECAST:
                yield "thresholds", f'expected numbers (percent) or "forecast", got {one!r}'
            elif not budget.windows.resets:
                yield (
                    "thresholds",
                    f'"forecast" needs a window that ends; period is "{budget.period}"',
                )
        elif not 0 < one <= THRESHOLD_MAX:
            yield "thresholds", f"expected a percentage above 0, up to {THRESHOLD_MAX}, got {one:g}"
        if one in seen:
            yield "thresholds", f"{percent(one)} is listed twice"
        seen.add(one)
