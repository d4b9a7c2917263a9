"""Cohere: what is billed and what is only shown.  Cases are written for the project."""

from collections.abc import Mapping
from functools import partial

import pytest

from pricing.cause import texts
from proxy.exchange import Operation
from support.readings import quantities
from support.readings import read as read_call

read = partial(read_call, family="cohere", path="/v2/chat")


USAGE = {
    "billed_units": {"input_tokens": 431, "output_tokens": 661},
    "tokens": {"input_tokens": 2190, "output_tokens": 1257},
    "cached_tokens": 1000,
}


def test_billed_units_are_billed_and_tokens_are_shown() -> None:
    """`tokens` counts hidden preambles too: https://docs.cohere.com/docs/how-does-cohere-pricing-work"""
    message = {"content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Hi"}]}
    body = {"id": "c1", "message": message, "finish_reason": "COMPLETE", "usage": USAGE}
    reading = read(body, request={"model": "command-a"})
    assert quantities(reading) == {"input": 431, "output": 661}
    assert reading.attributes == {
        "usage.seen_input_tokens": 2190,
        "usage.seen_output_tokens": 1257,
        "usage.seen_cached_tokens": 1000,
    }
    assert (reading.request_model, reading.response_id) == ("command-a", "c1")
    assert (reading.finish_reasons, reading.complete) == (("COMPLETE",), True)


def test_a_stream_of_version_2() -> None:
    """Usage comes with `message-end`; a tool plan is thought, a tool call is made once."""
    call = {"id": "t", "function": {"name": "f", "arguments": ""}}
    reading = read(
        {"type": "message-start", "id": "c1", "delta": {"message": {"content": []}}},
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will"}}},
        {"type": "content-delta", "delta": {"message": {"content": {"text": "Hi"}}}},
        {"type": "tool-call-start", "delta": {"message": {"tool_calls": call}}},
        {
            "type": "tool-call-delta",
            "delta": {"message": {"tool_calls": {"function": {"arguments": "{}"}}}},
        },
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": USAGE}},
        stream=True,
    )
    assert quantities(reading) == {"input": 431, "output": 661}
    assert (reading.timing.first_token_ns, reading.timing.first_visible_ns) == (1, 2)
    assert (reading.tool_calls, reading.complete) == (1, True)


def test_version_1_has_its_usage_under_meta() -> None:
    """Whole, and at the end of a stream of JSON lines."""
    meta = {"billed_units": {"input_tokens": 69, "output_tokens": 16}}
    whole = {"text": "Hi", "generation_id": "g", "finish_reason": "COMPLETE", "meta": meta}
    assert quantities(read(whole, path="/v1/chat")) == {"input": 69, "output": 16}
    streamed = read(
        {"event_type": "stream-start", "generation_id": "g"},
        {"event_type": "text-generation", "text": "Hi"},
        {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": whole},
        path="/v1/chat",
        stream=True,
    )
    assert quantities(streamed) == {"input": 69, "output": 16}
    assert (streamed.timing.first_token_ns, streamed.complete) == (1, True)


@pytest.mark.parametrize(
    ("path", "billed", "expected", "operation"),
    [
        ("/v2/embed", {"input_tokens": 4}, {"input": 4}, Operation.EMBEDDINGS),
        ("/v2/embed", {"image_tokens": 40}, {"input.image": 40}, Operation.EMBEDDINGS),
        ("/v2/rerank", {"search_units": 3}, {"search_units": 3}, Operation.RERANK),
    ],
)
def test_units_of_other_endpoints(
    path: str, billed: object, expected: Mapping[str, int], operation: Operation
) -> None:
    """A search unit is one query with up to 100 documents: https://cohere.com/pricing"""
    reading = read({"id": "x", "meta": {"billed_units": billed}}, path=path)
    assert (quantities(reading), reading.operation) == (expected, operation)


def test_an_unknown_unit_is_flagged() -> None:
    """What may cost something is not dropped in silence."""
    reading = read({"meta": {"billed_units": {"input_tokens": 1, "classifications": 2}}})
    assert texts(reading.reasons) == ("billed_unit_unknown:classifications",)


def test_a_stream_that_breaks_off_is_counted() -> None:
    """Without an end there is no usage, but the text so far."""
    text = {"type": "content-delta", "delta": {"message": {"content": {"text": "Hi"}}}}
    reading = read(text, stream=True)
    assert (reading.parts, reading.complete) == ((), False)
    assert reading.count is not None
    assert reading.count.output == "Hi"


def test_tokenizing_is_free() -> None:
    """Counting tokens is not charged."""
    assert not read({"tokens": [1]}, path="/v1/tokenize").billable
