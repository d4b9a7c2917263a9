"""DashScope's native API.  Cases are written for the project."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from pricing.cause import texts
from proxy.exchange import Operation
from support.readings import quantities
from support.readings import read as read_call

read = partial(read_call, family="openai", path="/api/v1/services/aigc/text-generation/generation")


MULTIMODAL = "/api/v1/services/aigc/multimodal-generation/generation"


def test_a_whole_answer() -> None:
    """Text stands in `output`; cached tokens are inside the input, reasoning inside the output."""
    usage = {
        "input_tokens": 100,
        "output_tokens": 30,
        "total_tokens": 130,
        "prompt_tokens_details": {"cached_tokens": 60},
        "output_tokens_details": {"reasoning_tokens": 20},
    }
    body = {"output": {"text": "Hi", "finish_reason": "stop"}, "usage": usage, "request_id": "r1"}
    reading = read(body, request={"model": "qwen-plus"})
    assert quantities(reading) == {
        "input": 40,
        "cache_read": 60,
        "output": 10,
        "output.reasoning": 20,
    }
    # The mode sets the price of the whole output: https://www.alibabacloud.com/help/en/model-studio/models
    assert reading.parts[0].terms == {"mode": "thinking"}
    assert (reading.request_model, reading.response_id) == ("qwen-plus", "r1")
    assert (reading.finish_reasons, reading.complete, reading.reasons) == (("stop",), True, ())


@pytest.mark.parametrize(
    ("parameters", "mode"),
    [
        ({"enable_thinking": False}, "non_thinking"),
        ({"enable_thinking": True}, "thinking"),
        ({}, ""),
    ],
)
def test_the_mode_is_the_one_asked_for(parameters: Mapping[str, Any], mode: str) -> None:
    """Without reasoning in the usage the request tells; if it does not, the mode is unknown."""
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    reading = read({"output": {}, "usage": usage}, request={"parameters": parameters})
    assert reading.parts[0].terms.get("mode", "") == mode


def test_explicit_caches_have_their_own_price() -> None:
    """`cache_type` tells an explicit hit from an implicit one; both are in the same field."""
    details = {"cached_tokens": 12, "cache_creation_input_tokens": 6, "cache_type": "ephemeral"}
    usage = {"input_tokens": 20, "output_tokens": 5, "prompt_tokens_details": details}
    reading = read({"output": {}, "usage": usage})
    assert quantities(reading) == {
        "input": 2,
        "cache_read.explicit": 12,
        "cache_write_5m": 6,
        "output": 5,
    }


def test_modalities_beside_and_inside_the_details() -> None:
    """Image, video and audio tokens are inside the input, stated in one of two places."""
    content = [{"text": "Hi"}]
    choice = {"message": {"content": content}, "finish_reason": "stop"}
    for usage in (
        {"input_tokens": 1265, "image_tokens": 1249, "output_tokens": 5},
        {"input_tokens": 1265, "output_tokens": 5, "input_tokens_details": {"image_tokens": 1249}},
    ):
        reading = read({"output": {"choices": [choice]}, "usage": usage}, path=MULTIMODAL)
        assert quantities(reading) == {"input": 16, "input.image": 1249, "output": 5}


def event(text: str, made: int, reason: str = "null") -> dict[str, Any]:
    """An event of a stream; while it goes on the finish reason is the text "null"."""
    choice = {"message": {"content": text}, "finish_reason": reason}
    usage = {"input_tokens": 20, "output_tokens": made, "total_tokens": 20 + made}
    return {"output": {"choices": [choice]}, "usage": usage}


@pytest.mark.parametrize("incremental", [True, False])
def test_the_last_usage_of_a_stream_counts(incremental: bool) -> None:
    """Usage is cumulative in every event; the text only without `incremental_output`."""
    texts = ("He", "llo", "") if incremental else ("He", "Hello", "Hello")
    reading = read(
        event(texts[0], 1),
        event(texts[1], 3),
        event(texts[2], 3, "stop"),
        request={"parameters": {"incremental_output": incremental}},
        stream=True,
    )
    assert quantities(reading) == {"input": 20, "output": 3}
    assert (reading.finish_reasons, reading.complete) == (("stop",), True)
    assert (reading.timing.first_token_ns, reading.timing.last_token_ns) == (0, 1)


def test_a_stream_that_breaks_off_is_a_lower_bound() -> None:
    """The usage so far stands, flagged."""
    reading = read(event("He", 1), stream=True)
    assert quantities(reading) == {"input": 20, "output": 1}
    assert (reading.complete, texts(reading.reasons)) == (False, ("usage_not_final",))


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/api/v1/services/embeddings/text-embedding/text-embedding", Operation.EMBEDDINGS),
        ("/api/v1/services/rerank/text-rerank/text-rerank", Operation.RERANK),
    ],
)
def test_totals_alone_are_input(path: str, operation: Operation) -> None:
    """Embeddings and reranking make no tokens."""
    reading = read({"output": {}, "usage": {"total_tokens": 68}}, path=path)
    assert (quantities(reading), reading.operation) == ({"input": 68}, operation)


def test_a_task_is_billed_once_when_it_is_done() -> None:
    """Starting it and polling it is free; its result has the task's name."""
    start = "/api/v1/services/aigc/text2image/image-synthesis"
    begun = read({"output": {"task_id": "t1", "task_status": "PENDING"}}, path=start)
    assert (begun.billable, texts(begun.reasons)) == (False, ("charged_when_polled",))
    task = "/api/v1/tasks/t1"
    running = read({"output": {"task_id": "t1"}}, path=task, method="GET")
    assert (running.billable, texts(running.reasons)) == (False, ("poll",))
    done = {"output": {"task_id": "t1", "task_status": "SUCCEEDED"}, "usage": {"image_count": 2}}
    reading = read(done, path=task, method="GET")
    assert [(part.item, quantities(reading)) for part in reading.parts] == [
        ("tasks/t1", {"images": 2})
    ]


def test_errors_have_a_code_and_a_message() -> None:
    """An error in a stream is an event with a code, and not billed before anything was made."""
    reading = read({"code": "Throttling", "message": "slow down"}, stream=True)
    assert (reading.error_type, reading.error_message) == ("Throttling", "slow down")
    assert not reading.billable
