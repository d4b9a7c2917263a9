"""Every way in which providers overlap their counts comes out as a partition that sums up."""

from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.cause import texts
from pricing.usage import Meter
from proxy.dialects.contract import Ask
from proxy.dialects.openai.costs import reported_usd
from proxy.dialects.openai.usage import has_usage, tally_usage

ASK = Ask(method="POST", path="/v1/chat/completions")
OUTSIDE = Ask(method="POST", path="/", quirks=frozenset({"reasoning_outside_output"}))


def leaves(usage: Mapping[str, object], ask: Ask = ASK) -> dict[str, object]:
    """Quantities by meter; the reasons beside them, if any, under "reasons"."""
    tally = tally_usage(usage, ask)
    found: dict[str, object] = {m.value: n for m, n in tally.usage().quantities.items()}
    return {**found, **({"reasons": list(texts(tally.reasons))} if tally.reasons else {})}


USAGES = [
    pytest.param(
        {"prompt_tokens": 8, "completion_tokens": 11, "total_tokens": 19},
        {"input": 8, "output": 11},
        id="plain",
    ),
    pytest.param(
        {
            "prompt_tokens": 100,
            "completion_tokens": 300,
            "total_tokens": 400,
            "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": None},
            "completion_tokens_details": {
                "reasoning_tokens": 64,
                "accepted_prediction_tokens": 120,
                "rejected_prediction_tokens": 80,
            },
        },
        {"input": 60, "cache_read": 40, "output.reasoning": 64, "output": 236},
        id="cached, reasoning and predictions are inside",
    ),
    pytest.param(
        {
            "input_tokens": 10_000,
            "input_tokens_details": {
                "cached_tokens": 2000,
                "cache_write_tokens": 7000,
                "cache_write_tokens_details": {"ttl_30m_tokens": 4000, "ttl_12h_tokens": 3000},
            },
            "output_tokens": 400,
            "total_tokens": 10_400,
        },
        {
            "input": 1000,
            "cache_read": 2000,
            "cache_write_30m": 4000,
            "cache_write_12h": 3000,
            "output": 400,
        },
        id="cache writes by time to live",
    ),
    pytest.param(
        {
            "input_tokens": 100,
            "input_tokens_details": {"cache_write_tokens": 90},
            "output_tokens": 4,
        },
        {"input": 10, "cache_write": 90, "output": 4},
        id="cache writes without a split",
    ),
    pytest.param(
        {
            "input_tokens": 1000,
            "output_tokens": 600,
            "total_tokens": 1600,
            "input_tokens_details": {
                "text_tokens": 700,
                "image_tokens": 300,
                "cached_tokens": 200,
                "cached_tokens_details": {"text_tokens": 150, "image_tokens": 50},
            },
            "output_tokens_details": {"image_tokens": 500, "text_tokens": 100},
        },
        {
            "input": 550,
            "input.image": 250,
            "cache_read": 150,
            "cache_read.image": 50,
            "output.image": 500,
            "output": 100,
        },
        id="modality by cache",
    ),
    pytest.param(
        {
            "total_tokens": 1855,
            "input_tokens": 1459,
            "output_tokens": 396,
            "input_token_details": {
                "text_tokens": 1349,
                "audio_tokens": 110,
                "cached_tokens": 1408,
                "cached_tokens_details": {"text_tokens": 1344, "audio_tokens": 64},
            },
            "output_token_details": {"text_tokens": 97, "audio_tokens": 299},
        },
        {
            "input": 5,
            "input.audio": 46,
            "cache_read": 1344,
            "cache_read.audio": 64,
            "output": 97,
            "output.audio": 299,
        },
        id="realtime, details in the singular",
    ),
    pytest.param(
        {
            "prompt_tokens": 1000,
            "completion_tokens": 1,
            "prompt_tokens_details": {"image_tokens": 600, "cached_tokens": 900},
        },
        {
            "cache_read": 400,
            "cache_read.image": 500,
            "input.image": 100,
            "output": 1,
            "reasons": ["cached_modality_assumed:text_first"],
        },
        id="cached tokens without a modality are text first",
    ),
    pytest.param(
        {
            "prompt_tokens": 875,
            "completion_tokens": 79,
            "total_tokens": 954,
            "prompt_cache_hit_tokens": 800,
            "prompt_cache_miss_tokens": 75,
        },
        {"input": 75, "cache_read": 800, "output": 79},
        id="DeepSeek hit and miss",
    ),
    pytest.param(
        {"prompt_tokens": 70, "num_cached_tokens": 69, "completion_tokens": 12, "total_tokens": 82},
        {"input": 1, "cache_read": 69, "output": 12},
        id="Mistral",
    ),
    pytest.param(
        {"prompt_tokens": 20, "cached_tokens": 10, "completion_tokens": 30, "total_tokens": 50},
        {"input": 10, "cache_read": 10, "output": 30},
        id="Moonshot",
    ),
    pytest.param(
        {
            "prompt_tokens": 12,
            "completion_tokens": 1,
            "total_tokens": 303,
            "prompt_tokens_details": {"text_tokens": 12, "cached_tokens": 11},
            "completion_tokens_details": {"reasoning_tokens": 290},
        },
        {"input": 1, "cache_read": 11, "output.reasoning": 290, "output": 1},
        id="xAI leaves reasoning out of the completion",
    ),
    pytest.param(
        {
            "prompt_tokens": 20_000,
            "completion_tokens": 500,
            "total_tokens": 20_500,
            "prompt_tokens_details": {
                "cached_tokens": 12_000,
                "cache_creation": {"ephemeral_5m_input_tokens": 6000},
                "cache_creation_input_tokens": 6000,
                "cache_type": "ephemeral",
            },
        },
        {"input": 2000, "cache_read.explicit": 12_000, "cache_write_5m": 6000, "output": 500},
        id="DashScope explicit cache",
    ),
    pytest.param(
        {
            "input_tokens": 500,
            "cache_read_input_tokens": 20_000,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 3000,
                "ephemeral_1h_input_tokens": 2000,
            },
            "cache_creation_input_tokens": 5000,
            "output_tokens": 700,
        },
        {
            "input": 500,
            "cache_read": 20_000,
            "cache_write_5m": 3000,
            "cache_write_1h": 2000,
            "output": 700,
        },
        id="Anthropic's block through a relay",
    ),
    pytest.param(
        {
            "prompt_tokens": 33,
            "completion_tokens": 7163,
            "total_tokens": 7196,
            "citation_tokens": 20_016,
            "num_search_queries": 18,
            "reasoning_tokens": 73_997,
        },
        {
            "input": 33,
            "output": 7163,
            "output.reasoning": 73_997,
            "citation_tokens": 20_016,
            "calls.web_search": 18,
        },
        id="Perplexity deep research",
    ),
    pytest.param(
        {
            "input_tokens": 5000,
            "output_tokens": 700,
            "server_side_tool_usage_details": {
                "web_search_calls": 2,
                "x_search_calls": 1,
                "code_interpreter_calls": 1,
            },
        },
        {
            "input": 5000,
            "output": 700,
            "calls.web_search": 2,
            "calls.x_search": 1,
            "calls.code_execution": 1,
        },
        id="xAI tools",
    ),
    pytest.param(
        {
            "input_tokens": 5,
            "output_tokens": 4,
            "tool_calls_details": {"web_search": {"invocation": 3}, "fetch_url": {"invocation": 2}},
        },
        {"input": 5, "output": 4, "calls.web_search": 3, "calls.web_fetch": 2},
        id="Perplexity agent tools",
    ),
    pytest.param({"total_tokens": 3}, {"input": 3}, id="Voyage states a total only"),
    pytest.param(
        {"prompt_tokens": 8, "completion_tokens": 2, "prompt_tokens_details": None},
        {"input": 8, "output": 2},
        id="null details",
    ),
    pytest.param(
        {"prompt_tokens": 8.0, "completion_tokens": "2", "total_tokens": True},
        {"input": 8, "reasons": ["unknown_usage_field:completion_tokens"]},
        id="odd types",
    ),
]


