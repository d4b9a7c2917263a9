"""Shipped prices over time and by place, each as a reader of the provider's page would check it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pricing import Meter, Status, Subcall, Usage, price
from pricing.charge import Charge
from pricing.usage import TermValue
from support.books import shipped

MILLION = {Meter.INPUT: 1_000_000}
CALL = {Meter.INPUT: 100_000, Meter.OUTPUT: 10_000}
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"


def charge(
    name: str, usage: Mapping[Meter, int], day: str = "2026-11-28", **terms: TermValue
) -> Charge:
    """What a call of `provider/model` at noon of a day costs."""
    provider, _, model = name.partition("/")
    at = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC)
    subcall = Subcall(provider=provider, model=model, at=at, usage=Usage(usage), terms=terms)
    return price([subcall], shipped())


def usd(
    name: str, usage: Mapping[Meter, int], day: str = "2026-11-28", **terms: TermValue
) -> Decimal | None:
    return charge(name, usage, day, **terms).usd


# -- over time -------------------------------------------------------------------------------------


def test_fast_opus_4_7_cost_six_times_until_it_ended() -> None:
    """$30 and $150 a million in fast mode, which Opus 4.7 lost on 2026-07-24."""
    usage = {Meter.INPUT: 1_000, Meter.OUTPUT: 1_000}
    assert usd("anthropic/claude-opus-4-7", usage, "2026-06-09", speed="fast") == Decimal("0.18")
    assert usd("anthropic/claude-opus-4-7", usage, "2026-06-09") == Decimal("0.03")
    later = charge("anthropic/claude-opus-4-7", usage, "2026-07-25", speed="fast")
    assert later.status is not Status.EXACT


@pytest.mark.parametrize(
    ("day", "expected"), [("2026-07-20", "0.16"), ("2026-08-01", "0.032"), ("2026-11-20", "0.032")]
)
def test_azure_cut_luna_in_august(day: str, expected: str) -> None:
    """$1 and $6 a million until 2026-08-01; a past day keeps its price."""
    assert usd("azure/gpt-5.6-luna", CALL, day) == Decimal(expected)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({}, "0.3"),
        ({"service_tier": "priority"}, "0.6"),
        ({"service_tier": "ultrafast"}, "0.9"),
        ({"processing": "batch"}, "0.15"),
    ],
)
def test_gpt_6_2_sol(terms: dict[str, str], expected: str) -> None:
    """$2 and $10 a million; twice that in priority, three times in ultrafast, half in a batch."""
    assert usd("openai/gpt-6.2-sol", CALL, **terms) == Decimal(expected)


def test_gpt_6_2_sol_beyond_272_000() -> None:
    """A longer prompt doubles the input and its caches, and makes output half as dear again."""
    usage = {Meter.INPUT: 200_000, Meter.CACHE_READ: 100_000, Meter.OUTPUT: 10_000}
    assert usd("openai/gpt-6.2-sol", usage) == Decimal("0.97")


def test_gpt_6_2_sol_ultrafast_in_march() -> None:
    """Ultrafast becomes six times the standard price in 2027-03."""
    assert usd("openai/gpt-6.2-sol", CALL, "2027-02-28", service_tier="ultrafast") == Decimal("0.9")
    assert usd("openai/gpt-6.2-sol", CALL, "2027-03-02", service_tier="ultrafast") == Decimal("1.8")


@pytest.mark.parametrize("model", ["gpt-6.2-astra", "gpt-6.2-sol-healthcare"])
def test_a_rumoured_price_is_none(model: str) -> None:
    """What third parties alone report is not charged."""
    assert charge(f"openai/{model}", MILLION).status is Status.UNPRICED


# -- by place --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["gemini-3.5-flash", "google/gemini-3.5-flash"])
@pytest.mark.parametrize(
    ("region", "day", "expected"),
    [
        ("global", "2026-11-20", "0.00240"),
        ("europe-west4", "2026-11-20", "0.00264"),
        ("eu", "2026-11-20", "0.00264"),
        ("us", "2026-11-20", "0.00264"),
        ("europe-west4", "2026-06-30", "0.00240"),
    ],
)
def test_vertex_raises_gemini_in_a_region(model: str, region: str, day: str, expected: str) -> None:
    """1.1 times on regional and multi-regional endpoints since 2026-07, by either path."""
    usage = {Meter.INPUT: 1_000, Meter.OUTPUT: 100}
    assert usd(f"vertex/{model}", usage, day, region=region) == Decimal(expected)


@pytest.mark.parametrize(
    ("model", "expected"),
    [(HAIKU, "1.1"), (f"us.{HAIKU}", "1.1"), (f"eu.{HAIKU}", "1.1"), (f"global.{HAIKU}", "1")],
)
def test_a_bare_bedrock_id_is_a_call_in_one_region(model: str, expected: str) -> None:
    """Claude 4.5 and later cost 1.1 times the global price in a region and in a geography."""
    assert usd(f"bedrock/{model}", MILLION) == Decimal(expected)


# -- by what was made ------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["gemini", "vertex"])
def test_made_video_costs_its_own_price(provider: str) -> None:
    """$17.50 a million tokens of video, and $9 of text."""
    usage = {Meter.INPUT: 20, Meter.OUTPUT_VIDEO: 46_336}
    assert usd(f"{provider}/gemini-omni-1.1-flash", usage) == Decimal("0.81091")
    usage = {Meter.INPUT: 20, Meter.OUTPUT: 46_336}
    assert usd(f"{provider}/gemini-omni-1.1-flash", usage) == Decimal("0.417054")


def test_no_cache_write_is_a_price_of_video() -> None:
    """Gemini bills no cache writes by the token, so none of its models has such a price."""
    wrong = [
        tariff.id
        for tariff in shipped().tariffs
        if tariff.provider in ("gemini", "vertex")
        and any("gemini" in name for name in tariff.names)
        and tariff.names_meter(Meter.CACHE_WRITE)
    ]
    assert not wrong


def test_azure_flex_of_a_short_prompt() -> None:
    """Half of the standard price; the standard price itself never stands in for it."""
    usage = {Meter.INPUT: 1_000, Meter.OUTPUT: 100}
    assert usd("azure/gpt-6-astra", usage, service_tier="flex") == Decimal("0.0075")
    assert usd("azure/gpt-6-astra", usage) == Decimal("0.015")


def test_claude_on_azure() -> None:
    """Anthropic's list price, by Anthropic's names."""
    assert usd("azure/claude-opus-5", MILLION) == usd("anthropic/claude-opus-5", MILLION) == 5


def test_grok_on_azure() -> None:
    """Sold there under its own name."""
    assert usd("azure/grok-4.3", MILLION) is not None


def test_perplexity_search_costs_by_the_request() -> None:
    """$5 a thousand requests, $1 of fast ones."""
    assert usd("perplexity/search", {Meter.REQUESTS: 1}) == Decimal("0.005")
    assert usd("perplexity/search-fast", {Meter.REQUESTS: 1}) == Decimal("0.001")
