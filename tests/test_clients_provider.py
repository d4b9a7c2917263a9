"""What the stand-in learned for the clients: its answers state what it says that they cost."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from evaluation.standin import bedrock, routes, sessions
from evaluation.standin.answers import Tokens
from pricing.usage import INPUT_METERS, OUTPUT_METERS, Meter
from proxy.exchange import Reading
from proxy.reading.eventstream import EventStream
from proxy.settings.config import MeteringOptions
from support import roundtrip
from trials.fuzz import calls, checks
from trials.fuzz.calls import JSON, SSE_ASKED, Headers, RecordedCall

PROMPT = [{"role": "user", "content": "time people year"}]
DASHSCOPE = "/api/v1/services/aigc/text-generation/generation"
CONVERSE = f"{calls.BEDROCK_MODEL}/converse"
CACHED = {"x-standin-input-tokens": "900", "x-standin-cache-read-tokens": "400"}
GROQ = calls.CLAUDE | {"model": "llama-3.3-70b-versatile", "stream": True}
ANSWERS: tuple[tuple[str, str, Mapping[str, Any], Headers], ...] = (
    ("cohere", "/v2/chat", {"model": "command-a", "messages": PROMPT}, JSON),
    ("cohere", "/v2/chat", {"model": "command-a", "messages": PROMPT, "stream": True}, JSON),
    ("cohere", "/v2/embed", {"model": "embed-v4.0", "texts": ["time people", "year"]}, JSON),
    ("ollama", "/api/chat", {"model": "llama3.2", "messages": PROMPT}, JSON),
    ("ollama", "/api/chat", {"model": "llama3.2", "messages": PROMPT, "stream": False}, JSON),
    ("ollama", "/api/embed", {"model": "nomic-embed-text", "input": ["time people"]}, JSON),
    ("qwen", DASHSCOPE, calls.QWEN, JSON),
    ("qwen", DASHSCOPE, calls.QWEN, SSE_ASKED),
    ("qwen", DASHSCOPE, calls.QWEN | {"parameters": {"incremental_output": True}}, SSE_ASKED),
    ("bedrock", CONVERSE, calls.BEDROCK, JSON),
    ("bedrock", f"{CONVERSE}-stream", calls.BEDROCK, JSON),
    ("bedrock", f"{calls.BEDROCK_MODEL}/invoke", calls.CLAUDE, JSON),
    ("bedrock", f"{calls.BEDROCK_MODEL}/invoke-with-response-stream", calls.CLAUDE, JSON),
    ("openai", "/v1/images/generations", {"model": "gpt-image-1", "prompt": "time", "n": 2}, JSON),
    ("groq", "/openai/v1/chat/completions", GROQ, JSON),
)  # fmt: skip


def read(call: RecordedCall) -> Reading:
    """The reading of a call, by the code that meters."""
    return checks.read(call, MeteringOptions(), lambda data: [data])


def totals(reading: Reading) -> tuple[int, int]:
    """Tokens in and out, over all parts."""
    found = [part.usage.quantities.items() for part in reading.parts]
    flat = [(meter, int(count)) for items in found for meter, count in items]
    return (
        sum(count for meter, count in flat if meter in INPUT_METERS),
        sum(count for meter, count in flat if meter in OUTPUT_METERS),
    )


@pytest.mark.parametrize(("provider", "target", "body", "headers"), ANSWERS)
@pytest.mark.parametrize("steered", [{}, CACHED])
def test_answers_state_their_usage(
    provider: str, target: str, body: Mapping[str, Any], headers: Headers, steered: dict[str, str]
) -> None:
    """Whole or streamed, the usage that we read is the one that the stand-in notes."""
    raw, asked = json.dumps(body).encode(), dict(headers) | steered
    request = routes.read("POST", target, asked, raw)
    answer = routes.answer(request, routes.Shelves(), raw)
    call = RecordedCall(
        name="answer",
        target=target,
        provider=provider,
        request=raw,
        headers=(("content-type", answer.content_type),),
        response=b"".join(step.data for step in answer.steps),
    )
    reading = read(call)
    assert answer.tokens is not None
    assert reading.complete
    assert totals(reading) == (answer.tokens.input_total, answer.tokens.output_total)
    if steered and provider in ("bedrock", "qwen"):
        assert reading.parts[0].usage.quantities[Meter.CACHE_READ] == 400


@pytest.mark.parametrize("parameters", [{}, *({"incremental_output": on} for on in (True, False))])
def test_a_cut_dashscope_stream_is_counted_once(parameters: Mapping[str, bool]) -> None:
    """Whether its events repeat the text or not, and whether the request says so or leaves it."""
    raw = json.dumps(calls.QWEN | {"parameters": parameters}).encode()
    request = routes.read("POST", DASHSCOPE, dict(SSE_ASKED), raw)
    steps = routes.answer(request, routes.Shelves(), raw).steps[:5]
    call = RecordedCall(
        name="cut",
        target=DASHSCOPE,
        provider="qwen",
        request=raw,
        headers=(("content-type", "text/event-stream"),),
        response=b"".join(step.data for step in steps),
    )
    count = read(call).count
    assert count is not None
    assert len(count.output.split()) == len(steps)


@pytest.mark.parametrize(("provider", "target", "messages"), calls.TOLD)
def test_conversations_state_their_usage(
    provider: str, target: str, messages: tuple[Any, ...]
) -> None:
    """The usage of its turns adds up to what the session notes; a later turn reads more."""
    session = sessions.find(target, {})
    assert session is not None
    said: list[tuple[bool, Any]] = [(False, document) for document in session.open()]
    after: list[Tokens] = []
    for message in messages:
        said.append((True, message))
        said += [(False, document) for document in session.respond(dict(message))]
        after.append(session.tokens)
    call = RecordedCall(
        name="session",
        method="GET",
        target=target,
        provider=provider,
        status=101,
        headers=(),
        messages=tuple((up, b"\x01" + json.dumps(document).encode()) for up, document in said),
    )
    assert totals(read(call)) == (after[-1].input_total, after[-1].output_total)
    if target.startswith("/v1/realtime"):
        first, second = after[-2].input_total, after[-1].input_total - after[-2].input_total
        assert second > first > 0


def test_there_is_no_other_conversation() -> None:
    """A WebSocket to another path opens none."""
    assert sessions.find("/v1/chat/completions", {}) is None


def test_event_streams_have_their_checksums() -> None:
    """What Bedrock's answers are framed in can be read back; a changed byte cannot."""
    sent = bedrock.event("metadata", {"usage": {"inputTokens": 1}})
    ((headers, payload),) = EventStream().feed(sent)
    assert (headers[":event-type"], payload) == ("metadata", b'{"usage":{"inputTokens":1}}')
    with pytest.raises(ValueError, match="CRC"):
        list(EventStream().feed(sent[:-9] + b"\x00" + sent[-8:]))


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v2/chat", {"message": "no"}),
        ("/api/chat", {"error": "no"}),
        (CONVERSE, {"message": "no"}),
    ],
)
def test_errors_have_their_owners_shape(path: str, shape: Mapping[str, str]) -> None:
    """Each new dialect says no in its own way."""
    assert routes.error_document(path, {}, 429, "no") == shape