@pytest.mark.parametrize(("usage", "expected"), USAGES)
def test_leaves(usage: Mapping[str, object], expected: Mapping[str, object]) -> None:
    """Each provider's block gives disjoint leaves."""
    assert leaves(usage) == expected


def test_gemini_says_reasoning_only_in_the_total() -> None:
    """Gemini's compatible endpoint bills total - prompt; the difference is reasoning."""
    usage = {"prompt_tokens": 66, "completion_tokens": 6, "total_tokens": 100}
    expected = {"input": 66, "output": 6, "output.reasoning": 28}
    assert leaves(usage, OUTSIDE) == expected
    assert leaves(usage, Ask(method="POST", path="/", family="gemini")) == expected


def test_perplexity_by_its_configuration() -> None:
    """Where its own fields are absent, the configured provider tells Perplexity's block."""
    ask = Ask(method="POST", path="/", quirks=frozenset({"perplexity_search"}))
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "reasoning_tokens": 9}
    assert leaves(usage, ask) == {"input": 3, "output": 4, "output.reasoning": 9}


@pytest.mark.parametrize(
    ("model", "meter"), [("anthropic/claude-4", "cache_write_5m"), ("openai/gpt-6", "cache_write")]
)
def test_cache_writes_of_anthropic_models(model: str, meter: str) -> None:
    """Behind OpenRouter, Anthropic's cache writes live five minutes."""
    quirks = frozenset({"cache_write_5m"})
    ask = Ask(method="POST", path="/", request={"model": model}, quirks=quirks)
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 1,
        "prompt_tokens_details": {"cache_write_tokens": 9},
    }
    assert leaves(usage, ask) == {meter: 9, "output": 1}


