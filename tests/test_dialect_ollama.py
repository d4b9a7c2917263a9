"""Ollama's own API.  Cases are written for the project."""

from functools import partial

import pytest

from pricing.cause import texts
from proxy.exchange import Operation
from support.readings import quantities
from support.readings import read as read_call

read = partial(read_call, family="ollama", path="/api/chat")


COUNTS = {"prompt_eval_count": 17, "eval_count": 66, "load_duration": 8_000_000}


def test_a_whole_answer() -> None:
    """The counts are those of the model; options of the request become attributes."""
    message = {"content": "Hi", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}
    body = {"model": "llama3", "message": message, "done": True, "done_reason": "stop", **COUNTS}
    reading = read(body, request={"model": "llama3:latest", "options": {"temperature": 1}})
    assert quantities(reading) == {"input": 17, "output": 66}
    assert (reading.request_model, reading.response_model) == ("llama3:latest", "llama3")
    assert (reading.finish_reasons, reading.tool_calls, reading.complete) == (("stop",), 1, True)
    assert reading.attributes == {"request.temperature": 1.0, "provider.load_ms": 8}


def test_a_stream_states_counts_in_its_last_line() -> None:
    """Thinking is a token nobody sees."""
    reading = read(
        {"message": {"content": "", "thinking": "Hm"}, "done": False},
        {"message": {"content": "Hi"}, "done": False},
        {"message": {"content": ""}, "done": True, **COUNTS},
        stream=True,
    )
    assert quantities(reading) == {"input": 17, "output": 66}
    assert (reading.timing.first_token_ns, reading.timing.first_visible_ns) == (0, 1)


def test_a_prompt_still_in_memory_may_have_no_count() -> None:
    """Its tokens are not known to be zero: https://github.com/ollama/ollama/issues/2068"""
    reading = read(
        {"response": "Hi", "done": True, "eval_count": 38}, path="/api/generate", stream=True
    )
    assert quantities(reading) == {"output": 38}
    assert texts(reading.reasons) == ("input_tokens_not_reported",)


def test_embeddings_with_and_without_a_count() -> None:
    """`/api/embed` counts its input, the older `/api/embeddings` does not."""
    counted = read({"embeddings": [[0.1]], "prompt_eval_count": 5}, path="/api/embed")
    assert (quantities(counted), counted.operation) == ({"input": 5}, Operation.EMBEDDINGS)
    silent = read({"embedding": [0.1]}, path="/api/embeddings", request={"prompt": "p"})
    assert silent.parts == ()
    assert silent.count is not None
    assert silent.count.request == {"prompt": "p"}


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_is_a_line_of_its_own(stream: bool) -> None:
    """Before anything was made it costs nothing."""
    reading = read({"error": "model 'x' not found"}, stream=stream)
    assert (reading.billable, reading.error_message) == (False, "model 'x' not found")


def test_managing_models_is_free() -> None:
    """Pulling a model makes no tokens."""
    assert not read({"status": "success"}, path="/api/pull").billable