def exchange(**received: object) -> dict[str, Any]:
    """An exchange as the stand-in's journal has it."""
    plain = {"method": "POST", "target": "/v1/x", "body_sha256": "a", "body_bytes": 1}
    answered = {"status": 200, "body_sha256": "b"}
    pairs = [["Host", "h"], ["X-One", "1"], ["Authorization", "t"]]
    return {"received": plain | {"headers": pairs} | received, "answered": answered}


@pytest.mark.parametrize(
    ("received", "found"),
    [
        ({}, []),
        ({"headers": [["host", "h"], ["X-One", "1"], ["Authorization", "t"]]}, []),
        ({"target": "/v1/x?"}, ["target: /v1/x -> /v1/x?"]),
        (
            {"headers": [["Host", "h"], ["x-one", "1"], ["Authorization", "t"]]},
            ["headers: [('X-One', '1')] -> [('x-one', '1')]"],
        ),
        ({"body_sha256": "c"}, ["body_sha256: a -> c"]),
    ],
)
def test_a_changed_byte_is_noticed(received: dict[str, object], found: list[str]) -> None:
    """The comparison that every client is judged by sees the case of a header and a stray `?`."""
    trip = roundtrip.Roundtrip(
        direct=1, through=1, alone=(exchange(),), behind=(exchange(**received),), rows=()
    )
    assert roundtrip.changes(trip) == found
