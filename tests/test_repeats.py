"""Events that repeat one another but for a text are read as if each were read in full."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.content import Captured
from proxy.dialects.contract import Json
from proxy.dialects.repeating import Repeated
from proxy.exchange import Begun, Reading, ResponseHead
from proxy.reading import repeats
from proxy.reading.document import decode
from proxy.reading.reading import CallReader
from proxy.reading.repeats import MISSED_MAX, Repeats, template
from proxy.settings.config import MeteringOptions, Provider

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
SSE = (("content-type", "text/event-stream"),)
OPENAI = Provider(name="openai", base_url="https://api.openai.example", dialect="openai")
ANTHROPIC = Provider(
    name="anthropic", base_url="https://api.anthropic.example", dialect="anthropic"
)

# Texts that look like what stands around them.
HARD = [
    '"',
    "\\",
    '\\"',
    '"}',
    '","obfuscation":"',
    'x"},"logprobs":null',
    "assistant",
    "0",
    "é",
    "\ud83d",
]
TEXT = st.sampled_from(HARD) | st.text(max_size=8) | st.sampled_from(["a", "ab", ""])


class Heard:
    """What a capture of content would hear."""

    def __init__(self) -> None:
        self.said: list[tuple[object, str]] = []

    def add_text(self, text: str, channel: object) -> None:
        self.said.append((channel, text))

    def add_message(self, document: Json) -> None:
        raise AssertionError

    def add_response(self, document: Json) -> None:
        raise AssertionError

    def close(self, request: Json, *, cut: bool = False) -> Captured | None:
        return None


def read(pieces: Sequence[bytes], path: str, provider: Provider) -> tuple[Reading, Heard]:
    """The reading of a stream that came in these pieces, and what was heard."""
    begun = Begun(
        call_id="c",
        wall_ns=0,
        method="POST",
        target=path,
        provider=provider.name,
        upstream="https://x",
    )
    heard = Heard()
    reader = CallReader(begun, provider, MeteringOptions(audit_sample=0.0), capture=heard)
    reader.request(b'{"model": "m", "stream": true}', 0)
    reader.head(ResponseHead(status=200, headers=SSE), 1)
    for number, piece in enumerate(pieces):
        reader.response(piece, 1_000_000 * number)
    return reader.close(), heard


@contextmanager
def in_full() -> Iterator[None]:
    """Have every event decoded and read."""
    nothing = lambda *_: None  # noqa: E731
    with patch.object(Repeats, "learn", nothing), patch.object(Repeated, "text", nothing):
        yield


def event(document: object, *, name: str = "", ascii_only: bool = False, end: str = "\n") -> bytes:
    """One server-sent event; half a surrogate pair stays half of one."""
    data = json.dumps(document, ensure_ascii=ascii_only)
    named = f"event: {name}{end}" if name else ""
    return f"{named}data: {data}{end}{end}".encode("utf-8", "surrogatepass")


def chunk(*choices: object, **more: object) -> dict[str, object]:
    return {"id": "chatcmpl-1", "model": "m-2", "choices": list(choices), **more}


def said(text: object, **more: object) -> dict[str, object]:
    delta = {"content": text, **more}
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}


def called(arguments: object, **more: object) -> dict[str, object]:
    function = {"arguments": arguments, **more}
    return {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": function}]}}


USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
CHUNKS = st.one_of(
    st.builds(lambda text: chunk(said(text)), TEXT),
    st.builds(lambda text: chunk(said(text)), TEXT),
    st.builds(lambda text, pad: chunk(said(text), obfuscation=pad), TEXT, TEXT),
    st.builds(lambda text: chunk(said(text, role="assistant")), TEXT),
    st.builds(lambda text, thought: chunk(said(text, reasoning_content=thought)), TEXT, TEXT),
    st.builds(lambda text: chunk(said(text, tool_calls=[{"function": {"name": text}}])), TEXT),
    st.builds(lambda text: chunk(said(None, reasoning_content=text)), TEXT),
    st.builds(lambda text: chunk(said("", reasoning_content=text)), TEXT),
    st.builds(lambda text: chunk(said(text, reasoning_content=None)), TEXT),
    st.builds(lambda text: chunk(called(text)), TEXT),
    st.builds(lambda text: chunk(called(text)), TEXT),
    st.builds(lambda name, text: chunk(called(text, name=name)), TEXT, TEXT),
    st.builds(lambda text: chunk({**called(text), "index": 1}), TEXT),
    st.builds(lambda text: chunk(said(text), usage=USAGE), TEXT),
    st.builds(lambda one, other: chunk(said(one), said(other)), TEXT, TEXT),
    st.builds(lambda text: chunk(said(text), error={"message": text}), TEXT),
    st.sampled_from(
        [
            chunk({"index": 0, "delta": {}, "finish_reason": "stop"}),
            chunk({"index": 1, "delta": {"content": "b"}}),
            chunk({"index": 0, "text": "legacy", "delta": {"content": "a"}}),
            chunk(said(None)),
            chunk(said([{"type": "text", "text": "a"}])),
            chunk(usage=USAGE),
            [],
            "text",
        ]
    ),
)


def extended(kind: str, name: str, index: int, text: str) -> dict[str, object]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, name: text}}


EXTENDED = st.one_of(
    st.builds(lambda text: extended("text_delta", "text", 0, text), TEXT),
    st.builds(lambda text: extended("text_delta", "text", 0, text), TEXT),
    st.builds(lambda text: extended("thinking_delta", "thinking", 1, text), TEXT),
    st.builds(lambda text: extended("input_json_delta", "partial_json", 2, text), TEXT),
    st.builds(lambda text: extended("compaction_delta", "content", 3, text), TEXT),
    st.sampled_from(
        [
            {"type": "message_start", "message": {"model": "m-2", "usage": {"input_tokens": 5}}},
            {
                "type": "content_block_start",
                "index": 1,
                "content_block": {"type": "text", "text": "x"},
            },
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"output_tokens": 7},
            },
            {**extended("text_delta", "text", 0, "a"), "error": {"message": "b"}},
            {"type": "ping"},
        ]
    ),
)


def cut(data: bytes, draw: st.DataObject) -> list[bytes]:
    """`data` in pieces."""
    edges = draw.draw(st.lists(st.integers(0, len(data)), max_size=6).map(sorted))
    starts, ends = [0, *edges], [*edges, len(data)]
    return [data[start:end] for start, end in zip(starts, ends, strict=True)]


@settings(max_examples=300)
@given(st.lists(CHUNKS, max_size=12), st.booleans(), st.sampled_from(["\n", "\r\n"]), st.data())
def test_chat_chunks(chunks: list[object], ascii_only: bool, end: str, draw: st.DataObject) -> None:
    """A streamed chat completion has one reading, whatever its chunks have in common."""
    data = b"".join(event(one, ascii_only=ascii_only, end=end) for one in chunks)
    check(cut(data + b"data: [DONE]\n\n", draw), CHAT, OPENAI)


@settings(max_examples=200)
@given(st.lists(EXTENDED, max_size=12), st.booleans(), st.data())
def test_anthropic_events(
    events: list[dict[str, object]], named: bool, draw: st.DataObject
) -> None:
    """So has a streamed message."""
    data = b"".join(event(one, name=str(one["type"]) if named else "") for one in events)
    check(cut(data, draw), MESSAGES, ANTHROPIC)


def check(pieces: Sequence[bytes], path: str, provider: Provider) -> None:
    reading, heard = read(pieces, path, provider)
    with in_full():
        expected, told = read(pieces, path, provider)
    assert heard.said == told.said
    assert reading == expected


@pytest.mark.parametrize("padded", [False, True], ids=["plain", "padded"])
def test_repeated_chunks_are_not_decoded(padded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred chunks that differ in their text, and in their padding, one is decoded."""
    decoded: list[bytes] = []

    def noted(data: bytes) -> Json:
        decoded.append(data)
        return decode(data)

    monkeypatch.setattr("proxy.reading.document.decode", noted)
    words = [f"word {number}" for number in range(100)]
    data = b"".join(
        event(chunk(said(word), **({"obfuscation": f"pad{word}"} if padded else {})))
        for word in words
    )
    reading, heard = read([data], CHAT, OPENAI)
    assert [text for _, text in heard.said] == words
    assert reading.count is not None
    assert reading.count.output == "".join(words)
    assert sum(b"chatcmpl" in one for one in decoded) == 1


def test_learning_ends_where_nothing_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream whose chunks are all numbered is not searched for repetitions for ever."""
    made: list[bytes] = []

    def noted(data: bytes, *rest: Any) -> object:
        made.append(data)
        return template(data, *rest)

    monkeypatch.setattr(repeats, "template", noted)
    data = b"".join(event(chunk(said(f"word {n}"), sequence=n)) for n in range(100))
    _, heard = read([data], CHAT, OPENAI)
    assert len(heard.said) == 100
    assert len(made) == MISSED_MAX


@pytest.mark.parametrize(
    "data",
    [b'{"a": "x", "b": "x"}', b'{"a": "\\u0078"}', b'{"b": "\\"x", "a": "y"}'],
    ids=["twice", "escaped", "inside another"],
)
def test_a_text_that_is_not_found_once(data: bytes) -> None:
    """Without one place for the text there is no template."""
    assert template(data, ["x"], lambda document: None) is None
