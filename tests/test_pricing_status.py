"""How far a charge can be trusted, and what it says where it cannot."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pricing import Meter, Origin, Quantity, Status, TariffBook, Usage, not_billed, price
from pricing.cause import texts
from pricing.reason import Reason
from support.pricing_calls import HEAD, MODEL, PLAIN, TOKENS, book, call, call_of, charge


def test_subcalls_have_their_own_models() -> None:
    """Each subcall is priced by its own model, and the lines say which."""
    tariffs = PLAIN + '[[tariff]]\nnames = ["big"]\nusd_per_mtok = { input = 5, output = 25 }'
    found = price([call(TOKENS), call_of(TOKENS, model="big")], book(tariffs))
    assert found.usd == Decimal("0.045") + Decimal("0.075")
    assert [(line.subcall, line.model) for line in found.lines[1:3]] == [(0, "m"), (1, "big")]
    assert found.tariff.startswith("acme/m,acme/big#")


REPORTED = 'prefer = "reported"\n'


def test_reported_cost_preferred() -> None:
    """What the provider says it charged is the charge; a line holds what we cannot explain."""
    prices = TariffBook.parse({"acme.toml": HEAD + REPORTED + PLAIN})
    found = price([call(TOKENS)], prices, reported_usd=Decimal("0.047"))
    assert (found.usd, found.status) == (Decimal("0.047"), Status.EXACT)
    assert [line.meter for line in found.lines][-1] is Meter.REPORTED_USD
    assert (found.lines[-1].usd, found.drift_usd) == (Decimal("0.002"), Decimal("0.002"))
    unknown = price([call_of(TOKENS, model="x")], prices, reported_usd=Decimal("0.01"))
    assert (unknown.usd, unknown.status, unknown.drift_usd) == (Decimal("0.01"), Status.EXACT, None)
    free = price([call(TOKENS)], prices, reported_usd=Decimal(0))
    assert (free.usd, free.status) == (Decimal(0), Status.EXACT)


def test_reported_cost_compared() -> None:
    """Otherwise it stands beside ours, and steps in as an estimate where we have none."""
    found = price([call(TOKENS)], book(PLAIN), reported_usd=Decimal("0.05"))
    assert (found.usd, found.reported_usd) == (Decimal("0.045"), Decimal("0.05"))
    assert found.drift_usd == Decimal("0.005")
    unknown = price([call_of(TOKENS, model="x")], book(PLAIN), reported_usd=Decimal("0.05"))
    assert (unknown.usd, unknown.status) == (Decimal("0.05"), Status.ESTIMATED)
    assert texts(unknown.reasons) == ("unknown_model:x", "reported_cost_only")
    odd = price([call(TOKENS)], book(PLAIN), reported_usd=Decimal("NaN"))
    assert (odd.usd, odd.reported_usd) == (Decimal("0.045"), None)


LONG_ONLY = (
    MODEL
    + """
