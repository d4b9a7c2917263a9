"""What a public price set says about one model, in the words of our tariffs.

A reader for each set (`litellm_prices`, `genai_prices`, `models_dev`, `openrouter_prices`) makes a
`PriceSet` of it.  A price that a reader does not understand is never guessed: its model is left
out, and the field named.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, DecimalException

from pricing.usage import UNITS, Meter, Unit

# A unit key of the tariff format and a meter → price.
Prices = Mapping[tuple[str, Meter], Decimal]
# Conditions, sorted: (("processing", "batch"), ("prompt_tokens", 272000)); a length is exceeded.
When = tuple[tuple[str, str | int], ...]
STANDARD: When = ()
# Providers whose longer price begins AT the length, not beyond it.
INCLUSIVE = frozenset({"xai"})
FIGURE_DIGITS = 12  # of a binary float that a set wrote out: 9.999999999999999e-07 is 0.000001
FIGURE_PLACES = 20  # before or behind the point; no price of one unit needs as many
EXACT = re.compile(r"[^*?\[\]\s]+")  # a name that stands for itself alone in a tariff
# What an entry of an unexpected shape raises while it is read: the entry is left out, not the set.
ODD_ENTRY = (
    *(AttributeError, IndexError, KeyError, TypeError, ValueError),
    *(DecimalException, re.error),
)

UNIT_KEYS: Mapping[Unit, str] = {
    Unit.TOKEN: "usd_per_mtok",
    Unit.THING: "usd_per_thousand",
    Unit.SECOND: "usd_per_hour",
    Unit.CHARACTER: "usd_per_mchar",
}


class Unreadable(ValueError):
    """Why a model is left out: a name that is not certain, or a price that no tariff expresses."""


@dataclass(frozen=True, slots=True)
class Period:
    """Prices from a day on; `start` is None where no other price is known to have come before."""

    start: date | None
    rows: Mapping[When, Prices]

    @property
    def base(self) -> Prices:
        """The standard prices."""
        return self.rows.get(STANDARD, {})


@dataclass(frozen=True, slots=True)
class ListedFactor:
    """A surcharge on all token prices where `term` has `value`, or with `other` any value but it.

    One of the same `name` that stands for the whole provider gives way to it.
    """

    name: str
    factor: Decimal
    term: str
    value: str
    other: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One model at one provider by one set.  `periods` are in order of time, never empty."""

    via: str  # the set and its version
    provider: str  # ours
    names: tuple[str, ...]  # exact, or patterns as tariffs have them
    source: str  # the provider's page
    checked: date  # the newest day that the set gives for it
    known_from: date  # the first day on which the set shows its first period
    periods: tuple[Period, ...]
    factors: tuple[ListedFactor, ...] = ()

    def at(self, day: date) -> Period:
        """The period in force on a day, else the first one."""
        begun = [period for period in self.periods if period.start is None or period.start <= day]
        return begun[-1] if begun else self.periods[0]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A model of a set that was left out, and why."""

    provider: str
    model: str
    why: str


@dataclass(frozen=True, slots=True)
class SetAside:
    """A price of a listed model that no tariff takes, and why the others are right without it."""

    provider: str
    model: str
    field: str
    why: str


@dataclass(frozen=True, slots=True)
class PriceSet:
    """What we take from a set, and by name everything that we leave."""

    listings: Sequence[Listing]
    left_out: Sequence[LeftOut]
    set_aside: Sequence[SetAside] = ()


NO_STANDARD = "it has no standard price, only one under conditions"


def exact_name(name: object) -> str:
    """A model's name as the set writes it.

    Raises Unreadable for one that a tariff would take for a pattern, and for blank text.
    """
    if not isinstance(name, str) or not EXACT.fullmatch(name):
        raise Unreadable("the name is blank, or a pattern")
    return name


def key(meter: Meter) -> tuple[str, Meter]:
    """The meter with the unit that the price sets' figures are turned into."""
    return UNIT_KEYS[UNITS[meter]], meter


