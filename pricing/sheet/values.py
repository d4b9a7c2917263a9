"""Reads the values of a tariff file: prices, conditions, instants.  Raises ValueError."""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache

from pricing.condition import AT, SCHEDULE, Calendar, Clause, Op, Schedule, When
from pricing.tariff import Ladder, Volume
from pricing.terms import TERMS, Term, service_tier, valid
from pricing.usage import UNITS, Meter, TermValue, Unit

PRICE_DIGITS_MAX = 20  # of one price, factor or step; see `tariff.EXACT`
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NUMBER_OPS = (Op.GT, Op.GE, Op.LT, Op.LE)

# The part of a key after the currency → how many of which unit the price is for.
PER: Mapping[str, Mapping[Unit, int]] = {
    "per_mtok": {Unit.TOKEN: 1_000_000},
    "per_mtok_hour": {Unit.TOKEN_HOUR: 1_000_000},
    "per_mchar": {Unit.CHARACTER: 1_000_000},
    "per_thousand": {Unit.THING: 1_000},
    "each": {Unit.THING: 1},
    "per_second": {Unit.SECOND: 1},
    "per_minute": {Unit.SECOND: 60, Unit.MINUTE: 1},
    "per_hour": {Unit.SECOND: 3_600, Unit.MINUTE: 60, Unit.HOUR: 1},
    "per_gb_day": {Unit.GB_DAY: 1},
}
PRICE_KEY = re.compile(r"([a-z]{3})_(per_[a-z_]+|each)")
Prices = Mapping[Meter, tuple[tuple[Decimal, ...], Decimal]]  # figures, and what they are per


def number(value: object, *, least: int = 0) -> Decimal:
    """An exact number of at least `least`.  Text is refused: it could hide a unit or a sign."""
    if type(value) is not int and not isinstance(value, Decimal):
        raise ValueError(f"expected a plain number, found {value!r}")
    figure = Decimal(value)
    if not figure.is_finite() or figure < least:
        raise ValueError(f"expected a number of {least} or more, found {value}")
    if (
        len(figure.as_tuple().digits) > PRICE_DIGITS_MAX
        or abs(figure.adjusted()) > PRICE_DIGITS_MAX
    ):
        raise ValueError(f"expected at most {PRICE_DIGITS_MAX} digits, found {value}")
    return figure


def positive(value: object) -> Decimal:
    """An exact number above 0."""
    figure = number(value)
    if figure == 0:
        raise ValueError("expected a number above 0")
    return figure


def truth(value: object) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, found {value!r}")
    return value


def text(value: object) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"expected text, found {value!r}")
    return value


def texts(value: object) -> tuple[str, ...]:
    """One text, or a list of them."""
    found = value if isinstance(value, list) else [value]
    if not found:
        raise ValueError("expected at least one entry, found an empty list")
    return tuple(text(item) for item in found)