rates = [
  { when = { TERM = "VALUE", prompt_tokens = {gt=200000} }, usd_per_mtok = { input=9, output=9 } },
  { usd_per_mtok = { input = 1, output = 2 } },
]
"""
)


@pytest.mark.parametrize(
    ("term", "value"),
    [("service_tier", "flex"), ("speed", "fast"), ("inference_geo", "us"), ("mode", "thinking")],
)
def test_a_price_for_long_prompts_says_nothing_about_short_ones(term: str, value: str) -> None:
    """A value that is priced under other conditions is unknown: never the standard price."""
    tariffs = LONG_ONLY.replace("TERM", term).replace("VALUE", value)
    short, long = {Meter.INPUT: 1_000, Meter.OUTPUT: 10}, {Meter.INPUT: 300_000, Meter.OUTPUT: 10}
    found = price([call(short, **{term: value})], book(tariffs))
    assert (found.usd, found.status) == (None, Status.PARTIAL)
    assert texts(found.reasons) == (f"unknown_term:{term}={value}",)
    assert price([call(long, **{term: value})], book(tariffs)).status is Status.EXACT
    assert price([call_of(short)], book(tariffs)).status is Status.EXACT


def test_a_sum_of_prompts_does_not_make_a_term_known() -> None:
    """Each prompt of the sum may be short, where the value has no price."""
    tariffs = LONG_ONLY.replace("TERM", "service_tier").replace("VALUE", "flex")
    usage = {Meter.INPUT: 300_000, Meter.OUTPUT: 10}
    found = price([call(usage, service_tier="flex", summed_requests=True)], book(tariffs))
    assert (found.usd, found.status) == (None, Status.PARTIAL)
    assert texts(found.reasons) == ("unknown_prompt_length", "unknown_term:service_tier=flex")


def test_unknown_is_never_zero() -> None:
    """No model, no price at the time, no usage: no dollars, and the reason."""
    dated = MODEL + "from = 2026-06-01T00:00:00Z\nusd_per_mtok = { input = 1 }"
    for subcall, reason in [
        (call_of(TOKENS, model="m-mini"), "unknown_model:m-mini"),
        (call_of(TOKENS, model="ft:m:acme"), "unknown_model:ft:m:acme"),
        (call_of(TOKENS, at=datetime(2026, 5, 1, tzinfo=UTC)), "no_price_at_the_time:m"),
        (call_of({}, origin=Origin.NONE), "no_usage"),
    ]:
        found = price([subcall], book(dated))
        assert (found.usd, found.status, texts(found.reasons)) == (None, Status.UNPRICED, (reason,))
    assert price([], book(dated)).status is Status.UNPRICED


def test_unpriced_names_no_meter() -> None:
    """That some conditions have no price does not keep a meter from what it is billed as."""
    tariff = MODEL + (
        "usd_per_mtok = { cache_write_30m = 5 }\n"
        'rates = [{ when = { service_tier = "fast" }, unpriced = ["cache_*"] }]'
    )
    assert charge(tariff, {Meter.CACHE_WRITE: 1_000_000}).usd == Decimal(5)
    assert charge(tariff, {Meter.CACHE_WRITE: 1_000_000}, service_tier="fast").usd is None


def test_missing_rate_is_partial() -> None:
    """A meter without a price leaves a lower bound, and is never billed as its neighbour."""
    found = charge(PLAIN, {**TOKENS, Meter.CACHE_WRITE_1H: 5, Meter.OUTPUT_IMAGE: 9})
    assert (found.usd, found.status) == (Decimal("0.045"), Status.PARTIAL)
    assert texts(found.reasons) == ("missing_rate:cache_write_1h", "missing_rate:output.image")
    nothing = charge(PLAIN, {Meter.OUTPUT_AUDIO: 9})
    assert (nothing.usd, nothing.status) == (None, Status.PARTIAL)


@pytest.mark.parametrize("origin", [Origin.COUNTED, Origin.ESTIMATED])
def test_counted_usage_is_an_estimate(origin: Origin) -> None:
    """Quantities that the provider did not state make an estimate."""
    found = price([call_of(TOKENS, origin=origin)], book(PLAIN))
    assert (found.usd, found.status) == (Decimal("0.045"), Status.ESTIMATED)
    assert texts(found.reasons) == (f"usage_{origin.value}",)


def test_absurd_quantity() -> None:
    """A quantity beyond any call is refused, quickly, and the rest is priced."""
    found = charge(PLAIN, {Meter.INPUT: 10**400, Meter.OUTPUT: 1_000})
    assert (found.usd, texts(found.reasons)) == (Decimal("0.015"), ("quantity_too_large:input",))
    digits = charge(PLAIN, {Meter.INPUT: Decimal("0." + "1" * 40)})
    assert texts(digits.reasons) == ("quantity_too_large:input",)


def test_not_billed() -> None:
    """A poll costs nothing, and says why."""
    found = not_billed(Reason.POLL)
    assert (found.usd, found.status) == (Decimal(0), Status.NOT_BILLED)
    assert texts(found.reasons) == ("poll",)


@pytest.mark.parametrize("causes", [(), (Reason.BODY_NOT_JSON, Reason.CONTAINER_SESSION_ELSEWHERE)])
def test_nothing_is_free_by_default(causes: tuple[Reason, ...]) -> None:
    """A charge of a call that nobody bills needs a reason that says so."""
    with pytest.raises(ValueError, match="no reason says why"):
        not_billed(*causes)


@pytest.mark.parametrize("odd", [-1, Decimal("NaN"), Decimal("Infinity"), Decimal(-1)])
def test_usage_refuses(odd: Quantity) -> None:
    """A quantity that is negative or no number never becomes usage."""
    with pytest.raises(ValueError, match="quantity is"):
        Usage({Meter.INPUT: odd})
