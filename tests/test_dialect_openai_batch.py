"""Batches are billed by the lines of their output; realtime sessions by each response."""

import json
from collections.abc import Mapping

import pytest

from pricing.cause import texts
from pricing.usage import Meter
from proxy.dialects import table
from proxy.dialects.contract import Ask, Conversation
from proxy.exchange import Begun, Operation, Reading, ResponseHead
from proxy.reading.reading import CallReader
from proxy.settings.config import MeteringOptions

USAGE = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}


def line(name: str, body: Mapping[str, object] | None, status: int = 200) -> dict[str, object]:
    return {
        "id": f"batch_req_{name}",
        "custom_id": name,
        "response": {"status_code": status, "body": body},
        "error": None,
    }


def download(*lines: object, kind: str = "application/octet-stream", step: int = 9999) -> Reading:
    begun = Begun(
        call_id="c",
        wall_ns=0,
        method="GET",
        target="/v1/files/file-abc/content",
        provider="openai",
        upstream="",
    )
    reader = CallReader(begun, None, MeteringOptions())
    reader.head(ResponseHead(status=200, headers=(("content-type", kind),)), 0)
    data = "".join(f"{json.dumps(entry)}\n" for entry in lines).encode()
    for start in range(0, len(data), step):
        reader.response(data[start : start + step], 0)
    return reader.close()


CHAT = {"object": "chat.completion", "model": "gpt-4o-mini-2024-07-18", "usage": USAGE}
RESPONSE = {
    "object": "response",
    "model": "gpt-5",
    "output": [{"type": "web_search_call", "action": {"type": "search"}}],
    "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
}
FAILED = {"error": {"message": "No.", "type": "invalid_request_error"}}


@pytest.mark.parametrize("step", [1, 9999])
def test_output_file(step: int) -> None:
    """Each line that succeeded is a part with its own name; one that failed costs nothing."""
    reading = download(
        line("a", CHAT), line("b", FAILED, 400), line("c", RESPONSE), line("d", None), step=step
    )
    assert reading.operation is Operation.BATCH
    assert reading.billable
    assert not reading.stream
    assert [(part.item, part.model) for part in reading.parts] == [
        ("file-abc/a", "gpt-4o-mini-2024-07-18"),
        ("file-abc/c", "gpt-5"),
    ]
    first, second = reading.parts
    assert first.usage.quantities == {Meter.INPUT: 20, Meter.OUTPUT: 10, Meter.REQUESTS: 1}
    assert second.usage.quantities[Meter.CALLS_WEB_SEARCH] == 1
    assert first.terms == second.terms == {"processing": "batch"}
    assert reading.reasons == ()


def test_output_file_downloaded_twice() -> None:
    """Another download names the same items, so that they can be charged once."""
    once, again = download(line("a", CHAT)), download(line("a", CHAT), kind="application/jsonl")
    assert once.parts == again.parts


def test_error_file() -> None:
    """A file of failures costs nothing."""
    reading = download(line("a", FAILED, 400))
    assert not reading.billable
    assert texts(reading.reasons) == ("no_item_succeeded",)


@pytest.mark.parametrize("entry", [{"prompt": "x"}, [1], "text"])
def test_another_file(entry: object) -> None:
    """Any other file costs nothing to download."""
    reading = download(entry)
    assert not reading.billable
    assert texts(reading.reasons) == ("file_download",)


def test_item_without_usage() -> None:
    """A result without usage is a reason beside the parts of the others."""
    reading = download(line("a", CHAT), line("b", {"object": "chat.completion"}))
    assert len(reading.parts) == 1
    assert texts(reading.reasons) == ("item_without_usage",)


def test_a_file_of_items_without_usage_is_not_free() -> None:
    """Items that succeeded were billed, although no usage says how much."""
    reading = download(line("a", {"object": "chat.completion"}))
    assert reading.billable
    assert texts(reading.reasons) == ("item_without_usage", "no_usage")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/batches"), ("GET", "/v1/batches/b"), ("POST", "/v1/batches/b/cancel")],
)
def test_polls_are_free(method: str, path: str) -> None:
    """Creating, polling and cancelling a batch cost nothing, however often."""
    ask = Ask(method=method, path=path)
    endpoint = table.find(method, path)
    reader = endpoint.reader(ask, endpoint)
    reader.read({"id": "batch_1", "status": "completed", "usage": USAGE}, 0)
    reading = reader.close()
    assert not reading.billable
    assert reading.parts == ()
    assert texts(reading.reasons) == ("billed_by_item",)


