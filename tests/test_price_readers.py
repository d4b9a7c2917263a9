"""Readers of public price sets refuse what they do not understand, by name, and guess nothing."""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing import Meter
from pricing.upkeep import (
    genai_prices,
    litellm_fields,
    litellm_prices,
    models_dev,
    openrouter_prices,
    price_sets,
)
from pricing.upkeep.listing import STANDARD, Listing, PriceSet, key, price
from pricing.usage import UNITS
from support.price_sets import only

DAY = date(2026, 11, 28)
LONG = (("prompt_tokens", 200_000),)
SHARED = Path(__file__).parents[1].parent / "shared" / "data" / "prices"


def litellm(**fields: object) -> PriceSet:
    """The set with one model of OpenAI's, priced for input and output, and more fields."""
    entry = {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": Decimal("2e-6"),
        "output_cost_per_token": Decimal("8e-6"),
        **fields,
    }
    return litellm_prices.read({"big": entry}, DAY)


def genai(prices: object, **fields: object) -> PriceSet:
    """The set with one model of Mistral's."""
    model = {"id": "big", "match": {"equals": "big"}, "prices": prices, **fields}
    provider = {"id": "mistral", "pricing_urls": ["https://mistral.example"], "models": [model]}
    return genai_prices.read([provider], DAY)


def dev(cost: Mapping[str, Any], provider: str = "openai", **fields: object) -> PriceSet:
    """models.dev with one model."""
    models = {"big": {"id": "big", "limit": {"context": 400_000}, "cost": cost, **fields}}
    return models_dev.read({provider: {"doc": "https://doc.example", "models": models}}, DAY)


def router(pricing: Mapping[str, Any], **fields: object) -> PriceSet:
    """OpenRouter's list with one model."""
    entry = {"id": "acme/big", "canonical_slug": "acme/big-20260901", "pricing": pricing, **fields}
    return openrouter_prices.read({"data": [entry]}, DAY)


def why(found: PriceSet) -> str:
    assert not found.listings
    (left_out,) = found.left_out
    return left_out.why


def figures(listing: Listing) -> dict[str, str]:
    return {meter.value: f"{amount:f}" for (_, meter), amount in listing.periods[0].base.items()}


# -- LiteLLM ---------------------------------------------------------------------------------------


def test_video_output_has_a_meter_of_its_own() -> None:
    """What a token of made video costs is no price of a cache write."""
    found = figures(only(litellm(output_cost_per_video_token=Decimal("1.75e-5"))))
    assert found == {"input": "2", "output": "8", "output.video": "17.5"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input_cost_per_token_turbo", Decimal("1e-6")),
        ("output_cost_per_smell_token", Decimal("1e-6")),
        ("weekend_multiplier", Decimal("1.5")),
        ("regional_endpoint_uplift_multiplier", Decimal("1.1")),  # documented for Vertex alone
        ("provider_specific_entry", {"us": Decimal("1.1"), "moon": 2}),
        ("currency", "EUR"),
        ("peak_hours", {"from": 9}),
    ],
)
def test_a_field_that_is_not_understood_leaves_its_model_out(field: str, value: object) -> None:
    """A price that nobody reads may change the others, so none of them is taken."""
    assert field in why(litellm(**{field: value}))


@pytest.mark.parametrize("value", [0, Decimal("0.0"), None, True])
def test_a_field_that_states_nothing_is_no_price(value: object) -> None:
    """A zero, a null and a flag leave the model as it is."""
    assert only(litellm(input_cost_per_token_turbo=value))


def test_harmless_fields_are_listed() -> None:
    """What a model can do, how large it is and where it was read change no price."""
    found = litellm(
        supports_vision=True,
        max_input_tokens=400_000,
        source="https://developers.openai.com",
        metadata={"notes": "3 of them"},
        supported_endpoints=["/v1/responses"],
        rpm=100,
    )
    assert only(found)
    assert not found.set_aside


def test_prices_without_a_tariff_are_named() -> None:
    """A price of what is not counted here is set aside with its reason; the others are taken."""
    found = litellm(
        search_context_cost_per_query={"search_context_size_low": Decimal("0.01")},
        input_cost_per_image=Decimal("0.01"),
        fedramp_uplift_multiplier=Decimal("1.1"),
    )
    assert only(found)
    named = {each.field for each in found.set_aside}
    assert named == {
        "search_context_cost_per_query",
        "input_cost_per_image",
        "fedramp_uplift_multiplier",
    }
    assert all(each.why for each in found.set_aside)


@pytest.mark.parametrize(
    "value",
    ["much", Decimal("-1e-6"), Decimal("NaN"), Decimal("1e999999"), Decimal("1e-999999"), [1]],
)
def test_a_price_must_be_a_number(value: object) -> None:
    """Text, a list, and an amount below zero or beyond all sense leave the model out, by name."""
    assert "cache_read_input_token_cost" in why(litellm(cache_read_input_token_cost=value))