def instant(value: object) -> datetime:
    """An instant with its zone: prices change at instants, not on dates."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError(
            f"expected an instant with a zone such as 2026-11-20T00:00:00Z, found {value}"
        )
    return value


def day(value: object) -> date:
    """A calendar date."""
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError(f"expected a date such as 2026-11-20, found {value}")
    return value


def table(value: object) -> Mapping[str, object]:
    """A table."""
    if not isinstance(value, dict):
        raise ValueError(f"expected a table, found {value!r}")
    return value


@lru_cache(maxsize=256)  # half of what loading the book takes
def _named(pattern: str) -> tuple[Meter, ...]:
    return tuple(meter for meter in Meter if fnmatchcase(meter.value, pattern))


def meters(pattern: str, units: Iterable[Unit]) -> list[Meter]:
    """The meters that `pattern` names, all of one of `units`."""
    named = _named(pattern)
    if not named:
        raise ValueError(f"unknown meter {pattern!r}")
    fitting = [meter for meter in named if UNITS[meter] in units]
    if not fitting:
        keys = (key for key, counts in PER.items() if UNITS[named[0]] in counts)
        raise ValueError(f"{pattern!r} has another unit; after the currency, use {', '.join(keys)}")
    return fitting


def prices(key: str, value: object) -> Prices:
    """Prices and their `per` by meter, from a table such as `usd_per_mtok = {input = 3}`."""
    units = PER.get(key[4:])
    if units is None:
        raise ValueError(f"unknown unit; after the currency, use {', '.join(PER)}")
    found: dict[Meter, tuple[tuple[Decimal, ...], Decimal]] = {}
    ordered = sorted(table(value).items(), key=lambda item: "*" not in item[0])  # exact names last
    for pattern, price in ordered:
        figures = tuple(number(step) for step in (price if isinstance(price, list) else [price]))
        for meter in meters(pattern, units):
            found[meter] = figures, Decimal(units[UNITS[meter]])
    return found


def ladder(value: object) -> Ladder:
    """Steps by volume: `{counter = "month.tokens", mode = "marginal", steps = [0, 1_000]}`."""
    found = table(value)
    if set(found) != {"counter", "mode", "steps"}:
        raise ValueError("expected exactly counter, mode and steps")
    steps = found["steps"]
    if not isinstance(steps, list) or len(steps) < 2:
        raise ValueError("steps: expected a list of two or more numbers")
    figures = tuple(number(step) for step in steps)
    if figures[0] != 0 or list(figures) != sorted(set(figures)):
        raise ValueError("steps: expected 0 first, then increasing numbers")
    try:
        mode = Volume(text(found["mode"]))
    except ValueError:
        raise ValueError('mode: expected "marginal" or "whole_call"') from None
    return Ladder(text(found["counter"]), mode, figures)


def when(value: object, schedules: Mapping[str, Schedule]) -> When:
    """Conditions: `{service_tier = "flex", prompt_tokens = {gt = 272_000}, schedule = "peak"}`."""
    clauses: list[Clause] = []
    for name, wanted in table(value).items():
        if name == SCHEDULE:
            schedule = schedules.get(text(wanted))
            if schedule is None:
                raise ValueError(f"unknown schedule {wanted!r}")
            clauses.append(Clause(SCHEDULE, Op.DURING, schedule))
        elif name == AT:
            bounds = table(wanted).items()
            clauses += [Clause(AT, Op(op), instant(bound)) for op, bound in bounds if _is_bound(op)]
        elif name in TERMS:
            clauses += _clauses(TERMS[name], wanted)
        else:
            raise ValueError(f"unknown term {name!r}")
    return frozenset(clauses)


def _is_bound(op: str) -> bool:
    if op not in NUMBER_OPS:
        raise ValueError(f"unknown comparison {op!r}; use gt, ge, lt or le")
    return True


def _clauses(term: Term, wanted: object) -> list[Clause]:
    if not isinstance(wanted, dict):
        return [Clause(term.value, Op.IN, term_values(term, wanted))]
    clauses = []
    for op, value in wanted.items():
        if op == Op.NOT:
            clauses.append(Clause(term.value, Op.NOT, term_values(term, value)))
        elif op == Op.HAS and term.kind is str:
            clauses.append(Clause(term.value, Op.HAS, text(value)))
        elif term.kind is int and _is_bound(op):
            clauses.append(Clause(term.value, Op(op), number(value)))
        else:
            raise ValueError(f"{term.value} cannot be compared with {op!r}")
    return clauses


def term_values(term: Term, wanted: object) -> frozenset[TermValue]:
    """One value of a term, or a list of them; each must be one that a call can have."""
    return frozenset(
        _value(term, value) for value in (wanted if isinstance(wanted, list) else [wanted])
    )


def _value(term: Term, value: object) -> TermValue:
    if not isinstance(value, str | int | Decimal | datetime) or not valid(term, value):
        raise ValueError(f"{term.value}: expected {term.kind.__name__}, found {value!r}")
    if term is Term.SERVICE_TIER:
        if value == "batch":
            raise ValueError('use processing = "batch" for batches')
        if (known := service_tier(str(value))) != value:
            raise ValueError(f"service_tier: {value!r} means {known!r}; write that")
    return value


def schedule(name: str, value: object, calendars: Mapping[str, Calendar]) -> Schedule:
    """Hours of the week: `hours`, and optionally `weekdays`, `utc_offset`, `except_holidays`."""
    found = table(value)
    extra = set(found) - {"hours", "weekdays", "utc_offset", "except_holidays"}
    if extra:
        raise ValueError(f"unknown key {sorted(extra)[0]!r}")
    days = texts(found.get("weekdays", list(WEEKDAYS)))
    if not set(days) <= set(WEEKDAYS):
        raise ValueError(f"weekdays: expected some of {', '.join(WEEKDAYS)}")
    country = found.get("except_holidays")
    if country is not None and country not in calendars:
        raise ValueError(f"unknown calendar {country!r}")
    return Schedule(
        name=name,
        hours=tuple(_span(span) for span in texts(found.get("hours"))),
        weekdays=frozenset(WEEKDAYS.index(item) for item in days),
        offset=_offset(text(found.get("utc_offset", "+00:00"))),
        holidays=None if country is None else calendars[text(country)],
    )


def _span(value: str) -> tuple[time, time]:
    found = re.fullmatch(r"(\d\d:\d\d)-(\d\d:\d\d)", value)
    if not found:
        raise ValueError(f"hours: expected a span such as 09:00-12:00, found {value!r}")
    return time.fromisoformat(found[1]), time.fromisoformat(found[2].replace("24:00", "00:00"))


def _offset(value: str) -> timedelta:
    found = re.fullmatch(r"([+-])(\d\d):(\d\d)", value)
    if not found:
        raise ValueError(f"utc_offset: expected an offset such as +08:00, found {value!r}")
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return -offset if found[1] == "-" else offset


def calendar(name: str, value: object) -> Calendar:
    """Public holidays: `covers = [first, last]`, `days`, `source`, `checked`."""
    found = table(value)
    if set(found) != {"covers", "days", "source", "checked"}:
        raise ValueError("expected exactly covers, days, source and checked")
    covers, days = found["covers"], found["days"]
    if not isinstance(covers, list) or len(covers) != 2 or not isinstance(days, list):
        raise ValueError("expected covers = [FIRST, LAST] and days = [DATE, …]")
    text(found["source"])
    day(found["checked"])
    return Calendar(name, day(covers[0]), day(covers[1]), frozenset(day(item) for item in days))
