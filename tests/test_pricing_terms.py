"""What the facts besides quantity do to a price: factors, hours, currencies, tiers served."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pricing import Meter, Status, price
from pricing.cause import texts
from pricing.usage import TermValue
from support.pricing_calls import FACTORS, MODEL, PLAIN, TOKENS, book, call, call_of, charge


def test_factors_multiply_and_fees_are_final() -> None:
    """Factors stack on tokens in any order; a tool fee is charged as it is."""
    found = charge(
        FACTORS + PLAIN, {**TOKENS, Meter.CALLS_WEB_SEARCH: 2}, processing="batch", region="eu"
    )
    assert found.usd == Decimal("0.045") * Decimal("0.55") + Decimal("0.02")
    assert found.lines[0].factors == (("batch", Decimal("0.5")), ("regional", Decimal("1.1")))
    assert found.lines[-1].factors == ()


def test_published_rate_beats_the_factor() -> None:
    """A price published for the very terms of a factor is not multiplied again, others are."""
    tariff = (
        FACTORS
        + PLAIN
        + ('rates = [{ when = { processing = "batch" }, usd_per_mtok = { cache_read = 0.13 } }]')
    )
    usage = {Meter.INPUT: 1_000_000, Meter.CACHE_READ: 1_000_000}
    assert charge(tariff, usage, processing="batch").usd == Decimal("1.63")
    regional = charge(tariff, usage, processing="batch", region="us")
    assert regional.usd == Decimal("1.793")


def test_contract_discount() -> None:
    """A private file may lower every price of a provider without repeating one."""
    private = '[[factors]]\nname = "contract"\nfactor = 0.85'
    found = price([call(TOKENS)], book(PLAIN, private))
    assert found.usd == Decimal("0.03825")


def test_special_prices_of_the_provider_beat_plain_ones_of_the_model() -> None:
    """A price under conditions comes first, whether the model or the provider states it."""
    shared = """
[[rates]]
when = { service_tier = "scale" }
usd_per_mtok = { input = 0, output = 0 }
"""
    assert charge(shared + PLAIN, TOKENS, service_tier="scale").usd == Decimal(0)
    assert charge(shared + PLAIN, TOKENS).usd == Decimal("0.045")


def test_a_factor_of_the_same_name_replaces() -> None:
    """A private factor takes the place of the shipped one of its name; the others stay."""
    private = """