def figure(amount: Decimal) -> Decimal:
    """A price without the noise of binary floats and without trailing zeros."""
    digits = amount.as_tuple().digits
    if len(digits) > FIGURE_DIGITS:
        exponent = amount.adjusted() - FIGURE_DIGITS + 1
        amount = amount.quantize(Decimal(1).scaleb(exponent))
    amount = amount.normalize()
    return amount.quantize(Decimal(1)) if amount == amount.to_integral_value() else amount


def price(field: str, value: object, count: int) -> Decimal | None:
    """The price of `count` units; None for a zero, which stands for "not sold" or "not known".

    Raises Unreadable, naming the field, for anything but a number of 0 or more.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Unreadable(f"{field} is not a number")
    try:
        amount = Decimal(value)
    except DecimalException:
        raise Unreadable(f"{field} is not a number") from None
    if not amount.is_finite() or (amount and abs(amount.adjusted()) > FIGURE_PLACES):
        raise Unreadable(f"{field} is not a number")
    if amount < 0:
        raise Unreadable(f"{field} is negative: the price varies")
    return figure(amount * count) if amount else None


def states_a_number(value: object) -> bool:
    """Whether a value is, or contains, a number that is not 0; truth values say nothing."""
    if isinstance(value, Mapping):
        return any(states_a_number(part) for part in value.values())
    if isinstance(value, list):
        return any(states_a_number(part) for part in value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    return value != 0


def agree(first: Prices, second: Prices) -> bool:
    """Whether two sets have a price in common, and agree on all that they have in common."""
    both = first.keys() & second.keys()
    return bool(both) and all(first[item] == second[item] for item in both)


def write_meter(provider: str, model: str) -> Meter:
    """The cache write that a set's plain write price is for: the provider's default lifetime."""
    if "claude" in model or provider in ("anthropic", "qwen"):
        return Meter.CACHE_WRITE_5M
    if provider in ("openai", "azure"):
        return Meter.CACHE_WRITE_30M
    return Meter.CACHE_WRITE


def stepped(rows: Mapping[When, Prices]) -> dict[When, Prices]:
    """Rows by prompt length, completed: a step of a set names only what changes at it."""
    whole = dict(rows)
    for when, prices in rows.items():
        if dict(when).get("prompt_tokens"):
            shorter = tuple(clause for clause in when if clause[0] != "prompt_tokens")
            whole[when] = {**rows.get(shorter, {}), **prices}
    return whole


def grounded(rows: Mapping[When, Prices]) -> tuple[dict[When, Prices], list[str]]:
    """The rows without meters that have no standard price, and the names of those meters.

    A price for a tier alone says nothing about the calls outside it, so no tariff holds it.
    """
    base = rows.get(STANDARD, {})
    kept = {
        when: {item: price for item, price in prices.items() if item in base}
        for when, prices in rows.items()
    }
    loose = dict.fromkeys(
        meter.value for prices in rows.values() for _, meter in prices if key(meter) not in base
    )
    return {when: prices for when, prices in kept.items() if prices}, list(loose)


def oddities(rows: Mapping[When, Prices], names: Iterable[str]) -> list[str]:
    """What is implausible in the prices of a model: mostly slips of a unit."""
    base = rows.get(STANDARD, {})
    found = []
    fresh = base.get(key(Meter.INPUT))
    tokens = [price for (unit, _), price in base.items() if unit == "usd_per_mtok"]
    if any(price > 1_000 or 0 < price < Decimal("0.0005") for price in tokens):
        found.append("a price beyond $0.0005 to $1,000 a million tokens")
    cheap = any(word in name for name in names for word in ("embed", "rerank"))
    if cheap and fresh is not None and fresh > 10:
        found.append("an embedding above $10 a million tokens")
    cached = base.get(key(Meter.CACHE_READ))
    if fresh is not None and cached is not None and cached > fresh:
        found.append("cached input costs more than fresh input")
    made = base.get(key(Meter.OUTPUT))
    if fresh is not None and made is not None and made < fresh / 2:
        found.append("output at less than half the price of its input")
    for when, prices in rows.items():
        if dict(when).get("processing") == "batch":
            plain = rows.get(tuple(c for c in when if c[0] != "processing"), {})
            if any(price > plain.get(item, price) for item, price in prices.items()):
                found.append("a batch costs more than the same call outside it")
    return found
