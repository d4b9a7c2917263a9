"""Gemini's usage block: splits by modality, Live's total, tiers, and what grounding is billed."""

from collections.abc import Mapping, Sequence

import pytest

from pricing.cause import texts
from proxy.dialects.gemini.usage import QUERIES_MAX, Grounding, served_tier, tally_usage
from proxy.dialects.tally import Tally


def found(tally: Tally) -> dict[str, object]:
    """Quantities by meter; the reasons beside them, if any, under "reasons"."""
    leaves: dict[str, object] = {m.value: n for m, n in tally.usage().quantities.items()}
    return {**leaves, **({"reasons": list(texts(tally.reasons))} if tally.reasons else {})}


def leaves(usage: Mapping[str, object]) -> dict[str, object]:
    return found(tally_usage(usage))


def split(**counts: int) -> list[dict[str, object]]:
    return [{"modality": name, "tokenCount": count} for name, count in counts.items()]


def test_enums_as_numbers() -> None:
    """Each number is the modality that Google's definition gives it."""
    read = [{"modality": n, "tokenCount": 10**n} for n in (0, 1, 2, 3, 4, 5)]
    assert leaves({"promptTokenCount": 111_111, "promptTokensDetails": read}) == {
        "input": 11,
        "input.image": 100,
        "input.video": 1_000,
        "input.audio": 10_000,
        "input.document": 100_000,
    }
    assert [served_tier({"trafficType": n}) for n in (1, 2, 3)] == [
        *("ON_DEMAND", "PROVISIONED_THROUGHPUT", "TRAFFIC_TYPE_3"),
    ]
    assert served_tier({"serviceTier": "x" * 90}) == "x" * 64
    assert served_tier({"trafficType": "TRAFFIC_TYPE_UNSPECIFIED"}) == ""


@pytest.mark.parametrize(
    ("total", "reasons"),
    [
        (17, []),  # without the thoughts
        (22, []),  # with them
        (16, ["usage_sum_mismatch:total:22!=16"]),
        (18, ["usage_sum_mismatch:total:22!=18"]),
        (23, ["usage_sum_mismatch:total:22!=23"]),
    ],
)
def test_lives_total(total: int, reasons: list[str]) -> None:
    """It may leave out thoughts, and nothing else."""
    usage = {
        "promptTokenCount": 10,
        "responseTokenCount": 4,
        "toolUsePromptTokenCount": 3,
        "thoughtsTokenCount": 5,
        "totalTokenCount": total,
    }
    assert leaves(usage).get("reasons", []) == reasons


def test_a_live_turn_without_an_answer() -> None:
    """Nothing was made, and the total is the prompt."""
    usage = {"promptTokenCount": 10, "responseTokenCount": 0, "thoughtsTokenCount": 2}
    expected = {"input": 10, "output.reasoning": 2}
    assert leaves({**usage, "totalTokenCount": 10}) == expected
    assert leaves({**usage, "totalTokenCount": 12}) == expected


def test_a_total_of_an_answer_that_is_not_lives() -> None:
    """It includes thoughts; one that does not is wrong."""
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 4, "thoughtsTokenCount": 5}
    assert leaves({**usage, "totalTokenCount": 19}).get("reasons") is None
    assert leaves({**usage, "totalTokenCount": 14})["reasons"] == [
        "usage_sum_mismatch:total:19!=14"
    ]


def test_an_unknown_modality_cached_or_not() -> None:
    """It is left out once, as much as either says, and the kinds after it are counted."""
    usage = {
        "promptTokenCount": 30,
        "promptTokensDetails": split(SMELL=4, TEXT=20, AUDIO=6),
        "cachedContentTokenCount": 9,
        "cacheTokensDetails": split(SMELL=3, TEXT=4, AUDIO=2),
        "candidatesTokenCount": 5,
        "candidatesTokensDetails": split(TEXT=2, AUDIO=1, TASTE=2),
        "toolUsePromptTokenCount": 8,
        "toolUsePromptTokensDetails": split(TEXT=5, TOUCH=3),
        "totalTokenCount": 43,
    }
    assert leaves(usage) == {
        "input": 16,
        "cache_read": 4,
        "input.audio": 4,
        "cache_read.audio": 2,
        "output": 2,
        "output.audio": 1,
        "input.tool_use": 5,
        "reasons": [
            *("unknown_modality:SMELL", "unknown_modality:TASTE", "unknown_modality:TOUCH"),
        ],
    }


def test_an_unknown_modality_on_one_side_alone() -> None:
    """That of the cache alone is no less unknown."""
    usage = {
        "promptTokenCount": 10,
        "promptTokensDetails": split(TEXT=10),
        "cachedContentTokenCount": 4,
        "cacheTokensDetails": split(TEXT=3, SMELL=1),
    }
    assert "unknown_modality:SMELL" in str(leaves(usage)["reasons"])
    usage["cacheTokensDetails"] = split(TEXT=3, AUDIO=1)
    assert leaves(usage)["cache_read.audio"] == 1
    assert "usage_negative:input.audio" in str(leaves(usage)["reasons"])


