"""What is captured of a call: the same however it was cut, bounded, and never at a row's cost."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.content import Captured
from pricing.cause import texts
from proxy.content.capture import CHANNELS_MAX, Capturing
from proxy.dialects.contract import Json
from proxy.exchange import Begun, ResponseHead
from proxy.reading.reading import CallReader
from proxy.sampling import sampled
from proxy.secrecy.redaction import MARGIN
from proxy.settings.config import ContentOptions, MeteringOptions

KEY = "sk-abcdefghijklmnop1234"
JSON, SSE = "application/json", "text/event-stream"
CHAT = "/v1/chat/completions"


def begun(path: str = CHAT, **fields: Any) -> Begun:
    fixed: dict[str, Any] = {
        "call_id": "019a0000-0000-7000-8000-000000000001",
        "wall_ns": 0,
        "method": "POST",
        "provider": "openai",
        "upstream": "https://x",
    }
    return Begun(target=path, **(fixed | fields))


def capturing(**changes: Any) -> Capturing:
    return Capturing(ContentOptions(capture=True, **changes))


def captured(
    *pieces: bytes,
    kind: str = SSE,
    status: int = 200,
    request: bytes = b'{"model":"m"}',
    path: str = CHAT,
    shared: Capturing | None = None,
) -> Captured | None:
    """What is kept of a call whose response comes in these pieces."""
    shared = shared or capturing()
    one = begun(path)
    reader = CallReader(one, None, MeteringOptions(), capture=shared.begin(one))
    reader.request(request[:3], 0)
    reader.request(request[3:], 0)
    reader.head(ResponseHead(status=status, headers=(("Content-Type", kind),)), 0)
    for piece in pieces:
        reader.response(piece, 0)
    reading = reader.close()
    assert not [reason for reason in texts(reading.reasons) if reason.startswith("reading_failed")]
    assert shared.free == capturing().free  # nothing is held any more
    return reader.captured


def events(*documents: Json, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return "".join(f"{head}data: {json.dumps(document)}\n\n" for document in documents).encode()


def delta(text: str, choice: int = 0) -> Json:
    return {"choices": [{"index": choice, "delta": {"content": text}}]}


STREAM = events(*(delta(text) for text in ("Grüße ", "sk-abcdef", "ghijklmnop", "1234 你", "好")))
BODY = json.dumps(
    {"choices": [{"message": {"content": f"Grüße {KEY} 你好"}}], "usage": {"prompt_tokens": 1}}
).encode()


@pytest.mark.parametrize(("kind", "body"), [(SSE, STREAM + b"data: [DONE]\n\n"), (JSON, BODY)])
@given(cuts=st.lists(st.integers(0, 500), max_size=6))
def test_cut_anywhere(kind: str, body: bytes, cuts: list[int]) -> None:
    """However the bytes were cut, what is kept is the same, and the secret is out of it."""
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    found = captured(*(body[a:b] for a, b in pairwise(edges)), kind=kind)
    assert found == captured(body, kind=kind)
    assert found is not None
    assert found.output == "Grüße [redacted:credential] 你好"
    assert found.request == '{"model":"m"}'


def test_a_stream_has_its_text_and_a_body_both() -> None:
    """`output` has the text of either; `response` is the document, where there is one."""
    streamed, whole = captured(STREAM), captured(BODY, kind=JSON)
    assert streamed is not None
    assert whole is not None
    assert streamed.response == ""
    assert json.loads(whole.response)["usage"] == {"prompt_tokens": 1}
    assert streamed.output == whole.output
    assert whole.redactions == {"credential": 2}


def test_choices_that_come_at_the_same_time() -> None:
    """Each is put together by itself: a secret that is spread over one of them is found."""
    found = captured(events(*(delta(a, c) for a in pieces(KEY) for c in (0, 1))))
    assert found is not None
    assert found.output == "[redacted:credential]\n\n[redacted:credential]"


def pieces(text: str) -> list[str]:
    return [text[at : at + 2] for at in range(0, len(text), 2)]


ANTHROPIC = [
    {"type": "message_start", "message": {"model": "c", "usage": {"input_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}},
    {"type": "content_block_delta", "index": 0, "delta": {"thinking": "Hm."}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"text": "Yes."}},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "name": "f", "input": {}},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"partial_json": '{"a":1}'}},
]
RESPONSES = [
    {"type": "response.output_text.delta", "item_id": "m", "content_index": 0, "delta": "Yes."},
    {"type": "response.function_call_arguments.delta", "item_id": "f", "delta": '{"a":1}'},
    {"type": "response.audio.delta", "item_id": "m", "delta": "UklGRg=="},
    {"type": "response.completed", "response": {"model": "m", "usage": {"input_tokens": 1}}},
]


@pytest.mark.parametrize(
    ("path", "documents", "output"),
    [
        ("/v1/messages", ANTHROPIC, 'Hm.\n\nYes.\n\nf{"a":1}'),
        ("/v1/responses", RESPONSES, 'Yes.\n\n{"a":1}'),
    ],
)
def test_parts_of_an_answer(path: str, documents: list[Json], output: str) -> None:
    """Thoughts, text and the arguments of tools stand below each other, sound is left out."""
    found = captured(events(*documents), path=path)
    assert found is not None
    assert found.output == output


def test_an_error() -> None:
    """Of a call that failed the error document is kept, and of one that is no JSON the text."""
    error = json.dumps({"error": {"message": f"bad key {KEY}"}}).encode()
    found = captured(error, kind=JSON, status=401)
    assert found is not None
    assert json.loads(found.response) == {"error": {"message": "bad key [redacted:credential]"}}
    found = captured(b"<h1>502</h1>", kind="text/html", status=502)
    assert found is not None
    assert found.response == '"<h1>502</h1>"'


def test_a_form() -> None:
    """Plain fields are kept, files only as their size."""
    form = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b\r\n'
        b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n\xff\xfe\r\n--b--\r\n'
    )
    kind = ("Content-Type", "multipart/form-data; boundary=b")
    one = begun("/v1/audio/transcriptions", headers=(kind,))
    reader = CallReader(one, None, MeteringOptions(), capture=capturing().begin(one))
    reader.request(form, 0)
    reader.close()
    assert reader.captured is not None
    assert reader.captured.request == '{"model":"whisper-1","file":{"bytes":2}}'


def test_messages_of_a_session() -> None:
    """What the caller sends over a WebSocket is kept, a line each; the answer as text."""
    one = begun("/v1/realtime?model=m", method="GET", websocket=True)
    reader = CallReader(one, None, MeteringOptions(), capture=capturing(bytes_max=1024).begin(one))
    for number in range(100):
        sent = json.dumps({"type": "input_text", "text": f"{number} {'x' * 60}"})
        reader.message(True, b"\x01" + sent.encode(), 0)
    for piece in ("sk-abcdefgh", "ijklmnop1234"):
        said = {"type": "response.output_text.delta", "item_id": "i", "delta": piece}
        reader.message(False, b"\x01" + json.dumps(said).encode(), 0)
    reader.message(False, b'\x01{"type":"response.output_audio.delta","delta":"UklG"}', 0)
    reader.close()
    found = reader.captured
    assert found is not None
    lines = [json.loads(line)["text"].split()[0] for line in found.request.split("\n")]
    assert lines == [str(number) for number in range(100 - len(lines), 100)]
    assert 900 < len(found.request) <= 1024
    assert (found.request_cut, found.response, found.output) == (True, "", "[redacted:credential]")


def test_a_long_answer_is_cut_behind_its_secrets() -> None:
    """Text beyond the limit is not held, and what may be half a secret at its end is not shown."""
    shared = capturing(bytes_max=1024)
    for size in range(1000, 1030):
        rest = (*map(delta, pieces(KEY)), delta("y" * 9000))
        stream = events(delta("x" * size + " "), *rest)
        found = captured(stream, shared=shared)
        assert found is not None
        assert found.output_cut
        assert len(found.output.encode()) <= 1024
        assert "sk-a" not in found.output


def test_choices_are_cut_behind_their_secrets() -> None:
    """So it is where several choices share the room."""
    shared = capturing(bytes_max=8192)
    room = 8192 + MARGIN
    for size in range(room // 2 - 30, room // 2 + 4):
        stream = events(delta("x" * (room - size), 1), delta("y" * (size - 8), 0), delta(KEY, 0))
        found = captured(stream, shared=shared)
        assert found is not None
        assert "sk-a" not in found.output


def test_many_channels() -> None:
    """A provider that opens channels without end takes no more memory for it."""
    found = captured(events(*(delta("x", n) for n in range(CHANNELS_MAX + 50))))
    assert found is not None
    assert found.output == "\n\n".join("x" * CHANNELS_MAX)
    assert found.output_cut


def test_left_out_on_request() -> None:
    """A call that is tagged is not captured; whatever the word, unless it is `on`."""
    shared = capturing()
    assert shared.begin(begun(tags={"content": "off"})) is None
    assert shared.begin(begun(tags={"content": "Off "})) is None
    assert shared.begin(begun(tags={"content": "on"})) is not None


def test_a_sample() -> None:
    """About the share that was asked for, and always the same calls."""
    ids = [f"019a0000-0000-7000-8000-{n * 2654435761 % 2**48:012x}" for n in range(2000)]
    found = [one for one in ids if sampled(one, 0.25)]
    assert 400 < len(found) < 600
    assert found == [one for one in ids if sampled(one, 0.25)]
    assert all(sampled(one, 1.0) for one in ids)
    assert not sampled("no UUID", 1.0)


def test_no_room() -> None:
    """What all open calls hold is bounded; a call without room is counted."""
    shared = Capturing(ContentOptions(capture=True), open_bytes_max=4_000)
    first, second = shared.begin(begun()), shared.begin(begun())
    assert first is not None
    assert second is not None
    first.add_text("x" * 900, 0)
    second.add_text("y" * 900, 0)
    assert shared.free == 400  # what was held of it is free at once
    assert second.close(None) is None
    assert shared.dropped == 1
    kept = first.close({"model": "m"})
    assert kept is not None
    assert kept.output == "x" * 900
    assert shared.free == 4_000


@pytest.mark.parametrize(
    "broken_ones",
    [
        ("walker.Walker.document", "walker.Walker.text"),
        ("capture.StringIO",),
        ("capture.NewestLines.add",),
    ],
)
def test_a_fault_of_ours_costs_no_reading(
    monkeypatch: pytest.MonkeyPatch, broken_ones: tuple[str, ...]
) -> None:
    """Whatever breaks in here, the call is read as it would be without."""

    def broken(*_: object) -> str:
        raise ZeroDivisionError

    for name in broken_ones:
        monkeypatch.setattr(f"proxy.content.{name}", broken)
    shared = capturing()
    one = begun()
    reader = CallReader(one, None, MeteringOptions(), capture=shared.begin(one))
    reader.request(b'{"model":"m"}', 0)
    reader.head(ResponseHead(status=200, headers=(("Content-Type", JSON),)), 0)
    reader.response(BODY, 0)
    reading = reader.close()
    assert reading.request_model == "m"
    assert not [reason for reason in texts(reading.reasons) if "failed" in reason]
    assert reader.captured is None
    assert shared.dropped == 1