def test_surcharges_by_place_are_taken() -> None:
    """Vertex's regional endpoints, OpenAI's data residency and Anthropic's own words for both."""
    entry = {
        "input_cost_per_token": Decimal("1e-6"),
        "regional_endpoint_uplift_multiplier": Decimal("1.1"),
    }
    vertex = {"vertex_ai/gemini-9": {"litellm_provider": "vertex_ai", **entry}}
    (factor,) = only(litellm_prices.read(vertex, DAY)).factors
    assert (factor.term, factor.value, factor.other) == ("region", "global", True)
    assert factor.factor == Decimal("1.1")
    found = only(litellm(regional_processing_uplift_multiplier_eu=Decimal("1.1")))
    assert [(each.term, each.value) for each in found.factors] == [("region", "eu")]
    claude = {
        "claude-9": {
            "litellm_provider": "anthropic",
            "input_cost_per_token": Decimal("1e-6"),
            "provider_specific_entry": {"us": Decimal("1.1"), "fast": 2},
        }
    }
    found = only(litellm_prices.read(claude, DAY))
    terms = [(each.term, each.value, each.factor) for each in found.factors]
    assert terms == [("inference_geo", "us", Decimal("1.1")), ("speed", "fast", Decimal(2))]


def test_what_two_entries_contradict_each_other_on_is_nobodys() -> None:
    """A cloud's two doors: prices that differ are left out, the rest is joined."""
    both = {"input_cost_per_token": Decimal("1e-6")}
    models = {
        "azure_ai/big": {
            "litellm_provider": "azure_ai",
            **both,
            "input_cost_per_token_priority": Decimal("2e-6"),
        },
        "azure/big": {
            "litellm_provider": "azure",
            **both,
            "input_cost_per_token_priority": Decimal("3e-6"),
            "input_cost_per_token_flex": Decimal("5e-7"),
        },
        "azure_ai/odd": {"litellm_provider": "azure_ai", **both},
        "azure/odd": {"litellm_provider": "azure", "input_cost_per_token": Decimal("9e-6")},
    }
    found = litellm_prices.read(models, DAY)
    (big,) = found.listings
    assert [dict(when) for when in big.periods[0].rows] == [{}, {"service_tier": "flex"}]
    assert [(each.model, each.why) for each in found.left_out] == [
        ("odd", "two entries of the set contradict each other")
    ]


def test_an_odd_entry_does_not_cost_the_set() -> None:
    """Entries of another shape are left out, or are none."""
    models: dict[str, Any] = {
        "$schema": "https://example",
        "odd": {"litellm_provider": "openai", "tiered_pricing": 7},
        "odder": {"litellm_provider": "openai", "provider_specific_entry": 7},
        "big": {"litellm_provider": "openai", "input_cost_per_token": Decimal("1e-6")},
    }
    found = litellm_prices.read(models, DAY)
    assert [each.names for each in found.listings] == [("big",)]
    assert [each.model for each in found.left_out] == ["odd", "odder"]


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=12),
        st.one_of(st.integers(1, 9), st.lists(st.integers(1, 9), min_size=1), st.text(min_size=1)),
        min_size=1,
        max_size=3,
    )
)
def test_no_unknown_field_is_ever_ignored(fields: dict[str, object]) -> None:
    """Whatever it is called and holds: a model with it is not listed."""
    named = {f"zz{name}": value for name, value in fields.items()}
    assert not litellm(**named).listings


# -- genai-prices ----------------------------------------------------------------------------------


def test_unknown_prices_and_tiers_of_genai_prices_are_named() -> None:
    """A price, a shape of tiers and a field of the model that are new to us."""
    assert "smell_mtok" in why(genai({"input_mtok": "1", "smell_mtok": "2"}))
    odd = {"base": "1", "tiers": [], "kind": "marginal"}
    assert "input_mtok" in why(genai({"input_mtok": odd}))
    assert "surcharge" in why(genai({"input_mtok": "1"}, surcharge={"eu": 2}))


def test_a_variant_without_a_term_is_named() -> None:
    """A route or a kind of search that has no term here is set aside, not dropped."""
    variant = {"when": {"route": "mistral/eu"}, "prices": {"input_mtok": "2"}}
    found = genai({"input_mtok": "1"}, price_variants=[variant])
    assert only(found)
    assert [each.field for each in found.set_aside] == ["route mistral/eu"]


