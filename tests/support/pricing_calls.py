"""Small tariffs of one provider, and calls to price by them."""

from collections.abc import Mapping
from datetime import UTC, datetime

from pricing import (
    NO_TERMS,
    Charge,
    Counters,
    Meter,
    Origin,
    Quantity,
    Subcall,
    TariffBook,
    Usage,
    price,
)
from pricing.usage import TermValue

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
HEAD = """
provider = "acme"
source = "https://acme.example/pricing"
checked = 2026-11-20
"""


def book(tariffs: str, *private: str) -> TariffBook:
    """A book of one provider, overlaid with private files."""
    return TariffBook.parse(
        {"acme.toml": HEAD + tariffs}, *({"private.toml": HEAD + text} for text in private)
    )


def call(usage: Mapping[Meter, Quantity], /, **terms: TermValue) -> Subcall:
    """A subcall of model `m`; `call_of` makes others."""
    return Subcall(provider="acme", model="m", at=AT, usage=Usage(usage), terms=terms)


def call_of(
    usage: Mapping[Meter, Quantity],
    model: str = "m",
    at: datetime = AT,
    origin: Origin = Origin.REPORTED,
    terms: Mapping[str, TermValue] = NO_TERMS,
) -> Subcall:
    """A subcall of any model, instant, origin and terms."""
    return Subcall(
        provider="acme", model=model, at=at, usage=Usage(usage, origin=origin), terms=terms
    )


def charge(tariffs: str, usage: Mapping[Meter, Quantity], /, **terms: TermValue) -> Charge:
    """What one call costs by the tariffs of a text."""
    return price([call(usage, **terms)], book(tariffs))


def counted(tariffs: str, usage: Mapping[Meter, Quantity], counters: Counters) -> Charge:
    """The same, with volume counters that start at what was used before."""
    return price([call(usage)], book(tariffs), counters=counters)


MODEL = '\n[[tariff]]\nnames = ["m"]\n'
PLAIN = MODEL + "usd_per_mtok = { input = 3, cache_read = 0.3, output = 15 }\n"
TOKENS = {Meter.INPUT: 10_000, Meter.OUTPUT: 1_000}

FACTORS = """
[[factors]]
name = "batch"
factor = 0.5
when = { processing = "batch" }
[[factors]]
name = "regional"
factor = 1.1
when = { region = ["eu", "us"] }
[[rates]]
usd_per_thousand = { "calls.web_search" = 10 }
"""
