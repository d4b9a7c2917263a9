"""Published prices as values: rules, factors, and a `Tariff` for each model and period.

A rule prices meters under conditions; the first rule that holds and names a meter prices it.  A
factor multiplies what it applies to, except a price that was published for the factor's own
conditions.  `Tariff.selection` resolves this once for each combination of conditions that occurs,
and remembers it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from enum import StrEnum
from types import MappingProxyType

from pricing.cause import Cause, about
from pricing.condition import AT, SCHEDULE, Facts, Schedule, When, implies
from pricing.reason import Reason
from pricing.terms import TERMS, Term, valid
from pricing.usage import Meter, TermValue

# Exact: enough digits for the price of one unit (`EACH_DIGITS_MAX`) times any quantity
# (`charge_line.QUANTITY_DIGITS_MAX`), and for their sums.  Rounded: for divisions that may not
# terminate, such as a price by the hour or in another currency.
_TRAPS = [InvalidOperation, DivisionByZero, Overflow]
EXACT = Context(prec=200, traps=[*_TRAPS, Inexact])
ROUNDED = Context(prec=40, traps=_TRAPS)
EACH_DIGITS_MAX = 120

SELECTIONS_MAX = 1_024  # combinations of conditions remembered for one tariff

# What a meter is billed as if the tariff does not name it.  Only where providers do so: a one-hour
# cache write at the five-minute rate, for example, would be a wrong bill that looks right.
FALLBACK: Mapping[Meter, tuple[Meter, ...]] = MappingProxyType(
    {
        Meter.OUTPUT_REASONING: (Meter.OUTPUT,),
        Meter.INPUT_IMAGE: (Meter.INPUT,),
        Meter.INPUT_VIDEO: (Meter.INPUT,),
        Meter.INPUT_DOCUMENT: (Meter.INPUT_IMAGE, Meter.INPUT),
        Meter.INPUT_TOOL_USE: (Meter.INPUT,),
        Meter.CACHE_READ_IMAGE: (Meter.CACHE_READ,),
        Meter.CACHE_READ_VIDEO: (Meter.CACHE_READ,),
        Meter.CACHE_READ_DOCUMENT: (Meter.CACHE_READ_IMAGE, Meter.CACHE_READ),
        Meter.CACHE_WRITE: (Meter.CACHE_WRITE_5M, Meter.CACHE_WRITE_30M),  # the default lifetimes
    }
)
# Counted by dialects, charged by hardly any provider: free unless the tariff names them.
FREE_UNLESS_NAMED = frozenset({Meter.REQUESTS, Meter.CALLS_FUNCTION, Meter.CALLS_STRUCTURED_OUTPUT})


class Volume(StrEnum):
    """How steps by volume apply: to each unit, or the step that is reached to the whole call."""

    MARGINAL = "marginal"
    WHOLE_CALL = "whole_call"


@dataclass(frozen=True, slots=True)
class Ladder:
    """Steps by volume.  `steps[i]` is how many units come before price i; the first is 0.

    `counter` names what was used earlier in its window, such as `month.tokens`, or is `call`, which
    starts at 0.  A free allowance is a step with price 0.
    """

    counter: str
    mode: Volume
    steps: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Prices of some meters under `when`.  `prices` has one entry, or one per step of `ladder`.

    `per` is in the meter's unit: 1,000,000 tokens, 3,600 seconds.  `unpriced` meters are sold under
    these conditions at an unknown price: no later rule prices them.
    """

    id: str  # file:line
    source: str
    when: When = frozenset()
    prices: Mapping[Meter, tuple[Decimal, ...]]
    per: Mapping[Meter, Decimal]
    unpriced: frozenset[Meter] = frozenset()
    currency: str = "USD"
    ladder: Ladder | None = None
    minimum: Decimal | None = None  # least quantity billed
    round_up: Decimal | None = None  # quantities are billed in blocks of so many
    models: tuple[str, ...] = ()  # patterns, for a rule of the whole provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A surcharge (above 1) or discount (below 1) on the meters in `apply`."""

    name: str
    factor: Decimal
    when: When = frozenset()
    apply: frozenset[Meter]
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What one meter costs under known conditions, with its factors.

    `each` is the exact price of one unit if it terminates, so that a line is one multiplication.
    """

    prices: tuple[Decimal, ...]
    per: Decimal
    factors: tuple[tuple[str, Decimal], ...]
    each: tuple[Decimal | None, ...]
    rule: Rule

    @property
    def plain(self) -> bool:
        """One price, in US dollars, for the quantity as it is: nearly every rate."""
        return self.linear and self.rule.currency == "USD"

    @property
    def linear(self) -> bool:
        """One price for the quantity as it is."""
        rule = self.rule
        return rule.ladder is None and rule.minimum is None and rule.round_up is None


class _Memory:
    """Where a frozen tariff remembers what was derived from it."""

    __slots__ = ("compiled",)

    def __init__(self) -> None:
        self.compiled: _Compiled | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What one provider charges for one model in one half-open period."""

    provider: str
    names: tuple[str, ...]  # exact names and patterns
    start: datetime | None  # None: no earlier price is known
    end: datetime | None = None  # None: until the next period of the same name
    source: str
    checked: date
    known_from: date | None = None  # the first day on which a source shows these prices
    via: str = ""  # the price set that the figures came through
    rules: tuple[Rule, ...]
    factors: tuple[Factor, ...] = ()
    same_price: Mapping[str, frozenset[TermValue]] = field(default_factory=dict)
    by_completion: bool = False  # the end of the call selects the price, not its start
    minimum_usd: Decimal | None = None  # least charge of a request
    line: int = 0
    file: str = ""
    _memory: _Memory = field(default_factory=_Memory, init=False, repr=False, compare=False)

    @property
    def id(self) -> str:
        """`provider/name@start`, with the first of its names."""
        start = "" if self.start is None else f"@{self.start:%Y-%m-%dT%H:%M:%SZ}"
        return f"{self.provider}/{self.names[0]}{start}"

    @property
    def first_known(self) -> date | None:
        """The day from which these prices are evidence: `known_from`, else the day of `from`.

        None if the file states neither: they hold at any time.  Every shipped tariff states one.
        """
        if self.known_from is not None or self.start is None:
            return self.known_from
        return self.start.date()

    def known_at(self, at: datetime) -> bool:
        """Whether these prices are evidence for an instant, and not a guess about the past."""
        first = self.first_known
        return first is None or at.astimezone(UTC).date() >= first

    def names_meter(self, meter: Meter) -> bool:
        """Whether any rule prices `meter`, under whatever conditions."""
        return meter in self._compiled().named

    def unknown_holidays(self, at: datetime) -> list[Cause]:
        """A reason for each schedule whose calendar does not cover `at`."""
        return [
            about(Reason.UNKNOWN_HOLIDAYS, schedule.holidays.name)
            for schedule in self._compiled().schedules
            if schedule.holidays is not None and not schedule.known(at)
        ]

    def selection(self, facts: Facts) -> "Selection":
        """The rates in force under `facts`; one object for each outcome of the conditions."""
        compiled = self._compiled()
        key = 0
        for bit, clause in compiled.clauses:
            if clause.holds(facts):
                key |= bit
        found = compiled.selections.get(key)
        if found is None:
            if len(compiled.selections) >= SELECTIONS_MAX:
                compiled.selections.clear()
            holding = frozenset(clause for bit, clause in compiled.clauses if key & bit)
            found = compiled.selections[key] = Selection(self, compiled, holding)
        return found

    def _compiled(self) -> "_Compiled":
        memory = self._memory
        if memory.compiled is None:
            memory.compiled = _Compiled(self)
        return memory.compiled


