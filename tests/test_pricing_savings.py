"""What caches and batches save: differences of two prices, and nothing where one is unknown."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing import Charge, Meter, Origin, Quantity, Status, Subcall, TariffBook, Usage, price
from pricing.charge import not_billed
from pricing.reason import Reason
from pricing.usage import UNCACHED, TermValue
from support.books import shipped
from support.pricing_calls import HEAD, book, call, call_of, charge

TARIFF = """
[[factors]]
name = "batch"
factor = 0.5
when = { processing = "batch" }
[[tariff]]
names = ["m"]
usd_per_mtok = { input = 2, "input.audio" = 32, cache_read = 0.2, "cache_read.audio" = 0.4, cache_write_5m = 2.5, cache_write_1h = 4, output = 10 }
rates = [
  { when = { prompt_tokens = { gt = 200_000 } }, usd_per_mtok = { input = 4, "input.audio" = 64, cache_read = 0.4, "cache_read.audio" = 0.8, cache_write_5m = 5, cache_write_1h = 8, output = 15 } },
]
"""  # noqa: E501 - a tariff line is as long as its prices
NOTHING = Decimal(0)
BATCH: Mapping[str, TermValue] = {"processing": "batch"}
TOKENS = st.integers(0, 10**6)
MODELS = (
    ("anthropic", "claude-sonnet-4-5"),
    ("openai", "gpt-4o"),
    ("openai", "gpt-5.1"),
    ("gemini", "gemini-2.5-flash"),
    ("bedrock", "anthropic.claude-sonnet-4-5"),
)
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def saved(charge: Charge) -> tuple[Decimal | None, Decimal | None]:
    """By caches, and by batches."""
    return charge.saved_cache_usd, charge.saved_batch_usd


def test_a_read_saves_and_a_write_costs() -> None:
    """1 M tokens read for 0.2 in place of 2; 1 M tokens written for 2.5, or 4, in place of 2."""
    million = 10**5
    read = charge(TARIFF, {Meter.CACHE_READ: million})
    assert saved(read) == (Decimal("0.18"), NOTHING)
    written = charge(TARIFF, {Meter.CACHE_WRITE_5M: million, Meter.CACHE_WRITE_1H: million})
    assert saved(written) == (Decimal("-0.25"), NOTHING)
    audio = charge(TARIFF, {Meter.CACHE_READ_AUDIO: million})
    assert saved(audio) == (Decimal("3.16"), NOTHING)


def test_both_at_once() -> None:
    """In a batch a cache saves half as much, and the batch saves half of the whole."""
    usage = {Meter.INPUT: 1000, Meter.CACHE_READ: 1000, Meter.OUTPUT: 100}
    alone, batch = charge(TARIFF, usage), charge(TARIFF, usage, **BATCH)
    assert saved(alone) == (Decimal("0.0018"), NOTHING)
    assert saved(batch) == (Decimal("0.0009"), batch.usd)
    assert charge(TARIFF, usage, service_tier="batch").saved_batch_usd == batch.usd


@pytest.mark.parametrize(
    ("usage", "origin", "expected"),
    [
        ({Meter.INPUT: 10}, Origin.REPORTED, 0),
        ({Meter.INPUT: 10}, Origin.COUNTED, None),  # a count says nothing about caches
        ({Meter.INPUT: 10}, Origin.NONE, None),
        ({Meter.CACHE_READ: 10}, Origin.REPORTED, Decimal("0.000018")),
        ({Meter.CACHE_READ: 10}, Origin.ESTIMATED, Decimal("0.000018")),  # only output was guessed
        ({Meter.CACHE_READ: 10, Meter.CACHE_WRITE_12H: 1}, Origin.REPORTED, None),  # no such rate
        ({Meter.CACHE_READ_IMAGE: 10}, Origin.REPORTED, Decimal("0.000018")),  # billed as text
        ({Meter.CACHE_READ_AUDIO: 10**20}, Origin.REPORTED, None),  # too much to be true
    ],
)
def test_zero_only_where_it_is_proven(
    usage: Mapping[Meter, Quantity], origin: Origin, expected: Decimal | None
) -> None:
    """0 needs the provider's word that nothing was cached; any other sum needs both prices."""
    found = price([call_of(usage, origin=origin)], book(TARIFF))
    assert found.saved_cache_usd == expected
    assert found.saved_batch_usd == 0


@pytest.mark.parametrize(
    ("tariff", "terms"),
    [
        ('[[tariff]]\nnames = ["m"]\nusd_per_mtok = { cache_read = 1 }', {}),
        ('[[tariff]]\nnames = ["m"]\nusd_per_mtok = { input = 2 }', {}),
        (
            '[[tariff]]\nnames = ["m"]\nminimum_usd = 1\n'
            "usd_per_mtok = { input = 2, cache_read = 1 }",
            {},
        ),
        (
            '[[tariff]]\nnames = ["m"]\nusd_per_mtok = { cache_read = 1 }\nrates = ['
            '{ volume = { counter = "call", mode = "marginal", steps = [0, 9] }, '
            "usd_per_mtok = { input = [2, 1] } }]",
            {},
        ),
        (TARIFF, {"service_tier": "turbo9"}),
        ("", {}),
    ],
)
def test_an_unknown_price_saves_an_unknown_sum(tariff: str, terms: Mapping[str, TermValue]) -> None:
    """A missing rate, a price by volume, a least charge, an unknown tier, no tariff at all."""
    tariff = tariff or '[[tariff]]\nnames = ["other"]\nusd_per_mtok = { input = 2 }'
    found = charge(tariff, {Meter.CACHE_READ: 10}, **terms)
    assert found.saved_cache_usd is None
    assert charge(tariff, {Meter.INPUT: 10}, **terms).saved_cache_usd == 0


