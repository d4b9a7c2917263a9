"""What a public price set says about one model, in the words of our tariffs.

Two sets are read: genai-prices (`price_genai`) and LiteLLM's (`price_litellm`), each into a list of
`Listing`s.  `price_seed` makes tariffs of them, `price_sets` holds them against the book.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pricing import Meter
from pricing.usage import UNITS, Unit

# A unit key of the tariff format and a meter → price.
Prices = Mapping[tuple[str, Meter], Decimal]
# Conditions, sorted: (("processing", "batch"), ("prompt_tokens", 272000)); a length is exceeded.
When = tuple[tuple[str, str | int], ...]
STANDARD: When = ()
# Providers whose longer price begins AT the length, not beyond it.
INCLUSIVE = frozenset({"xai"})
FIGURE_DIGITS = 12  # of a binary float that a set wrote out: 9.999999999999999e-07 is 0.000001

UNIT_KEYS: Mapping[Unit, str] = {
    Unit.TOKEN: "usd_per_mtok",
    Unit.THING: "usd_per_thousand",
    Unit.SECOND: "usd_per_hour",
    Unit.CHARACTER: "usd_per_mchar",
}


@dataclass(frozen=True, slots=True)
class Period:
    """Prices from a day on; `start` is None where no other price is known to have come before."""

    start: date | None
    rows: Mapping[When, Prices]

    @property
    def base(self) -> Prices:
        """The standard prices."""
        return self.rows.get(STANDARD, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One model at one provider by one set.  `periods` are in order of time, never empty."""

    via: str  # the set and its version
    provider: str  # ours
    names: tuple[str, ...]  # exact, or patterns as tariffs have them
    source: str  # the provider's page
    checked: date  # the newest day that the set gives for it
    periods: tuple[Period, ...]

    def at(self, day: date) -> Period:
        """The period in force on a day, else the first one."""
        begun = [period for period in self.periods if period.start is None or period.start <= day]
        return begun[-1] if begun else self.periods[0]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An entry of a set that made no listing, and why."""

    provider: str
    model: str
    why: str


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


def write_meter(provider: str, model: str) -> Meter:
    """The cache write that a set's plain write price is for: the provider's default lifetime."""
    if "claude" in model or provider in ("anthropic", "qwen"):
        return Meter.CACHE_WRITE_5M
    if provider in ("openai", "azure"):
        return Meter.CACHE_WRITE_30M
    return Meter.CACHE_WRITE


def oddities(rows: Mapping[When, Prices], names: Iterable[str]) -> list[str]:
    """What cannot be so in the prices of a model: slips of a unit, mostly."""
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
        found.append("cached input dearer than fresh")
    for when, prices in rows.items():
        if dict(when).get("processing") == "batch":
            plain = rows.get(tuple(c for c in when if c[0] != "processing"), {})
            if any(price > plain.get(item, price) for item, price in prices.items()):
                found.append("a batch dearer than the same call outside it")
    return found
