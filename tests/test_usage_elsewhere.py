"""Usage and cost are read wherever they stand, whatever the status beside them says."""

from decimal import Decimal

import pytest

from pricing.cause import texts
from pricing.usage import Meter
from support.readings import quantities, read

USAGE = {"prompt_tokens": 40, "completion_tokens": 8, "total_tokens": 48}


def chunk(**choice: object) -> dict[str, object]:
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {}, **choice}]}


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk(delta={"content": "Hi"}), chunk(finish_reason="stop", usage=USAGE)],
        [chunk(usage={**USAGE, "total_tokens": 41, "completion_tokens": 1}), chunk(usage=USAGE)],
        [chunk(usage=None), chunk(finish_reason="stop", usage=USAGE), {"choices": []}],
        [chunk(usage={"prompt_tokens": 1}), {"choices": [], "usage": USAGE}],
    ],
)
def test_usage_in_a_choice(chunks: list[object]) -> None:
    """The last block counts, in a choice or beside the choices."""
    reading = read(*chunks, "[DONE]", family="openai", path="/v1/chat/completions", stream=True)
    assert quantities(reading) == {"input": 40, "output": 8}
    assert (reading.reasons, reading.count) == ((), None)


def test_usage_in_a_choice_of_a_whole_answer() -> None:
    """It need not be a stream."""
    body = {"choices": [{"message": {"content": "Hi"}, "usage": USAGE}]}
    assert quantities(read(body, family="openai", path="/v1/chat/completions")) == {
        "input": 40,
        "output": 8,
    }


@pytest.mark.parametrize(
    ("path", "body", "usd"),
    [
        ("/v1/images/generations", {"data": [{"url": "u"}], "usage": {"cost": 0.04}}, "0.04"),
        ("/v1/audio/speech", {"usage": {"cost_in_usd_ticks": 500_000_000}}, "0.05"),
        ("/v1/audio/transcriptions", {"text": "x", "cost": 0.006}, "0.006"),
        ("/v1/videos", {"id": "v", "status": "queued", "usage": {"cost": 1.5}}, "1.5"),
        ("/v1/embeddings", {"data": [], "usage": {"cost": 0.001}}, "0.001"),
        ("/v1/rerank", {"results": [], "estimated_cost": 0.002}, "0.002"),
        ("/v1/chat/completions", {"choices": [], "usage": {"cost": {"total_cost": 0.3}}}, "0.3"),
        ("/v1/search", {"results": [], "usage": {"cost": {"total_cost": 0.005}}}, "0.005"),
    ],
)
def test_a_cost_without_tokens_is_still_a_cost(
    path: str, body: dict[str, object], usd: str
) -> None:
    """The request is the quantity, and nothing is counted in its place."""
    reading = read(body, family="openai", path=path)
    assert reading.reported_usd == Decimal(usd)
    assert reading.parts[0].usage.quantities[Meter.REQUESTS] == 1
    assert reading.count is None
    assert "no_usage" not in texts(reading.reasons)