def test_another_currency() -> None:
    """Savings are in US dollars, as charges are."""
    chinese = 'names = ["m"]\ncny_per_mtok = { input = 2, cache_read = 1 }'
    value = (
        '[[currencies]]\ncode = "CNY"\nfrom = 2026-01-01T00:00:00Z\nusd = 0.125\n'
        'source = "https://bank.example"\nchecked = 2026-01-01\n'
    )
    usage = {Meter.CACHE_READ: 10**6}
    found = charge(f"{value}[[tariff]]\n{chinese}", usage)
    assert (found.usd, found.saved_cache_usd) == (Decimal("0.125"), Decimal("0.125"))


def test_a_reported_cost_explains_no_savings() -> None:
    """Where the provider bills something else than its tariff says, so may be what was saved."""
    usage = {Meter.CACHE_READ: 1000, Meter.OUTPUT: 10}
    tariffs = TariffBook.parse({"acme.toml": HEAD + 'prefer = "reported"\n' + TARIFF})
    as_computed = price([call(usage)], tariffs).usd
    assert as_computed is not None
    same = price([call(usage, **BATCH)], tariffs, reported_usd=as_computed / 2)
    assert saved(same) == (Decimal("0.0009"), as_computed / 2)
    other = price([call(usage, **BATCH)], tariffs, reported_usd=Decimal("0.1"))
    assert saved(other) == (None, None)
    plain = price([call({Meter.OUTPUT: 10})], tariffs, reported_usd=Decimal("0.1"))
    assert saved(plain) == (NOTHING, NOTHING)


def test_what_nobody_bills_saves_nothing() -> None:
    """An error, a poll, a plan; and a call of which nothing is known saves an unknown sum."""
    assert saved(not_billed(Reason.HTTP_ERROR)) == (NOTHING, NOTHING)
    assert saved(price([], book(TARIFF))) == (None, None)


def test_a_batch_without_its_price_saves_an_unknown_sum() -> None:
    """Half of a bill is not known from the other half."""
    tariffs = '[[tariff]]\nnames = ["m"]\nusd_per_mtok = { input = 2 }'
    found = charge(tariffs, {Meter.INPUT: 10}, **BATCH)
    assert found.status is not Status.EXACT
    assert found.saved_batch_usd is None
    lacking = charge(TARIFF, {Meter.INPUT: 10, Meter.CALLS_WEB_SEARCH: 1}, **BATCH)
    assert (lacking.status, lacking.saved_batch_usd) == (Status.PARTIAL, None)


CACHED = (Meter.CACHE_READ, Meter.CACHE_READ_IMAGE, Meter.CACHE_WRITE_5M, Meter.CACHE_WRITE_1H)
USAGES = st.dictionaries(st.sampled_from((*CACHED, Meter.INPUT, Meter.OUTPUT)), TOKENS)


@given(USAGES, st.sampled_from(MODELS), st.booleans())
@settings(max_examples=150)
def test_cost_and_savings_are_the_price_without(
    usage: dict[Meter, Quantity], named: tuple[str, str], batch: bool
) -> None:
    """By the shipped tariffs: cost + saved is the price of the same tokens without a cache, and
    that of the same call outside of a batch."""
    provider, model = named

    def costs(used: Mapping[Meter, Quantity], terms: Mapping[str, TermValue]) -> Charge:
        part = Subcall(provider=provider, model=model, at=AT, usage=Usage(used), terms=terms)
        return price([part], shipped())

    terms = BATCH if batch else {}
    found = costs(usage, terms)
    plain: dict[Meter, Quantity] = {}
    for meter, quantity in usage.items():
        plain[UNCACHED.get(meter, meter)] = plain.get(UNCACHED.get(meter, meter), 0) + quantity
    if found.status is Status.EXACT:
        assert found.usd is not None
        without = costs(plain, terms)
        if without.status is Status.EXACT:
            assert found.saved_cache_usd is not None
            assert found.usd + found.saved_cache_usd == without.usd
        assert found.saved_batch_usd is not None
        assert found.usd + found.saved_batch_usd == costs(usage, {}).usd
    if not any(meter in UNCACHED for meter, quantity in usage.items() if quantity):
        assert found.saved_cache_usd == 0
    if not batch:
        assert found.saved_batch_usd == 0


@given(st.lists(st.tuples(USAGES, st.booleans()), min_size=1, max_size=3))
@settings(max_examples=60)
def test_parts_save_what_they_save_alone(parts: list[tuple[dict[Meter, Quantity], bool]]) -> None:
    """What a call saves is the sum over its parts, or unknown if that of one is."""
    tariffs = book(TARIFF)
    calls = [call(usage, **(BATCH if batch else {})) for usage, batch in parts]
    whole, alone = price(calls, tariffs), [price([one], tariffs) for one in calls]
    by_cache = [one.saved_cache_usd for one in alone]
    known = [usd for usd in by_cache if usd is not None]
    assert whole.saved_cache_usd == (sum(known) if len(known) == len(by_cache) else None)
    if all(one.status is Status.EXACT for one in alone):
        by_batch = [one.saved_batch_usd for one in alone]
        assert whole.saved_batch_usd == sum(usd for usd in by_batch if usd is not None)
