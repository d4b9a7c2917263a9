"""When a rate or a factor applies: clauses about a call, all of which must hold."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pricing.usage import TermValue

Facts = Mapping[str, TermValue]
AT = "at"  # the instant that selects the price; clauses may use it like a term
SCHEDULE = "schedule"  # a named set of hours, compared with `AT`


class Op(StrEnum):
    """How a clause compares."""

    IN = "in"
    NOT = "not"
    HAS = "has"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"
    DURING = "during"


# Any: the loader only compares numbers with numbers and instants with instants.
COMPARE: Mapping[Op, Callable[[Any, Any], bool]] = {
    Op.GT: operator.gt,
    Op.GE: operator.ge,
    Op.LT: operator.lt,
    Op.LE: operator.le,
}


@dataclass(frozen=True, slots=True)
class Calendar:
    """Public holidays of a country; the list covers `first` to `last`, inclusive."""

    name: str
    first: date
    last: date
    days: frozenset[date]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Hours of the week at a fixed offset from UTC; half-open spans, which may cross midnight."""

    name: str
    hours: tuple[tuple[time, time], ...]
    weekdays: frozenset[int] = frozenset(range(7))  # Monday is 0
    offset: timedelta = timedelta(0)
    holidays: Calendar | None = None  # days on which the hours do not count

    def holds(self, at: datetime) -> bool:
        """Whether `at` lies within the hours."""
        local = at.astimezone(timezone(self.offset))
        if self.holidays is not None and local.date() in self.holidays.days:
            return False
        return self._within(local)

    def known(self, at: datetime) -> bool:
        """Whether the answer is certain; a holiday that is not listed yet could change it."""
        if self.holidays is None:
            return True
        local = at.astimezone(timezone(self.offset))
        if self.holidays.first <= local.date() <= self.holidays.last:
            return True
        return not self._within(local)

    def _within(self, local: datetime) -> bool:
        clock = local.time()
        return local.weekday() in self.weekdays and any(
            start <= clock < end if start < end else clock >= start or clock < end
            for start, end in self.hours
        )


@dataclass(frozen=True, slots=True)
class Clause:
    """Compares one fact with one value.  An unknown fact only satisfies `not`."""

    term: str
    op: Op
    value: frozenset[TermValue] | int | Decimal | datetime | str | Schedule

    def holds(self, facts: Facts) -> bool:
        """Whether the facts of a call satisfy it."""
        if isinstance(self.value, Schedule):
            at = facts.get(AT)
            return isinstance(at, datetime) and self.value.holds(at)
        fact = facts.get(self.term)
        if isinstance(self.value, frozenset):
            return (fact in self.value) is (self.op is Op.IN)
        if fact is None:
            return False
        if self.op is Op.HAS:
            return self.value in [flag.strip() for flag in str(fact).split(",")]
        try:
            return COMPARE[self.op](fact, self.value)
        except TypeError:  # a term of the wrong type, which `Tariff.unknown_terms` reports
            return False

    def implies(self, other: "Clause") -> bool:
        """Whether every call that satisfies this clause satisfies `other`; False if in doubt."""
        if self == other:
            return True
        if self.term != other.term:
            return False
        if isinstance(self.value, frozenset) and isinstance(other.value, frozenset):
            if self.op is other.op is Op.IN:
                return self.value <= other.value
            if self.op is other.op is Op.NOT:
                return self.value >= other.value
            return self.op is Op.IN and not self.value & other.value
        return self._narrower(other)

    def _narrower(self, other: "Clause") -> bool:
        if self.op not in COMPARE or other.op not in COMPARE:
            return False
        upward = (Op.GT, Op.GE)
        if (self.op in upward) is not (other.op in upward):
            return False
        if self.value == other.value:
            return self.op in (Op.GT, Op.LT)
        return COMPARE[Op.GT if self.op in upward else Op.LT](self.value, other.value)


When = frozenset[Clause]


def implies(when: When, other: When) -> bool:
    """Whether every call that satisfies `when` satisfies `other`; False if in doubt."""
    return all(any(clause.implies(wanted) for clause in when) for wanted in other)