class Selection:
    """The rates of a tariff for calls that satisfy exactly the clauses in `holding`."""

    def __init__(self, tariff: Tariff, compiled: "_Compiled", holding: When) -> None:
        self._rules = [rule for rule in tariff.rules if rule.when <= holding]
        self._factors = [factor for factor in tariff.factors if factor.when <= holding]
        # Terms whose value one of these was stated for.
        conditions = [*(rule.when for rule in self._rules), *(f.when for f in self._factors)]
        self._settled = frozenset(clause.term for when in conditions for clause in when)
        self._asked, self._compared = compiled.asked, compiled.compared
        self._same_price = tariff.same_price
        self._named = tariff.names_meter
        self._rates: dict[Meter, Rate | None] = {}

    def unknown_terms(self, facts: Facts) -> list[Cause]:
        """A reason for each value of a term that none of these rates is stated for.

        That some other row of the tariff names the value proves nothing: a flex price for long
        prompts alone says nothing about short ones.
        """
        return [
            about(Reason.UNKNOWN_TERM, f"{name}={value}")
            for name, value in facts.items()
            if name != AT and ((term := TERMS.get(name)) is None or not self._knows(term, value))
        ]

    def _knows(self, term: Term, value: TermValue) -> bool:
        if not valid(term, value):
            return False
        if value in term.plain or value in self._same_price.get(term.value, ()):
            return True
        if term.value not in self._asked:
            return not term.strict
        return term.value in self._settled or term.value in self._compared

    def rate(self, meter: Meter) -> Rate | None:
        """The rate of `meter`, or of what it is billed as; None if there is no price."""
        if meter not in self._rates:
            self._rates[meter] = self._find(meter)
        return self._rates[meter]

    def _find(self, meter: Meter) -> Rate | None:
        for candidate in (meter, *FALLBACK.get(meter, ())):
            for rule in self._rules:
                if candidate in rule.unpriced:
                    return None
                if candidate in rule.prices:
                    return self._rate(candidate, rule)
            if self._named(candidate):
                return None  # priced, but not under these conditions: a fallback would be a guess
        return None

    def _rate(self, meter: Meter, rule: Rule) -> Rate:
        factors = tuple(
            (factor.name, factor.factor)
            for factor in self._factors
            if meter in factor.apply and not (factor.when and implies(rule.when, factor.when))
        )
        each = tuple(_each(price, factors, rule.per[meter]) for price in rule.prices[meter])
        return Rate(
            prices=rule.prices[meter], per=rule.per[meter], factors=factors, each=each, rule=rule
        )