[[factors]]
name = "batch"
factor = 0.4
when = { processing = "batch" }
"""
    prices = book(FACTORS + PLAIN, private)
    batch = price([call(TOKENS, processing="batch", region="eu")], prices)
    assert batch.usd == Decimal("0.045") * Decimal("0.44")


def test_private_price_list() -> None:
    """A private price replaces the shipped one for its period, and only there."""
    private = MODEL + (
        "from = 2026-06-01T00:00:00Z\nuntil = 2026-12-01T00:00:00Z\n"
        "usd_per_mtok = { input = 1, output = 1 }"
    )
    both = book(PLAIN, private)
    for at, usd in [
        (datetime(2026, 5, 31, 23, 59, 59, tzinfo=UTC), "0.045"),
        (datetime(2026, 6, 1, tzinfo=UTC), "0.011"),
        (datetime(2026, 12, 1, tzinfo=UTC), "0.045"),
    ]:
        assert price([call_of(TOKENS, at=at)], both).usd == Decimal(usd)


SCHEDULE = """
[calendars.XX]
source = "a gazette"
checked = 2026-01-01
covers = [2026-01-01, 2026-12-31]
days = [2026-11-19]
[schedules.peak]
hours = ["09:00-12:00"]
weekdays = ["mon", "tue", "wed", "thu", "fri"]
utc_offset = "+08:00"
except_holidays = "XX"
[schedules.night]
hours = ["23:00-01:00"]
"""
PEAK = (
    SCHEDULE
    + MODEL
    + (
        "usd_per_mtok = { input = 1 }\n"
        'rates = [{ when = { schedule = "peak" }, usd_per_mtok = { input = 2 } },'
        ' { when = { schedule = "night" }, usd_per_mtok = { input = 0.5 } }]'
    )
)


@pytest.mark.parametrize(
    ("instant", "usd"),
    [
        ("2026-11-20T00:59:59+00:00", "0.5"),  # Friday 08:59:59 there; still night in UTC
        ("2026-11-20T01:00:00+00:00", "2"),
        ("2026-11-20T03:59:59.999999+00:00", "2"),
        ("2026-11-20T04:00:00+00:00", "1"),
        ("2026-11-21T02:00:00+00:00", "1"),  # Saturday
        ("2026-11-19T02:00:00+00:00", "1"),  # holiday
        ("2026-11-20T23:00:00+00:00", "0.5"),
        ("2026-11-20T10:00:00+08:00", "2"),  # another zone, the same instant rule
    ],
)
def test_time_of_day(instant: str, usd: str) -> None:
    """Hours are half-open, local, and void on holidays and weekends; spans may cross midnight."""
    at = datetime.fromisoformat(instant)
    found = price([call_of({Meter.INPUT: 1_000_000}, at=at)], book(PEAK))
    assert (found.usd, found.status) == (Decimal(usd), Status.EXACT)


def test_unknown_holidays() -> None:
    """In a year whose holidays are not listed, a price at peak hours is an estimate."""
    peak = datetime(2027, 1, 5, 2, tzinfo=UTC)
    found = price([call_of({Meter.INPUT: 1_000_000}, at=peak)], book(PEAK))
    assert (found.usd, found.status) == (Decimal(2), Status.ESTIMATED)
    assert texts(found.reasons) == ("unknown_holidays:XX",)
    off_peak = datetime(2027, 1, 5, 12, tzinfo=UTC)
    assert price([call_of({Meter.INPUT: 1}, at=off_peak)], book(PEAK)).status is Status.EXACT


def test_priced_by_completion() -> None:
    """Where the tariff says so, the end of the call decides the hour and the period."""
    tariff = PEAK.replace('names = ["m"]', 'names = ["m"]\nby_completion = true')
    start = datetime(2026, 11, 20, 0, 59, tzinfo=UTC)
    end = datetime(2026, 11, 20, 1, 1, tzinfo=UTC)
    found = price(
        [call_of({Meter.INPUT: 1_000_000}, at=start, terms={"completed_at": end})], book(tariff)
    )
    assert found.usd == 2


CURRENCY = """
[[currencies]]
code = "CNY"
from = 2026-01-01T00:00:00Z
usd = 0.14
source = "https://bank.example"
checked = 2026-01-01
[[currencies]]
code = "CNY"
from = 2026-06-01T00:00:00Z
usd = 0.1379
source = "https://bank.example"
checked = 2026-06-01
"""


def test_currency() -> None:
    """A price in another currency is turned into dollars at the rate of the day, as a factor."""
    prices = book(CURRENCY + MODEL + "cny_per_mtok = { input = 8 }")
    found = price([call({Meter.INPUT: 10_000})], prices)
    assert (found.usd, found.lines[0].rate) == (Decimal("0.011032"), Decimal(8))
    assert found.lines[0].factors == (("fx:CNY", Decimal("0.1379")),)
    in_may = call_of({Meter.INPUT: 10_000}, at=datetime(2026, 5, 1, tzinfo=UTC))
    assert price([in_may], prices).usd == Decimal("0.0112")
    too_early = call_of({Meter.INPUT: 10_000}, at=datetime(2025, 5, 1, tzinfo=UTC))
    assert texts(price([too_early], prices).reasons) == ("missing_currency:CNY",)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"service_tier": "turbo9"}, "unknown_term:service_tier=turbo9"),
        ({"speed": "warp"}, "unknown_term:speed=warp"),
        ({"inference_geo": "mars"}, "unknown_term:inference_geo=mars"),
        ({"region": "jp"}, "unknown_term:region=jp"),
        ({"made_up": 1}, "unknown_term:made_up=1"),
        ({"prompt_tokens": "many"}, "unknown_term:prompt_tokens=many"),
        ({"summed_requests": 1}, "unknown_term:summed_requests=1"),
    ],
)
def test_unknown_term_is_partial(terms: dict[str, TermValue], reason: str) -> None:
    """A tier, speed or region that the tariff does not know is never taken for the standard one."""
    tier = (
        "rates = [{ when = { prompt_tokens = { gt = 900_000 } }, "
        "usd_per_mtok = { input = 6, cache_read = 0.6, output = 30 } }]"
    )
    found = charge(FACTORS + PLAIN + tier, TOKENS, **terms)
    assert (found.usd, found.status, texts(found.reasons)) == (None, Status.PARTIAL, (reason,))


@pytest.mark.parametrize("tier", ["default", "auto", "standard", "on_demand", "ON_DEMAND", ""])
def test_standard_spellings(tier: str) -> None:
    """Providers' words for the ordinary tier are the ordinary tier."""
    assert charge(PLAIN, TOKENS, service_tier=tier).usd == Decimal("0.045")


def test_batch_is_told_by_route_or_tier() -> None:
    """A served tier named `batch` is the batch price as the route is."""
    by_tier = charge(FACTORS + PLAIN, TOKENS, service_tier="batch")
    by_route = charge(FACTORS + PLAIN, TOKENS, processing="batch", service_tier="default")
    assert by_tier.usd == by_route.usd == Decimal("0.0225")


def test_same_price() -> None:
    """A tariff may say that a term changes nothing."""
    tariff = PLAIN + 'same_price = { service_tier = ["flex"] }'
    assert charge(tariff, TOKENS, service_tier="flex").status is Status.EXACT


def test_unpriced_under_conditions() -> None:
    """A price that is known not to hold does not fall through to the base."""
    tariff = PLAIN + (
        'rates = [{ when = { service_tier = "priority", prompt_tokens = { gt = 5 } }, '
        'unpriced = ["input*", "cache_*", "output*"] }]'
    )
    assert charge(tariff, TOKENS, service_tier="priority").usd is None
    assert charge(tariff, TOKENS).usd == Decimal("0.045")


def test_request_fee_needs_its_term() -> None:
    """A fee that goes by a term is missing, not free, where the term is not known."""
    tariff = PLAIN + (
        'rates = [{ when = { search_context_size = "low" }, usd_per_thousand = { requests = 5 } }]'
    )
    assert charge(tariff, TOKENS, search_context_size="low").usd == Decimal("0.05")
    assert texts(charge(tariff, TOKENS).reasons) == ("missing_rate:requests",)