def test_a_sum_that_is_wrong_is_flagged() -> None:
    """A total that the leaves do not reach is said; nothing is invented to reach it."""
    usage = {"prompt_tokens": 66, "completion_tokens": 6, "total_tokens": 100}
    assert leaves(usage) == {
        "input": 66,
        "output": 6,
        "reasons": ["usage_sum_mismatch:total:72!=100"],
    }


def test_a_negative_leaf_is_flagged() -> None:
    """More cached tokens than prompt tokens is the provider's error: flagged, never clamped."""
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 1,
        "total_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 30},
    }
    assert leaves(usage) == {"cache_read": 30, "output": 1, "reasons": ["usage_negative:input"]}


def test_an_absurd_number_is_not_a_count() -> None:
    """A number that would fill the memory is no count, and what it should have said is missing."""
    assert leaves({"prompt_tokens": Decimal("1e999999"), "completion_tokens": 3}) == {
        "output": 3,
        "reasons": ["usage_input_missing"],
    }


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        ({"cost": Decimal("0.00216775")}, "0.00216775"),
        ({"cost": 0, "is_byok": True}, "0"),
        ({"cost_in_usd_ticks": 1_176_500}, "0.0001176500"),
        ({"estimated_cost": Decimal("8.775e-06")}, "0.000008775"),
        ({"cost": {"total_cost": Decimal("0.012"), "request_cost": Decimal("0.01")}}, "0.012"),
    ],
)
def test_reported_cost(usage: Mapping[str, object], usd: str) -> None:
    """What a provider says it charged is kept exactly."""
    assert reported_usd(usage) == Decimal(usd)


@pytest.mark.parametrize("usage", [{}, {"cost": "free"}, {"cost": -1}, {"cost": {"x": 1}}])
def test_no_reported_cost(usage: Mapping[str, object]) -> None:
    """No cost, or one that makes no sense, is unknown and not zero."""
    assert reported_usd(usage) is None


@pytest.mark.parametrize("usage", [None, [], "9", {}, {"prompt_tokens": None}])
def test_no_usage(usage: object) -> None:
    """A usage block that states nothing is no usage."""
    assert not has_usage(usage)


counts = st.integers(0, 10_000)


@settings(max_examples=200)
@given(counts, counts, counts, counts, st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_conservation(text: int, image: int, audio: int, made: int, shares: list[float]) -> None:
    """Whatever is cached and written within the prompt, the leaves sum to the total."""
    read = text + image + audio
    cached = int(read * shares[0])
    written = int((read - cached) * shares[1])
    reasoning = int(made * shares[2])
    spoken = int((made - reasoning) * shares[3])
    tally = tally_usage(
        {
            "prompt_tokens": read,
            "completion_tokens": made,
            "total_tokens": read + made,
            "prompt_tokens_details": {
                "image_tokens": image,
                "audio_tokens": audio,
                "cached_tokens": cached,
                "cache_write_tokens": written,
            },
            "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": spoken},
        },
        ASK,
    )
    usage = tally.usage()
    assert [reason for reason in texts(tally.reasons) if reason.startswith("usage")] == []
    assert usage.input_tokens == read
    assert usage.output_tokens == made
    assert usage.quantities.get(Meter.CACHE_WRITE, 0) == written
