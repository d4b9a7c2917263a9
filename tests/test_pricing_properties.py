"""Laws that every charge keeps, whatever was used."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from pricing import (
    Charge,
    Counters,
    Meter,
    Quantity,
    Status,
    Subcall,
    TariffBook,
    Usage,
    price,
)
from pricing.usage import TermValue

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
BOOK = TariffBook.parse(
    {
        "a.toml": """
provider = "acme"
source = "https://acme.example/pricing"
checked = 2026-11-20
[[factors]]
name = "batch"
factor = 0.5
when = { processing = "batch" }
[[factors]]
name = "regional"
factor = 1.1
when = { region = "eu" }
[[rates]]
usd_per_thousand = { "calls.web_search" = 10 }
[[tariff]]
names = ["flat"]
usd_per_mtok = { input = 2.5, cache_read = 0.13, output = 15.75, "output.audio" = 80 }
usd_per_hour = { audio_seconds = 0.111 }
[[tariff]]
names = ["tiered"]
usd_per_mtok = { input = 2, cache_read = 0.2, output = 10 }
rates = [
  { when = { prompt_tokens = { gt = 200_000 } }, usd_per_mtok = { input = 4, cache_read = 0.4, output = 15 } },
]
[[tariff]]
names = ["ladder"]
volume = { counter = "month.tokens", mode = "marginal", steps = [0, 1_000, 50_000] }
usd_per_mtok = { input = [2, 1.5, 1] }
"""  # noqa: E501 - a tariff line is as long as its prices
    }
)
TOKENS = st.integers(0, 10**7)
USAGES = st.dictionaries(
    st.sampled_from(
        [
            Meter.INPUT,
            Meter.CACHE_READ,
            Meter.OUTPUT,
            Meter.OUTPUT_REASONING,
            Meter.OUTPUT_AUDIO,
            Meter.CALLS_WEB_SEARCH,
            Meter.AUDIO_SECONDS,
            Meter.CACHE_WRITE_1H,  # no tariff here prices it
        ]
    ),
    TOKENS | st.decimals(0, 10**6, places=3),
)
TERMS = st.dictionaries(
    st.sampled_from(["processing", "region", "service_tier"]),
    st.sampled_from(["batch", "eu", "standard", "turbo9"]),
)
MODELS = st.sampled_from(["flat", "tiered", "unknown"])


def subcall(usage: Mapping[Meter, Quantity], model: str = "flat", **terms: TermValue) -> Subcall:
    return Subcall(provider="acme", model=model, at=AT, usage=Usage(usage), terms=terms)


def charge(usage: Mapping[Meter, Quantity], model: str = "flat", **terms: TermValue) -> Charge:
    return price([subcall(usage, model, **terms)], BOOK)


SUBCALLS = st.builds(lambda u, m, t: subcall(u, m, **t), USAGES, MODELS, TERMS)


@given(st.lists(SUBCALLS, max_size=4))
@settings(max_examples=60)
def test_lines_sum_to_the_charge(subcalls: list[Subcall]) -> None:
    """The lines sum to the charge, and each line is its quantity times its rate and factors."""
    found = price(subcalls, BOOK)
    if found.usd is not None:
        assert Fraction(found.usd) == sum(Fraction(line.usd) for line in found.lines)
    for line in found.lines:
        exact = Fraction(line.quantity) * Fraction(line.rate) / Fraction(line.per)
        for _, factor in line.factors:
            exact *= Fraction(factor)
        tolerance = Fraction(1, 10**30) if line.per == 3_600 else 0
        assert abs(Fraction(line.usd) - exact) <= tolerance


@given(st.lists(SUBCALLS, max_size=4))
@settings(max_examples=60)
def test_pricing_again_gives_the_same(subcalls: list[Subcall]) -> None:
    """The same calls by the same book cost the same, now and after others were priced."""
    first = price(subcalls, BOOK)
    price([subcall({Meter.INPUT: 300_000}, "tiered")], BOOK)
    assert price(subcalls, BOOK) == first


@given(st.lists(SUBCALLS, max_size=4))
@settings(max_examples=60)
def test_order_does_not_matter(subcalls: list[Subcall]) -> None:
    """Neither the order of meters nor that of subcalls changes what a call costs."""
    turned = [
        Subcall(
            provider=part.provider,
            model=part.model,
            at=part.at,
            usage=Usage(dict(list(part.usage.quantities.items())[::-1])),
            terms=part.terms,
        )
        for part in reversed(subcalls)
    ]
    found, other = price(subcalls, BOOK), price(turned, BOOK)
    assert (found.usd, found.status) == (other.usd, other.status)
    assert set(found.reasons) == set(other.reasons)


@given(TOKENS, TOKENS, TOKENS)
@settings(max_examples=60)
def test_batch_is_half(read: int, cached: int, made: int) -> None:
    """Where the factor is a half, two batch calls cost what one standard call does, exactly."""
    usage = {Meter.INPUT: read, Meter.CACHE_READ: cached, Meter.OUTPUT: made}
    batch, standard = charge(usage, processing="batch").usd, charge(usage).usd
    assert batch is not None
    assert standard is not None
    assert batch * 2 == standard


@given(USAGES, st.sampled_from(list(Meter)[:24]), st.integers(1, 10**6), MODELS)
@settings(max_examples=60)
def test_more_never_costs_less(
    usage: dict[Meter, Quantity], meter: Meter, extra: int, model: str
) -> None:
    """Using more of anything never lowers the sum of the lines, priced or not."""
    more = {**usage, meter: usage.get(meter, 0) + extra}
    before = sum(line.usd for line in charge(usage, model).lines)
    after = sum(line.usd for line in charge(more, model).lines)
    assert after >= before


@given(st.integers(0, 10**6), st.lists(st.integers(1, 10**5), min_size=1, max_size=6))
@settings(max_examples=60)
def test_a_ladder_cuts_anywhere(before: int, calls: list[int]) -> None:
    """On a marginal ladder, many calls cost together what one call of their sum does."""

    def ladder(quantity: int, counters: Counters) -> Charge:
        return price([subcall({Meter.INPUT: quantity}, "ladder")], BOOK, counters=counters)

    name, at, split = "acme/month.tokens", Decimal(before), Decimal(0)
    for quantity in calls:
        part = ladder(quantity, {name: at})
        split += part.usd or 0
        at += part.counts[name]
    assert at == before + sum(calls)
    assert ladder(sum(calls), {name: before}).usd == split


@given(SUBCALLS)
@settings(max_examples=60)
def test_unknown_is_never_zero(part: Subcall) -> None:
    """A charge without dollars has a reason, and one that lacks something is never 0."""
    found = price([part], BOOK)
    if found.status in (Status.PARTIAL, Status.UNPRICED):
        assert found.reasons
        assert found.usd is None or found.usd > 0
    else:
        assert found.usd is not None