REALTIME_USAGE = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}


def session(*messages: Mapping[str, object], sent: Mapping[str, object] | None = None) -> Reading:
    ask = Ask(method="GET", path="/v1/realtime", query={"model": "gpt-realtime"}, stream=True)
    endpoint = table.find(ask.method, ask.path)
    reader = endpoint.reader(ask, endpoint)
    assert isinstance(reader, Conversation)
    if sent:
        reader.sent(sent, 0)
    for message in messages:
        reader.read(message, 0)
    return reader.close()


DONE = {
    "type": "response.done",
    "response": {"id": "resp_1", "status": "completed", "usage": REALTIME_USAGE},
}
TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


def test_realtime_sums_its_responses() -> None:
    """Each response of a session states its own usage, and all of them are billed."""
    created = {"type": "session.created", "session": {"id": "sess_1", "model": "gpt-realtime-2025"}}
    reading = session(created, DONE, {"type": "response.created"}, DONE)
    assert reading.request_model == "gpt-realtime"
    assert reading.response_model == "gpt-realtime-2025"
    assert reading.session_id == "sess_1"
    assert reading.complete
    assert [part.usage.quantities.get(Meter.REQUESTS) for part in reading.parts] == [1, None]
    for part in reading.parts:
        assert part.usage.input_tokens == 132
        assert part.usage.quantities[Meter.CACHE_READ] == 64
        assert part.usage.quantities[Meter.INPUT_AUDIO] == 13
        assert part.usage.quantities[Meter.OUTPUT_AUDIO] == 91


def test_realtime_transcription_is_another_model() -> None:
    """The caller's speech is transcribed by the model that the session names, on its own bill."""
    update = {
        "type": "session.update",
        "session": {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}},
    }
    usage = {"type": "tokens", "input_tokens": 22, "output_tokens": 13, "total_tokens": 35}
    duration = {"type": "duration", "seconds": 4}
    reading = session(
        {"type": TRANSCRIBED, "usage": usage}, {"type": TRANSCRIBED, "usage": duration}, sent=update
    )
    tokens, seconds = reading.parts
    assert tokens.model == seconds.model == "gpt-4o-transcribe"
    assert tokens.usage.quantities[Meter.INPUT_AUDIO] == 22
    assert seconds.usage.quantities[Meter.AUDIO_SECONDS] == 4


def test_realtime_that_was_cut() -> None:
    """A response that began and did not end leaves the bill a lower bound."""
    reading = session(DONE, {"type": "response.created"})
    assert not reading.complete
    assert texts(reading.reasons) == ("usage_not_final",)


def test_realtime_without_usage() -> None:
    """Servers that state no usage leave it unknown."""
    done = {"type": "response.done", "response": {"status": "completed"}}
    assert texts(session(done).reasons) == ("response_without_usage", "no_usage")


def test_realtime_error() -> None:
    """An error in a session is named; the responses before it are still billed."""
    reading = session(DONE, {"type": "error", "error": {"type": "invalid_request_error"}})
    assert reading.billable
    assert reading.error_type == "invalid_request_error"
    assert len(reading.parts) == 1


def test_messages_of_a_websocket() -> None:
    """A WebSocket is read message by message: text and binary, not pings."""
    begun = Begun(
        call_id="c",
        wall_ns=0,
        method="GET",
        target="/v1/realtime?model=gpt-realtime",
        provider="openai",
        upstream="",
        websocket=True,
    )
    reader = CallReader(begun, None, MeteringOptions())
    reader.head(ResponseHead(status=101), 0)
    data = json.dumps(DONE).encode()
    for opcode in (b"\x01", b"\x02", b"\x09"):
        reader.message(False, opcode + data, 0)
    reader.message(True, b"\x01not json", 0)
    reader.message(True, b"", 0)
    reading = reader.close()
    assert reading.stream
    assert len(reading.parts) == 2
    assert reading.reasons == ()
