"""Several responses in progress on one socket: each has its own tools, request and end."""

from typing import Any

import pytest

from pricing.cause import texts
from proxy.dialects.contract import Ask, Conversation
from proxy.dialects.table import find
from proxy.exchange import Reading

USAGE = {"input_tokens": 40, "output_tokens": 8, "total_tokens": 48}
SEARCH = {"type": "web_search_call", "action": {"type": "search"}}
Frame = tuple[bool, dict[str, Any]]


def socket(path: str, *frames: Frame) -> Reading:
    """The reading of a socket; True is a frame of the caller."""
    endpoint = find("GET", path)
    reader = endpoint.reader(Ask(method="GET", path=path, stream=True), endpoint)
    assert isinstance(reader, Conversation)
    for at_ns, (up, frame) in enumerate(frames):
        (reader.sent if up else reader.read)(frame, at_ns)
    return reader.close()


def ask(stream: str = "", **fields: object) -> Frame:
    named = {"stream_id": stream} if stream else {}
    return True, {"type": "response.create", **named, "response": {"model": "m", **fields}}


def said(word: str, name: str, stream: str = "", **fields: object) -> Frame:
    named = {"stream_id": stream} if stream else {}
    response = {"id": name, "model": "m", **fields}
    return False, {"type": f"response.{word}", **named, "response": response}


def item(**fields: object) -> Frame:
    return False, {"type": "response.output_item.done", "item": SEARCH, **fields}


def searches(reading: Reading) -> list[int]:
    return [
        int(part.usage.quantities.get("calls.web_search", 0))  # type: ignore[call-overload]
        for part in reading.parts
    ]


@pytest.mark.parametrize("field", ["response_id", "stream_id"])
def test_a_tool_is_charged_to_its_own_response(field: str) -> None:
    """Another that ends in between takes nothing with it."""
    one, two = ("s1", "s2") if field == "stream_id" else ("", "")
    reading = socket(
        "/v1/responses",
        ask(one),
        said("created", "r1", one),
        ask(two),
        said("created", "r2", two),
        item(**{field: one or "r1"}),
        said("completed", "r2", two, usage=USAGE),
        said("completed", "r1", one, usage=USAGE),
    )
    assert searches(reading) == [0, 1]
    assert (reading.reasons, reading.complete) == ((), True)


def test_a_tool_of_nobody_is_flagged() -> None:
    """Without an id, and with two in progress, it is charged to neither."""
    frames = ask(), said("created", "r1"), ask(), said("created", "r2"), item()
    ends = said("completed", "r1", usage=USAGE), said("completed", "r2", usage=USAGE)
    reading = socket("/v1/responses", *frames, *ends)
    assert searches(reading) == [0, 0]
    assert texts(reading.reasons) == ("tool_of_unknown_response",)


@pytest.mark.parametrize("last", [said("created", "r2"), ask()])
def test_a_response_that_is_cut_beside_one_that_ended(last: Frame) -> None:
    """The end of one is not the end of all."""
    frames = ask(), said("created", "r1"), ask(), last, said("completed", "r1", usage=USAGE)
    reading = socket("/v1/responses", *frames)
    assert not reading.complete
    assert texts(reading.reasons) == ("usage_not_final",)


def test_parallel_realtime_responses() -> None:
    """One that is done leaves the other in progress."""
    begun = said("created", "r1"), said("created", "r2")
    done = said("done", "r1", status="completed", usage=USAGE)
    cut = socket("/v1/realtime", *begun, done)
    assert texts(cut.reasons) == ("usage_not_final",)
    whole = socket("/v1/realtime", *begun, done, said("done", "r2", usage=USAGE))
    assert (whole.reasons, len(whole.parts)) == ((), 2)


@pytest.mark.parametrize("status", ["complete", "incomplete", "succeeded", "done"])
@pytest.mark.parametrize("stream", [True, False])
def test_usage_counts_whatever_the_status(status: str, stream: bool) -> None:
    """Whole or as an event of any name; an event that repeats an end is not another."""
    endpoint = find("POST", "/v1/responses")
    reader = endpoint.reader(Ask(method="POST", path="/v1/responses", stream=stream), endpoint)
    body = {"id": "r1", "model": "m", "status": status, "output": [], "usage": USAGE}
    event = {"type": f"response.{status}", "response": body}
    for at_ns, document in enumerate([event, event] if stream else [body]):
        reader.read(document, at_ns)
    reading = reader.close()
    assert [part.usage.input_tokens for part in reading.parts] == [40]
    assert (reading.reasons, reading.complete) == ((), True)