def test_a_modality_without_tokens() -> None:
    """An unknown one that counts nothing says nothing; a known one may be cached or not."""
    usage = {
        "promptTokenCount": 10,
        "promptTokensDetails": split(TEXT=5, AUDIO=5, SMELL=0),
        "cachedContentTokenCount": 3,
        "cacheTokensDetails": split(TEXT=3, TASTE=0),
    }
    assert leaves(usage) == {"input": 2, "cache_read": 3, "input.audio": 5}


def test_live_without_a_total() -> None:
    """There is nothing to compare the sum with."""
    usage = {"promptTokenCount": 10, "responseTokenCount": 4, "thoughtsTokenCount": 5}
    assert leaves(usage) == {"input": 10, "output": 4, "output.reasoning": 5}


@pytest.mark.parametrize(
    ("kinds", "cached", "expected"),
    [
        ({"TEXT": 8, "AUDIO": 2}, 8, {"input.audio": 2, "cache_read": 8}),
        (
            {"TEXT": 8, "VIDEO": 2},
            9,
            {
                "input.video": 1,
                "cache_read": 8,
                "cache_read.video": 1,
                "reasons": ["cache_modality_unknown"],
            },
        ),
        (
            {"TEXT": -1, "AUDIO": 11},
            5,
            {
                "input.audio": 6,
                "cache_read.audio": 5,
                "reasons": ["cache_modality_unknown", "usage_negative:input"],
            },
        ),
    ],
)
def test_cached_tokens_without_a_split(
    kinds: dict[str, int], cached: int, expected: dict[str, object]
) -> None:
    """Text first; beyond it their price is a guess."""
    usage = {
        "promptTokenCount": 10,
        "promptTokensDetails": split(**{k: n for k, n in kinds.items() if n > 0}),
        "cachedContentTokenCount": cached,
    }
    assert leaves(usage) == expected


def test_video_that_was_made() -> None:
    """Its place in the alphabet changes nothing."""
    usage = {"candidatesTokenCount": 9, "candidatesTokensDetails": split(TEXT=2, VIDEO=4, IMAGE=3)}
    assert leaves(usage) == {"output": 2, "output.image": 3, "output.video": 4}


# -- grounding ------------------------------------------------------------------------------------


def grounded(
    model: str, *said: Mapping[str, object], own: Sequence[Mapping[str, object]] = ()
) -> dict[str, object]:
    """What is counted of several chunks."""
    grounding, tally = Grounding(), Tally.inferred()
    for one in said:
        grounding.take(one)
    for one in own:
        grounding.take_own_data(one)
    grounding.count(tally, model)
    return found(tally)


def chunks(*names: str) -> dict[str, object]:
    return {"groundingChunks": [{name: {}} for name in names]}


EMPTY: Mapping[str, object] = {}


@pytest.mark.parametrize("model", ["gemini-3-pro", "gemini-3.1-pro", "gemini-4-flash"])
def test_queries_from_the_third_generation_on(model: str) -> None:
    """Each different one, at least one."""
    assert grounded(model, {"webSearchQueries": ["a", "b", "a", ""]}) == {"grounding.queries": 2}
    assert grounded(model, chunks("web"), EMPTY) == {"grounding.queries": 1}
    assert grounded(model, chunks("image"), EMPTY) == {"grounding.queries": 1}


def test_prompts_before() -> None:
    """Once, however many queries; without a generation the unit is not known."""
    assert grounded("gemini-2.5-pro", {"webSearchQueries": ["a", "b"]}) == {"grounding.prompts": 1}
    assert grounded("palm", {"webSearchQueries": ["a"]})["reasons"] == ["grounding_unit_unknown"]


def test_maps_beside_searches() -> None:
    """The queries are those of searches, if there were any."""
    queries = {"webSearchQueries": ["a", "b"]}
    assert grounded("gemini-3-pro", {**queries, **chunks("maps")}) == {"grounding.maps": 2}
    assert grounded("gemini-3-pro", queries, chunks("maps", "web"), EMPTY) == {
        "grounding.maps": 1,
        "grounding.queries": 2,
    }


def test_too_many_queries() -> None:
    """Those beyond the limit are named with their number."""
    many = {"webSearchQueries": [str(n) for n in range(QUERIES_MAX + 3)]}
    assert QUERIES_MAX == 1_000
    assert grounded("gemini-3-pro", many) == {
        "grounding.queries": QUERIES_MAX,
        "reasons": ["limit_reached:searches: 3 more"],
    }


def test_ones_own_data() -> None:
    """Whichever chunk says it, and whatever comes after."""
    expected = {"grounding.own_data": 1}
    assert grounded("gemini-3-pro", {"retrievalQueries": ["a"]}, EMPTY) == expected
    own = [chunks("retrievedContext"), EMPTY, chunks("web")]
    assert grounded("gemini-3-pro", own=own) == expected
    assert grounded("gemini-3-pro", own=[chunks("web")]) == {}


def test_files_that_were_searched() -> None:
    """Their results are input, as long as any chunk has them."""
    grounding = Grounding()
    for one in (chunks("retrievedContext"), EMPTY):
        grounding.take(one)
    assert grounding.other_tools
