"""Of blocks of usage that are replaced, as much is flagged as if each were looked at."""

from collections.abc import Callable, Mapping
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.cause import Cause
from proxy.dialects.contract import Ask
from proxy.dialects.gemini.usage import tally_usage as tally_gemini
from proxy.dialects.openai.usage import tally_usage as tally_openai
from proxy.dialects.superseded import SHAPES_MAX, Superseded
from proxy.dialects.tally import Tally

Block = Mapping[str, object]
NUMBERS = st.sampled_from(
    [0, 1, 7, -1, 10**19, Decimal(0), Decimal("0.5"), Decimal(3), True, False, None, "4", "0", "x"]
)
MODALITIES = st.sampled_from(["TEXT", "AUDIO", "SMELL", "", 0, 9, None])
DETAILS = st.lists(
    st.fixed_dictionaries({"modality": MODALITIES, "tokenCount": NUMBERS}), max_size=2
)
GEMINI = st.fixed_dictionaries(
    {"promptTokenCount": NUMBERS},
    optional={
        "candidatesTokenCount": NUMBERS,
        "promptTokensDetails": DETAILS,
        "cacheTokensDetails": DETAILS,
        "odorTokenCount": NUMBERS,
    },
)
OPENAI = st.fixed_dictionaries(
    {"prompt_tokens": NUMBERS},
    optional={
        "completion_tokens_details": st.dictionaries(
            st.sampled_from(["reasoning_tokens", "odor_tokens"]), NUMBERS
        ),
        "server_side_tool_usage_details": st.dictionaries(
            st.sampled_from(["web_search_calls", "odor_calls"]), NUMBERS
        ),
        "odors": NUMBERS,
    },
)


def openai(usage: Block) -> Tally:
    return tally_openai(usage, Ask(method="POST", path="/v1/chat/completions"))


def flagged(blocks: list[Block], tally: Callable[[Block], Tally]) -> tuple[set[Cause], set[Cause]]:
    """What is flagged of the blocks, and what would be if each were looked at."""
    superseded = Superseded()
    found = {cause for block in blocks for cause in superseded.unknown(block, tally)}
    return found, {cause for block in blocks for cause in tally(block).unknown()}


@given(st.lists(GEMINI, max_size=6))
def test_gemini(blocks: list[Block]) -> None:
    """A field, or a modality, that no reader knows is flagged wherever it has a number."""
    found, expected = flagged(blocks, tally_gemini)
    assert found == expected


@given(st.lists(OPENAI, max_size=6))
def test_openai(blocks: list[Block]) -> None:
    """So is a field or a tool of OpenAI's dialect."""
    found, expected = flagged(blocks, openai)
    assert found == expected


@pytest.mark.parametrize(("last", "looks"), [(9, 1), (0, 2)], ids=["another number", "a zero"])
def test_one_look_for_each_shape(last: int, looks: int) -> None:
    """Blocks that differ in their numbers alone are looked at once."""
    seen: list[Block] = []

    def look(block: Block) -> Tally:
        seen.append(block)
        return Tally({}, {})

    superseded = Superseded()
    for number in (1, 2, last):
        for _ in superseded.unknown({"promptTokenCount": number}, look):
            pass
    assert len(seen) == looks


def test_as_many_shapes_as_there_are() -> None:
    """A stream of ever new fields has each looked at, and is remembered in part."""
    blocks: list[Block] = [{f"field{number}": 1} for number in range(2 * SHAPES_MAX)]
    found, expected = flagged(blocks, tally_gemini)
    assert found == expected
