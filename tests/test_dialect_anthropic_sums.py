"""Sums in Anthropic's usage block: of passes, of cache writes, of requests that were summed."""

from collections.abc import Mapping
from dataclasses import FrozenInstanceError

import pytest

from pricing.cause import texts
from pricing.terms import Term
from proxy.dialects.anthropic.usage import Share, shares

MODEL = "claude-haiku-4-5"


def first(usage: Mapping[str, object], **more: int) -> Share:
    """The share of the model that answered."""
    return next(iter(shares(usage, served=MODEL, terms={}, ttls=None, **more)))


@pytest.mark.parametrize(("passes", "summed"), [({}, False), ({"passes": 0}, False)])
def test_one_request_is_no_sum(passes: dict[str, int], summed: bool) -> None:
    """Unless the content shows that there were several."""
    usage = {"input_tokens": 5, "output_tokens": 2}
    assert (Term.SUMMED_REQUESTS in first(usage, **passes).terms) is summed
    assert first(usage, passes=2).terms[Term.SUMMED_REQUESTS] is True


@pytest.mark.parametrize(
    ("top", "sums"), [((5, 3), True), ((6, 3), False), ((5, 4), False), ((4, 3), False)]
)
def test_passes_must_sum(top: tuple[int, int], sums: bool) -> None:
    """More at the top than in the passes is as wrong as less; then the passes count."""
    usage = {
        "input_tokens": top[0],
        "output_tokens": top[1],
        "iterations": [
            {"type": "message", "input_tokens": 2, "output_tokens": 1},
            {"type": "message", "input_tokens": 3, "output_tokens": 2},
        ],
    }
    share = first(usage)
    assert (texts(share.tally.reasons) == ()) is sums
    found = {meter.value: number for meter, number in share.tally.usage().quantities.items()}
    assert found == {"input": 5, "output": 3}
    assert share.terms[Term.MAX_REQUEST_PROMPT_TOKENS] == 3


def test_passes_that_made_nothing() -> None:
    """Two of them sum up to nothing."""
    entry = {"type": "message", "input_tokens": 2}
    share = first({"input_tokens": 4, "iterations": [entry, entry]})
    assert not share.tally.reasons


@pytest.mark.parametrize(
    ("total", "reasons"),
    [
        (9, ("cache_write_split_exceeds_total",)),
        (8, ("cache_write_split_exceeds_total",)),
        (10, ()),
    ],
)
def test_a_split_of_cache_writes(total: int, reasons: tuple[str, ...]) -> None:
    """It is at most the total."""
    split = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0}
    usage = {"input_tokens": 1, "output_tokens": 1, "cache_creation": split}
    share = first({**usage, "cache_creation_input_tokens": total})
    assert texts(share.tally.reasons) == reasons


def test_a_share_is_a_value() -> None:
    """Nobody changes it afterwards."""
    with pytest.raises(FrozenInstanceError):
        first({"input_tokens": 1}).model = "other"  # type: ignore[misc]