def test_a_variant_without_prices_ends_the_one_before() -> None:
    """A batch that is no longer sold has no price."""
    batch = {"when": {"processing": "batch"}, "prices": {"input_mtok": "1"}}
    ended = {
        "when": {"processing": "batch"},
        "constraint": {"type": "StartDateConstraint", "start_date": "2026-10-14"},
    }
    assert len(only(genai({"input_mtok": "2"}, price_variants=[batch])).periods[0].rows) == 2
    assert len(only(genai({"input_mtok": "2"}, price_variants=[batch, ended])).periods[0].rows) == 1


@pytest.mark.parametrize("match", [{"regex": "("}, {"equals": 7}, {"or_": 7}, [], None])
def test_an_odd_match_does_not_cost_the_set(match: object) -> None:
    """A model whose names cannot be read is left out."""
    found = genai({"input_mtok": "1"}, match=match)
    assert not found.listings
    assert [each.model for each in found.left_out] == ["big"]


def test_an_undated_price_is_known_since_its_release() -> None:
    """The set dates every change, so its price holds from the day in the name, not before it."""
    name = "big-2026-03-05"
    model = {"id": name, "match": {"equals": name}, "prices": {"input_mtok": "1"}}
    provider = {"id": "mistral", "pricing_urls": ["https://mistral.example"], "models": [model]}
    assert only(genai_prices.read([provider], DAY)).known_from == date(2026, 3, 5)
    assert only(genai({"input_mtok": "1"})).known_from == DAY
    changed = {
        "constraint": {"type": "StartDateConstraint", "start_date": "2026-06-01"},
        "prices": {"input_mtok": "2"},
    }
    found = only(genai([{"prices": {"input_mtok": "1"}}, changed]))
    assert found.known_from == date(2026, 5, 31)


# -- models.dev ------------------------------------------------------------------------------------

COST = {"input": Decimal(2), "output": 8, "cache_read": Decimal("0.2"), "cache_write": 0}


def test_models_dev_prices_a_million_tokens() -> None:
    """Figures are taken as they are; a zero is no price."""
    found = only(dev(COST))
    assert figures(found) == {"input": "2", "output": "8", "cache_read": "0.2"}
    assert (found.provider, found.names, found.source) == (
        "openai",
        ("big",),
        "https://doc.example",
    )


def test_models_dev_steps_are_exact_or_refused() -> None:
    """`tiers` says where the price rises; the legacy field alone does not."""
    tier = {"input": 4, "output": 12, "tier": {"type": "context", "size": 200_000}}
    rows = only(dev({**COST, "tiers": [tier], "context_over_200k": tier})).periods[0].rows
    assert rows[LONG] == {
        key(Meter.INPUT): 4,
        key(Meter.OUTPUT): 12,
        key(Meter.CACHE_READ): Decimal("0.2"),
    }
    assert "context_over_200k" in why(dev({**COST, "context_over_200k": tier}))
    assert "tiers" in why(dev({**COST, "tiers": [{"input": 4, "tier": {"type": "hour"}}]}))


def test_models_dev_refuses_what_it_does_not_know() -> None:
    """A new price, a new field with a number, a free model, and names that do not tell the host."""
    assert "cost.smell" in why(dev({**COST, "smell": 1}))
    assert "surcharge" in why(dev(COST, surcharge={"eu": 2}))
    assert "free" in why(dev({"input": 0, "output": 0}))
    assert "no price" in why(dev({}))
    assert "host" in why(dev(COST, provider="huggingface"))
    modes = {"modes": {"fast": {"cost": {"input": 4}}}}
    assert [each.field for each in dev(COST, experimental=modes).set_aside] == [
        "experimental.modes"
    ]


# -- OpenRouter ------------------------------------------------------------------------------------

PRICING = {"prompt": "0.000002", "completion": "0.000008", "input_cache_write_1h": "0.000004"}


def test_openrouter_prices_a_single_unit() -> None:
    """Text in dollars a token; both of a model's names are priced; an image is ambiguous."""
    found = router({**PRICING, "request": "0.001", "image": "0.01", "web_search": "0"})
    listing = only(found)
    assert figures(listing) == {
        "input": "2",
        "output": "8",
        "cache_write_1h": "4",
        "requests": "1",
    }
    assert listing.names == ("acme/big", "acme/big-20260901")
    assert [each.field for each in found.set_aside] == ["image"]


def test_openrouter_overrides_are_by_length_or_refused() -> None:
    """A price by the hour is none that these tariffs hold."""
    override = {"min_prompt_tokens": 200_000, "prompt": "0.000004"}
    rows = only(router({**PRICING, "overrides": [override]})).periods[0].rows
    assert rows[LONG][key(Meter.INPUT)] == 4
    hourly = {**override, "utc_start": "0900"}
    assert "utc_start" in why(router({**PRICING, "overrides": [hourly]}))
    assert "override" in why(router({**PRICING, "overrides": [{"prompt": "0.000004"}]}))


