"""Batches are billed by the lines of their output; realtime sessions by each response."""

import json
from collections.abc import Mapping

import pytest

from pricing.cause import texts
from pricing.usage import Meter
from proxy.dialects import table
from proxy.dialects.contract import Ask
from proxy.exchange import Begun, Operation, Reading, ResponseHead
from proxy.reading.reading import CallReader
from proxy.settings.config import MeteringOptions
from support.sockets import read as read_socket
from support.sockets import responses

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


def session(
    *messages: Mapping[str, object], sent: Mapping[str, object] | None = None
) -> list[Reading]:
    asked = [(True, sent)] if sent else []
    frames = [*asked, *((False, message) for message in messages)]
    return responses("/v1/realtime?model=gpt-realtime", *frames)


TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


def done(name: str, **fields: object) -> dict[str, object]:
    whole = {"status": "completed", "usage": REALTIME_USAGE, "id": name, **fields}
    return {"type": "response.done", "response": whole}


def test_each_realtime_response_is_charged() -> None:
    """Each states its own usage; the session names the model."""
    created = {"type": "session.created", "session": {"id": "sess_1", "model": "gpt-realtime-2025"}}
    found = session(created, done("r1"), {"type": "response.created"}, done("r2"))
    assert [reading.response_id for reading in found] == ["r1", "r2"]
    for reading in found:
        assert reading.request_model == "gpt-realtime"
        assert reading.response_model == "gpt-realtime-2025"
        assert reading.session_id == reading.attributes["realtime_session.id"] == "sess_1"
        assert reading.complete
        (part,) = reading.parts
        assert part.usage.quantities[Meter.REQUESTS] == 1
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
    tokens, seconds = session(
        {"type": TRANSCRIBED, "item_id": "i1", "usage": usage},
        {"type": TRANSCRIBED, "item_id": "i2", "usage": duration},
        sent=update,
    )
    for reading in (tokens, seconds):
        assert reading.response_model == "gpt-4o-transcribe"
        assert reading.operation is Operation.TRANSCRIPTION
    assert tokens.parts[0].usage.quantities[Meter.INPUT_AUDIO] == 22
    assert seconds.parts[0].usage.quantities[Meter.AUDIO_SECONDS] == 4


def test_speech_whose_transcription_was_cut() -> None:
    """Speech that was committed will be transcribed; without an end, its usage is unknown."""
    update = {
        "type": "transcription_session.update",
        "session": {"input_audio_transcription": {"model": "whisper-1"}},
    }
    committed = {"type": "input_audio_buffer.committed", "item_id": "i1"}
    (cut,) = session(committed, sent=update)
    assert texts(cut.reasons) == ("no_usage", "usage_not_final")
    failed = {"type": TRANSCRIBED.replace("completed", "failed"), "item_id": "i1", "error": {}}
    (free,) = session(committed, {**failed, "error": {"code": "noise"}}, sent=update)
    assert (free.billable, free.error_type) == (False, "noise")
    assert session(committed) == []  # nobody asked for a transcription


def test_realtime_that_was_cut() -> None:
    """A response that began and did not end is not exact; the others are."""
    whole, cut = session(done("r1"), {"type": "response.created"})
    assert (whole.complete, whole.reasons) == (True, ())
    assert not cut.complete
    assert texts(cut.reasons) == ("no_usage", "usage_not_final")


@pytest.mark.parametrize("status", ["completed", "cancelled", "incomplete", "odd"])
def test_realtime_without_usage(status: str) -> None:
    """Servers that state no usage leave it unknown, however the response ended."""
    (reading,) = session(done("r1", status=status, usage=None))
    assert texts(reading.reasons) == ("response_without_usage", "no_usage")


def test_a_realtime_response_that_failed() -> None:
    """It is free if it made nothing, and unknown if it had begun to speak."""
    failed = done("r1", status="failed", usage=None, status_details={"error": {"type": "server"}})
    (free,) = session(failed)
    assert (free.billable, free.error_type) == (False, "server")
    spoke = {"type": "response.output_audio.delta", "response_id": "r1", "delta": "UklG"}
    (reading,) = session({"type": "response.created", "response": {"id": "r1"}}, spoke, failed)
    assert reading.billable
    assert "no_usage" in texts(reading.reasons)


def test_realtime_error() -> None:
    """An error is the connection's; what was asked for and refused is not in progress."""
    asked = (True, {"type": "response.create"})
    error = (False, {"type": "error", "error": {"type": "invalid_request_error"}})
    answers, whole = read_socket("/v1/realtime", (False, done("r1")), asked, error)
    assert [answer.reading.response_id for answer in answers] == ["r1"]
    assert whole.error_type == "invalid_request_error"


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
    for opcode in (b"\x01", b"\x02", b"\x09"):
        data = json.dumps(done(f"r{opcode[0]}")).encode()
        reader.message(False, opcode + data, 0)
    reader.message(True, b"\x01not json", 0)
    reader.message(True, b"", 0)
    reading = reader.close()
    assert reading.stream
    assert [answer.number for answer in reader.take_ended()] == [1, 2]
    assert texts(reading.reasons) == ("billed_by_response",)
