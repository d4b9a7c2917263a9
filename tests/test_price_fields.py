"""Each field of the public price sets is read as the meter, unit and condition that it prices."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from pricing import Meter
from pricing.upkeep import (
    genai_figures,
    genai_prices,
    litellm_fields,
    litellm_prices,
    models_dev,
    openrouter_prices,
)
from pricing.upkeep.listing import STANDARD, Listing, PriceSet, When, key
from support.price_sets import only

DAY = date(2026, 11, 28)
LONG: When = (("prompt_tokens", 200_000),)
BASE = {"input_cost_per_token": Decimal("3e-6"), "output_cost_per_token": Decimal("9e-6")}


def why(found: PriceSet) -> str:
    assert not found.listings
    return ", ".join(each.why for each in found.left_out)


def figures(listing: Listing, when: When = STANDARD) -> dict[str, str]:
    rows = listing.at(DAY).rows
    return {meter.value: f"{amount:f}" for (_, meter), amount in rows[when].items()}


# -- LiteLLM ---------------------------------------------------------------------------------------


def litellm(
    theirs: str = "openai", name: str = "big", plain: Mapping[str, object] = BASE, **fields: object
) -> PriceSet:
    return litellm_prices.read({name: {"litellm_provider": theirs, **plain, **fields}}, DAY)


def listed(fields: Mapping[str, object]) -> PriceSet:
    return litellm_prices.read({"big": {"litellm_provider": "openai", **BASE, **fields}}, DAY)


@pytest.mark.parametrize(("field", "meter"), litellm_fields.TOKEN_METERS.items())
def test_a_price_of_a_token_lands_on_its_meter(field: str, meter: Meter) -> None:
    """Alone, beyond a length, in each tier, and both: one meter under several conditions."""
    ends: dict[str, When] = {"": STANDARD, "_above_200k_tokens": LONG}
    ends |= {f"_{tier}": when for tier, when in litellm_fields.TIERS.items()}
    ends["_above_200k_tokens_flex"] = (*LONG, ("service_tier", "flex"))
    prices = {f"{field}{end}": Decimal(number) / 10**6 for number, end in enumerate(ends, 1)}
    listing = only(listed(prices))
    for number, when in enumerate(ends.values(), 1):
        assert figures(listing, when)[meter.value] == str(number)


@pytest.mark.parametrize(
    ("theirs", "name", "meter"),
    [
        ("anthropic", "claude-9", Meter.CACHE_WRITE_5M),
        ("bedrock", "anthropic.claude-9", Meter.CACHE_WRITE_5M),
        ("openai", "big", Meter.CACHE_WRITE_30M),
        ("gemini", "gemini/big", Meter.CACHE_WRITE),
    ],
)
def test_a_plain_cache_write_has_the_lifetime_of_its_provider(
    theirs: str, name: str, meter: Meter
) -> None:
    """The set does not name the lifetime; each provider has a default of its own."""
    listing = only(litellm(theirs, name, cache_creation_input_token_cost=Decimal("4e-6")))
    assert figures(listing)[meter.value] == "4"


@pytest.mark.parametrize("field", litellm_fields.PLAIN_FIELDS)
def test_a_price_of_another_unit_is_one_in_its_mode_alone(field: str) -> None:
    """A second of transcription is a meter, a second of anything else is set aside."""
    mode, meter, count = litellm_fields.PLAIN_FIELDS[field]
    listing = only(listed({"mode": mode, field: Decimal("0.25")}))
    assert figures(listing)[meter.value] == f"{Decimal('0.25') * count:f}".rstrip("0").rstrip(".")
    batch = only(listed({"mode": mode, field: 1, f"{field}_batches": Decimal("0.5")}))
    assert figures(batch, (("processing", "batch"),))[meter.value] == str(count // 2)
    if mode:
        other = listed({"mode": "chat", field: Decimal("0.25")})
        assert [each.field for each in other.set_aside] == [field]
        assert meter.value not in figures(only(other))


def test_steps_by_length_are_rows() -> None:
    """`tiered_pricing` begins each step at the start of its range."""
    steps = [
        {"range": [0, 32_000], "input_cost_per_token": Decimal("1e-6")},
        {"range": [32_000, 128_000], "input_cost_per_token": Decimal("2e-6")},
    ]
    listing = only(litellm(plain={}, tiered_pricing=steps))
    assert figures(listing) == {"input": "1"}
    assert figures(listing, (("prompt_tokens", 32_000),)) == {"input": "2"}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"tiered_pricing": [{"hours": [9, 17]}]}, "other than the prompt's length"),
        ({"tiered_pricing": [{"range": [0, 9], "moon": 1}]}, "tiered_pricing.moon"),
        (
            {"tiered_pricing": [{"range": [0, 9], "input_cost_per_token_flex": 1}]},
            "tiered_pricing.input_cost_per_token_flex",
        ),
        ({"off_peak_pricing": {"input": 1}}, "time of day"),
        (
            {
                "input_cost_per_token_cache_hit": Decimal("1e-6"),
                "cache_read_input_token_cost": Decimal("2e-6"),
            },
            "cache_read_input_token_cost contradicts another field",
        ),
        ({"regional_processing_uplift_multiplier_eu": Decimal("0.9")}, "is not a surcharge"),
        ({"regional_processing_uplift_multiplier_moon": 2}, "multiplier_moon"),
    ],
)
def test_a_price_that_no_tariff_expresses_is_refused_by_name(
    fields: dict[str, object], named: str
) -> None:
    """Its model is left out, with the field or the reason."""
    assert named in why(listed(fields))


@pytest.mark.parametrize(
    ("theirs", "name", "named"),
    [
        ("openai", "eu/big", "region or a size"),
        ("bedrock", "anthropic.claude-9@20260101", "another cloud's spelling"),
        ("bedrock", "claude-9", "another cloud's spelling"),
        ("bedrock_mantle", "bedrock_mantle/anthropic.claude-9", "a price of one region"),
    ],
)
def test_a_name_that_is_no_calls_is_refused(theirs: str, name: str, named: str) -> None:
    """A name that no call can have would price nothing, or another model."""
    assert named in why(litellm(theirs, name))


def test_a_fee_on_each_request_is_refused_where_it_cannot_be_avoided() -> None:
    """Every request to Sonar searches, so its tokens are not all that it costs."""
    fee = {"search_context_size_low": Decimal("0.005")}
    sonar = litellm("perplexity", "perplexity/sonar", search_context_cost_per_query=fee)
    assert "fee on each request" in why(sonar)
    other = litellm("perplexity", "perplexity/openai/big", search_context_cost_per_query=fee)
    assert only(other)


def test_a_model_without_a_usable_price_is_left_out() -> None:
    """Zeros stand for "not known", and a price for one tier says nothing about the others."""
    assert "no price" in why(litellm(plain={"input_cost_per_token": 0}))
    assert "no price" in why(litellm(plain={"input_cost_per_token_flex": Decimal("1e-6")}))


def test_reasoning_at_the_price_of_output_is_output() -> None:
    """It needs no meter of its own, and one at another price does."""
    same = only(litellm(output_cost_per_reasoning_token=Decimal("9e-6")))
    assert figures(same) == {"input": "3", "output": "9"}
    other = only(litellm(output_cost_per_reasoning_token=Decimal("8e-6")))
    assert figures(other)["output.reasoning"] == "8"


def test_names_of_the_set_become_names_of_calls() -> None:
    """A fine-tuned model's name ends as the user chose; an entry without a prefix gives way."""
    assert only(litellm(name="ft:big")).names == ("ft:big:*",)
    entry = {"litellm_provider": "mistral", **BASE}
    both = {"big": {**entry, "input_cost_per_token": 1}, "mistral/big": entry}
    assert figures(only(litellm_prices.read(both, DAY)))["input"] == "3"
    assert not litellm("moon", "moon/big").listings
    found = litellm_prices.read(
        {"moon/big": {**entry, "litellm_provider": "moon"}}, DAY, "x", ["moon"]
    )
    assert (only(found).provider, only(found).names, only(found).via) == ("moon", ("big",), "x")