@pytest.mark.parametrize(
    ("pricing", "named"),
    [
        ({"prompt": "-1", "completion": "-1"}, "varies"),
        ({"prompt": "0", "completion": "0"}, "free"),
        ({**PRICING, "smell": "0.1"}, "pricing.smell"),
        ({**PRICING, "discount": Decimal("0.25")}, "discount"),
        ({**PRICING, "prompt": "cheap"}, "pricing.prompt"),
    ],
)
def test_openrouter_refuses_what_it_does_not_know(pricing: dict[str, Any], named: str) -> None:
    """A router's varying price, a free model, a new field, a discount, and text."""
    assert named in why(router(pricing))


# -- all of them -----------------------------------------------------------------------------------


def test_sets_are_told_by_their_shape() -> None:
    """No name or flag is needed, and a document that is none is refused with the names."""
    entry = {"litellm_provider": "openai", "input_cost_per_token": 1}
    assert price_sets.name_of({"sample_spec": {}, "big": entry}) == "litellm"
    provider = {"id": "x", "pricing_urls": [], "models": []}
    assert price_sets.name_of([provider]) == "genai-prices"
    assert price_sets.name_of({"openai": {"models": {}}}) == "models.dev"
    assert price_sets.name_of({"data": [{"id": "x", "pricing": {}}]}) == "openrouter"
    none: list[Any] = [{}, [], 7, {"data": []}, {"a": 1}, [{"id": "x"}], "text"]
    for document in none:
        with pytest.raises(ValueError, match=r"litellm, genai-prices, models\.dev, openrouter"):
            price_sets.name_of(document)


@pytest.mark.parametrize("data", [b"", b"{", b"[NaN]", b"\xff", b"[" * 100_000])
def test_only_json_is_decoded(data: bytes) -> None:
    """Anything else is a mistake, not a crash."""
    with pytest.raises(ValueError, match=r".+"):
        price_sets.decode(data)


def test_decimals_are_exact() -> None:
    """A JSON number is read as it is written."""
    assert price_sets.decode(b"[0.1]") == [Decimal("0.1")]


@pytest.mark.parametrize("name", ["big*", "gpt-?", "[a-z]", " ", ""])
def test_a_name_that_would_be_a_pattern_is_none(name: str) -> None:
    """A set names models; a wildcard in it would price names that it never listed."""
    cost = {"litellm_provider": "openai", "input_cost_per_token": Decimal("1e-6")}
    models = {name: {"id": name, "cost": {"input": 1}}}
    router_entry = {"id": name, "pricing": {"prompt": "0.000001"}}
    for found in (
        litellm_prices.read({name: cost}, DAY),
        models_dev.read({"openai": {"models": models}}, DAY),
        openrouter_prices.read({"data": [router_entry]}, DAY),
    ):
        assert why(found) == "the name is blank, or a pattern"


@given(st.integers(1, 10**9), st.integers(-12, -4))
def test_a_price_a_token_is_exact_a_million(digits: int, exponent: int) -> None:
    """No binary float comes between a set's figure and the tariff's."""
    amount = Decimal(digits).scaleb(exponent)
    assert price("x", amount, 1_000_000) == amount * 1_000_000
    assert price("x", str(amount), 1_000_000) == amount * 1_000_000


def test_every_meter_of_a_reader_has_a_unit_that_tariffs_state() -> None:
    """So that no figure is off by a thousand."""
    readers = [
        *litellm_fields.TOKEN_METERS.values(),
        *(meter for _, meter, _ in litellm_fields.PLAIN_FIELDS.values()),
        *models_dev.METERS.values(),
        *(meter for meter, _ in openrouter_prices.METERS.values()),
    ]
    assert all(key(meter)[0].startswith("usd_per_") for meter in readers)
    assert {UNITS[meter] for meter in models_dev.METERS.values()} == {UNITS[Meter.INPUT]}


@pytest.mark.parametrize("name", ["litellm-1.109.1.json", "genai-prices-0.2.3.json"])
def test_every_field_of_the_shared_sets_is_accounted_for(name: str) -> None:
    """A model is left out for what is known of it, and never for a field that nobody classified."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is absent: it lies beside the checkout where the shared data is kept")
    document = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    found = price_sets.read(document, DAY, "a set")
    assert len(found.listings) > 1_000
    unknown = {each.why for each in found.left_out if "not understood" in each.why}
    assert unknown <= {  # messages of a voice session are billed beside its time
        "the field input_text_messages_kcount is not understood",
        "the field input_cost_per_text_message is not understood",
    }
    assert not any("shape" in each.why for each in found.left_out)
    assert all(each.periods[0].rows.get(STANDARD) for each in found.listings)
