"""Sums in OpenAI's usage block that other providers state in their own ways."""

import pytest
from test_dialect_openai_usage import OUTSIDE, leaves

from pricing import Meter
from proxy.dialects.contract import Ask
from proxy.dialects.openai.usage import served_tier, tally_usage

GEMINI = Ask(method="POST", path="/", family="gemini")


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (130, {"input": 100, "output": 20, "input.tool_use": 10}),  # beside the prompt
        (120, {"input": 100, "output": 20}),  # inside it
        (
            125,
            {"input": 100, "output": 20, "reasons": ["usage_sum_mismatch:total:120!=125"]},
        ),
        (
            140,
            {"input": 100, "output": 20, "reasons": ["usage_sum_mismatch:total:120!=140"]},
        ),
    ],
)
def test_tokens_of_connectors(total: int, expected: object) -> None:
    """They are counted where the total says that they came on top."""
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": total}
    assert leaves({**usage, "connector_tokens": 10}) == expected


def test_connectors_and_reasoning_on_top() -> None:
    """What connectors take is no gap that reasoning could fill."""
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 130,
        "connector_tokens": 10,
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    assert leaves(usage, OUTSIDE) == {
        "input": 100,
        "input.tool_use": 10,
        "output": 15,
        "output.reasoning": 5,
    }


def test_a_total_alone() -> None:
    """What is not made is read."""
    assert leaves({"total_tokens": 9}) == {"input": 9}
    assert leaves({"total_tokens": 9, "completion_tokens": 2}) == {"input": 7, "output": 2}


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        ({"cache_read_input_tokens": 7}, {"cache_read": 7}),
        ({"cache_read_input_tokens": None}, {}),
        ({"cache_creation_input_tokens": 6}, {"cache_write": 6}),
        (
            {
                "cache_creation_input_tokens": 6,
                "cache_creation": {"ephemeral_5m_input_tokens": 4},
            },
            {"cache_write": 2, "cache_write_5m": 4},
        ),
        (
            {
                "cache_read_input_tokens": 7,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 4,
                    "ephemeral_1h_input_tokens": 3,
                },
            },
            {"cache_read": 7, "cache_write_5m": 4, "cache_write_1h": 3},
        ),
    ],
)
def test_anthropics_block(cache: dict[str, object], expected: dict[str, int]) -> None:
    """Some relays pass it on: its input excludes the cache, in the total too."""
    usage = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12, **cache}
    assert leaves(usage) == {"input": 10, "output": 2, **expected}


@pytest.mark.parametrize(
    ("total", "said", "ask", "expected"),
    [
        (30, 10, OUTSIDE, {"output": 10, "output.reasoning": 10}),
        (21, 0, OUTSIDE, {"output": 10, "output.reasoning": 1}),
        (21, 0, GEMINI, {"output": 10, "output.reasoning": 1}),
        (20, 4, OUTSIDE, {"output": 6, "output.reasoning": 4}),
        (
            19,
            4,
            OUTSIDE,
            {"output": 6, "output.reasoning": 4, "reasons": ["usage_sum_mismatch:total:20!=19"]},
        ),
        (24, 4, Ask(method="POST", path="/"), {"output": 10, "output.reasoning": 4}),
        (
            23,
            4,
            Ask(method="POST", path="/", family="amazon"),
            {"output": 6, "output.reasoning": 4, "reasons": ["usage_sum_mismatch:total:20!=23"]},
        ),
    ],
)
def test_reasoning_beside_the_completion(
    total: int, said: int, ask: Ask, expected: dict[str, object]
) -> None:
    """Where the total says so: from providers that count so, or for exactly what is said."""
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 10,
        "total_tokens": total,
        "completion_tokens_details": {"reasoning_tokens": said},
    }
    assert leaves(usage, ask) == {"input": 10, **expected}


def test_video_is_no_text() -> None:
    """Each kind that is made is taken off what is left."""
    made = {"image_tokens": 1, "audio_tokens": 2, "video_tokens": 3, "reasoning_tokens": 4}
    usage = {"prompt_tokens": 1, "completion_tokens": 20, "completion_tokens_details": made}
    assert leaves(usage) == {
        "input": 1,
        "output": 10,
        "output.image": 1,
        "output.audio": 2,
        "output.video": 3,
        "output.reasoning": 4,
    }


@pytest.mark.parametrize(
    ("kinds", "reasons"),
    [
        ({}, []),
        ({"audio_tokens": 3}, ["cached_modality_assumed:text_first"]),
        ({"video_tokens": 3}, ["cached_modality_assumed:text_first"]),
        ({"image_tokens": 100}, ["cached_modality_assumed:text_first"]),
    ],
)
def test_whose_tokens_were_cached(kinds: dict[str, int], reasons: list[str]) -> None:
    """A prompt of several kinds has its cached beginning assumed to be text, which is said."""
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": 40, **kinds},
    }
    assert leaves(usage).get("reasons", []) == reasons


@pytest.mark.parametrize(
    ("stated", "tier"), [("auto", ""), ("", ""), ("a", "a"), ("flex", "flex"), ("x" * 90, "x" * 64)]
)
def test_the_tier_that_served(stated: str, tier: str) -> None:
    """As it is stated, within a column's bounds; `auto` repeats the request."""
    assert served_tier({"service_tier": stated}) == tier
    assert served_tier({"usage": {"service_tier": stated}}) == tier


def test_what_an_endpoint_reads_if_none_is_said() -> None:
    """It is the provider's total as it stands."""
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    tally = tally_usage(usage, OUTSIDE, default_input=Meter.INPUT_AUDIO)
    assert tally.usage().quantities == {Meter.INPUT_AUDIO: 5, Meter.OUTPUT: 2}
    assert not tally.reasons


def test_kinds_that_exceed_the_prompt() -> None:
    """What text lacks is named; the cached ones are taken where there are some."""
    usage = {
        "prompt_tokens": 2,
        "completion_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 5},
    }
    assert leaves(usage) == {
        "input.audio": 4,
        "cache_read.audio": 1,
        "reasons": ["cached_modality_assumed:text_first", "usage_negative:input"],
    }