def _each(price: Decimal, factors: Iterable[tuple[str, Decimal]], per: Decimal) -> Decimal | None:
    """The price of one unit; None if it does not terminate, or not within `EACH_DIGITS_MAX`."""
    try:
        for _, factor in factors:
            price = EXACT.multiply(price, factor)
        each = EXACT.divide(price, per)
    except Inexact:
        return None
    return each if len(each.as_tuple().digits) <= EACH_DIGITS_MAX else None


class _Compiled:
    """What the rules and factors of a tariff depend on, each clause once."""

    def __init__(self, tariff: Tariff) -> None:
        asked = [rule.when for rule in tariff.rules] + [factor.when for factor in tariff.factors]
        distinct = dict.fromkeys(clause for when in asked for clause in when)
        self.clauses = [(1 << number, clause) for number, clause in enumerate(distinct)]
        self.asked = frozenset(clause.term for clause in distinct) - {AT, SCHEDULE}
        # Terms with an order, or flags: every value lies on one side of each bound.
        self.compared = frozenset(c.term for c in distinct if not isinstance(c.value, frozenset))
        self.named = frozenset(meter for rule in tariff.rules for meter in rule.prices)
        self.schedules = [c.value for c in distinct if isinstance(c.value, Schedule)]
        self.selections: dict[int, Selection] = {}