def test_bedrocks_own_multiplier_is_set_aside() -> None:
    """Regional profiles are listed with prices of their own; a schema's name is harmless."""
    found = litellm(
        "bedrock",
        "anthropic.claude-9",
        provider_specific_entry={"us": Decimal("1.1"), "bedrock_invocation_schema": "x"},
    )
    assert not only(found).factors
    assert [each.field for each in found.set_aside] == ["provider_specific_entry.us"]


# -- genai-prices ----------------------------------------------------------------------------------


def genai(
    prices: object,
    provider: str = "mistral",
    name: str = "big",
    known: Any = None,
    **fields: object,
) -> PriceSet:
    model = {"id": name, "match": {"equals": name}, "prices": prices, **fields}
    pages = ["https://page.example", "https://vertex.example"]
    document = [{"id": provider, "pricing_urls": pages, "models": [model]}]
    return genai_prices.read(document, DAY, known or {})


@pytest.mark.parametrize(("field", "meter"), genai_figures.METERS.items())
def test_a_field_of_genai_prices_lands_on_its_meter(field: str, meter: Meter) -> None:
    """Plain and by length; a zero means free here."""
    tiered = {"base": "2", "tiers": [{"start": 200_000, "price": "0"}]}
    listing = only(genai({field: tiered}))
    assert figures(listing) == {meter.value: "2"}
    assert figures(listing, LONG) == {meter.value: "0"}


