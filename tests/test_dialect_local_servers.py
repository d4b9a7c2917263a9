"""Own APIs of servers for local models.  Cases are written for the project."""

from functools import partial

import pytest

from pricing.cause import texts
from proxy.exchange import Operation
from support.readings import quantities
from support.readings import read as read_call

read = partial(read_call, family="openai", path="/completion")


def test_llama_cpp() -> None:
    """Counts come with the last event; what was in its cache is part of the prompt."""
    counts = {"tokens_evaluated": 12, "tokens_predicted": 3, "timings": {"cache_n": 10}}
    last = {"content": "", "stop": True, "stop_type": "eos", "model": "m.gguf", **counts}
    reading = read({"content": "Hi", "stop": False}, last, stream=True)
    assert quantities(reading) == {"input": 2, "cache_read": 10, "output": 3}
    assert (reading.finish_reasons, reading.complete) == (("eos",), True)
    assert reading.timing.first_token_ns == 0
    assert quantities(read({**last, "content": "Hi"})) == quantities(reading)


def test_text_generation_inference() -> None:
    """Details are there if asked for; the prompt's length only with `decoder_input_details`."""
    details = {"finish_reason": "length", "generated_tokens": 3, "prefill": [{}, {}]}
    reading = read([{"generated_text": "Hi", "details": details}], path="/generate")
    assert quantities(reading) == {"input": 2, "output": 3}
    streamed = read(
        {"token": {"text": "Hi"}},
        {"token": {"text": "!"}, "details": {"generated_tokens": 2}},
        path="/generate_stream",
        stream=True,
    )
    assert quantities(streamed) == {"output": 2}
    assert texts(streamed.reasons) == ("input_tokens_not_reported",)


def test_lm_studio() -> None:
    """Reasoning is inside its output tokens."""
    stats = {"input_tokens": 9, "total_output_tokens": 7, "reasoning_output_tokens": 4}
    output = [{"type": "reasoning", "content": "Hm"}, {"type": "message", "content": "Hi"}]
    body = {"model_instance_id": "m", "output": output, "stats": stats}
    reading = read(body, path="/api/v1/chat")
    assert quantities(reading) == {"input": 9, "output": 3, "output.reasoning": 4}
    assert (reading.operation, reading.response_model) == (Operation.CHAT, "m")


@pytest.mark.parametrize("path", ["/tokenize", "/detokenize"])
def test_tokenizing_is_free(path: str) -> None:
    """Counting tokens is not charged."""
    assert not read({"tokens": [1]}, path=path).billable