def test_the_price_is_the_one_of_the_day() -> None:
    """Periods are dated; one that is recorded later does not hold before."""
    periods = [
        {"prices": {"input_mtok": "1"}},
        {
            "constraint": {"type": "StartDateConstraint", "start_date": "2026-11-01"},
            "prices": {"input_mtok": "2"},
        },
    ]
    listing = only(genai(periods))
    found = {period.start: str(period.base[key(Meter.INPUT)]) for period in listing.periods}
    assert found == {None: "1", date(2026, 11, 1): "2"}
    assert listing.known_from == date(2026, 10, 31)
    router = only(genai(periods, "openrouter"))
    assert [period.start for period in router.periods] == [
        genai_figures.OPENROUTER_RECORDS,
        date(2026, 11, 1),
    ]


def test_variants_are_conditions() -> None:
    """A tier at each length; one that begins later, or repeats the standard, is none."""
    tier = {"when": {"service_tier": "flex"}, "prices": {"input_mtok": "1"}}
    later = {
        "when": {"service_tier": "priority"},
        "constraint": {"type": "StartDateConstraint", "start_date": "2027-01-01"},
        "prices": {"input_mtok": "9"},
    }
    standard = {"when": {"service_tier": "default"}, "prices": {"input_mtok": "2"}}
    prices = {"input_mtok": {"base": "2", "tiers": [{"start": 200_000, "price": "4"}]}}
    found = genai(prices, price_variants=[tier, later, standard])
    rows = only(found).at(DAY).rows
    flex = (("service_tier", "flex"),)
    assert rows.keys() == {STANDARD, LONG, flex, (*LONG, *flex)}
    assert rows[flex][key(Meter.INPUT)] == 1
    loose = {"when": {"processing": "batch"}, "prices": {"output_mtok": "1"}}
    found = genai({"input_mtok": "2"}, price_variants=[loose])
    assert [each.field for each in found.set_aside] == ["output"]


HOURLY = {"constraint": {"type": "TimeOfDateConstraint"}, "prices": {"input_mtok": "1"}}


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (genai([HOURLY]), "depends on the time of day"),
        (
            genai({"input_mtok": "1"}, price_variants=[{"when": {"speed": "fast"}, **HOURLY}]),
            "the prices of speed fast depend on the time of day",
        ),
        (genai({"web_searches_kcount": "10"}), "no price for any of our meters"),
        (
            genai({"input_mtok": {"base": "1", "tiers": [{"start": 9, "price": "2", "moon": 1}]}}),
            "the tiers of input_mtok",
        ),
        (genai({"input_mtok": "1"}, price_comments="Seen on OpenRouter"), "taken from OpenRouter"),
        (genai({"input_mtok": "1"}, match={"contains": "big"}, name="a b"), "no exact name"),
        (
            genai({"input_mtok": "1"}, "aws", "regional.anthropic.claude-opus-5"),
            "a name that the set made up",
        ),
    ],
)
def test_what_genai_prices_cannot_say_is_refused(found: PriceSet, named: str) -> None:
    """A price by the hour, a borrowed one, and a name that stands for several."""
    assert named in why(found)


@pytest.mark.parametrize(
    ("theirs", "model", "ours", "names"),
    [
        ("x-ai", "grok-9", "xai", ("grok-9",)),
        ("google", "gemini-9", "gemini", ("gemini-9",)),
        ("google", "claude-9", "vertex", ("claude-9",)),
        ("huggingface_groq", "meta/llama-9", "huggingface", ("meta/llama-9:groq",)),
    ],
)
def test_providers_of_genai_prices_are_ours(
    theirs: str, model: str, ours: str, names: tuple[str, ...]
) -> None:
    """By our names; a router's model is named with its host."""
    listing = only(genai({"input_mtok": "1"}, theirs, model))
    assert (listing.provider, listing.names) == (ours, names)


def test_names_that_we_know_are_found_by_likeness() -> None:
    """Only when they are asked for: the set would take them for this model."""
    match = {"and_": [{"starts_with": "gemini-9"}, {"ends_with": "preview"}]}
    known = {"gemini": ["gemini-9-preview", "gemini-8"], "vertex": ["gemini-9-x-preview"]}
    found = genai({"input_mtok": "1"}, "google", "gemini-9", known, match=match)
    assert {(each.provider, each.names) for each in found.listings} == {
        ("gemini", ("gemini-9-preview",)),
        ("vertex", ("gemini-9-x-preview",)),
    }


def test_digits_that_are_no_date_date_nothing() -> None:
    """20261939 in a name is not the day of its release."""
    assert only(genai({"input_mtok": "1"}, name="big-20261939")).known_from == DAY


# -- models.dev and OpenRouter ---------------------------------------------------------------------


@pytest.mark.parametrize(("field", "meter"), models_dev.METERS.items())
def test_a_field_of_models_dev_lands_on_its_meter(field: str, meter: Meter) -> None:
    """Dollars per million tokens, at the standard price and beyond a length."""
    tier = {"tier": {"type": "context", "size": 200_000}, field: 3}
    models = {"big": {"id": "big", "cost": {field: Decimal("1.5"), "tiers": [tier]}}}
    document = {"google": {"doc": "https://doc.example", "models": models}}
    listing = only(models_dev.read(document, DAY))
    assert (listing.provider, listing.source) == ("gemini", "https://doc.example")
    assert figures(listing) == {meter.value: "1.5"}
    assert figures(listing, LONG) == {meter.value: "3"}


@pytest.mark.parametrize("field", [*openrouter_prices.METERS, "input_cache_write"])
def test_a_field_of_openrouter_lands_on_its_meter(field: str) -> None:
    """Dollars a unit, as text; both names of a model are priced."""
    meter, count = openrouter_prices.METERS.get(field, (Meter.CACHE_WRITE, 1_000_000))
    entry = {"id": "acme/big", "canonical_slug": "acme/big-1", "pricing": {field: "0.002"}}
    listing = only(openrouter_prices.read({"data": [entry]}, DAY))
    assert figures(listing) == {meter.value: str(count * 2 // 1_000)}
    assert listing.names == ("acme/big", "acme/big-1")


def test_a_second_price_of_openrouter_is_refused() -> None:
    """A field of the model that may hold a price is not ignored."""
    entry = {"id": "acme/big", "pricing": {"prompt": "0.000002"}, "promo_pricing": {"prompt": "0"}}
    assert "promo_pricing" in why(openrouter_prices.read({"data": [entry]}, DAY))
    image = {"id": "acme/big", "pricing": {"prompt": "0.000002", "image_output": "0.01"}}
    found = openrouter_prices.read({"data": [image]}, DAY)
    assert [each.field for each in found.set_aside] == ["image_output"]
