"""Documents are found in a body however it is cut."""

import json
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.cause import texts
from proxy.reading import document
from proxy.reading.document import Item, Limits, decode
from proxy.reading.framers import AmazonEvents, Framer, JsonArray, Opaque, Whole, choose
from proxy.reading.line_framers import JsonLines, ServerSentEvents

SSE = (
    ': hello\r\nevent: x\r\ndata: {"a": 1.10}\r\n\r\n'
    ":OPENROUTER PROCESSING\n\n"
    'id:7\nretry: 3\ndata:{"b":\ndata: "é你"}\n\n'
    'data: {"c": 3}\rdata\r\r'
    "data: [DONE]\n\n"
).encode()
SSE_ITEMS: list[Item] = [
    ({"a": Decimal("1.10")}, "x"),
    ({"b": "é你"}, ""),
    ({"c": 3}, ""),
    ("[DONE]", ""),
]
LINES = '{"a": 1}\r\n\n{"b": "é"}\n{"c": 3}'.encode()
LINES_ITEMS: list[Item] = [({"a": 1}, ""), ({"b": "é"}, ""), ({"c": 3}, "")]
ARRAY = ' [{"a": "]}\\"["},\n [1, {"b": []}] , 5, {"c": {"d": "é"}} ]'.encode()
ARRAY_ITEMS: list[Item] = [
    ({"a": ']}"['}, ""),
    ([1, {"b": []}], ""),
    ({"c": {"d": "é"}}, ""),
]
STREAMS = [
    pytest.param(ServerSentEvents, SSE, SSE_ITEMS, id="sse"),
    pytest.param(JsonLines, LINES, LINES_ITEMS, id="lines"),
    pytest.param(JsonArray, ARRAY, ARRAY_ITEMS, id="array"),
    pytest.param(Whole, b' {"a": 0.1} ', [({"a": Decimal("0.1")}, "")], id="whole"),
    pytest.param(Whole, b'{"a": 1}\n{"b": 2}\n', [({"a": 1}, ""), ({"b": 2}, "")], id="unmarked"),
]


def items(framer: Framer, *pieces: bytes) -> list[Item]:
    found = [item for piece in pieces for item in framer.feed(piece)]
    return found + list(framer.close())


@pytest.mark.parametrize(("kind", "data", "expected"), STREAMS)
def test_whole_and_byte_by_byte(kind: type[Whole], data: bytes, expected: list[Item]) -> None:
    """A body in one piece and one that comes byte by byte give the same documents."""
    assert items(kind(Limits(1000)), data) == expected
    assert items(kind(Limits(1000)), *(bytes([byte]) for byte in data)) == expected


@pytest.mark.parametrize(("kind", "data", "expected"), STREAMS)
@settings(max_examples=50)
@given(cuts=st.lists(st.integers(0, 200), max_size=9))
def test_cut_anywhere(
    kind: type[Whole], data: bytes, expected: list[Item], cuts: list[int]
) -> None:
    """So does every other way to cut it."""
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    assert items(kind(Limits(1000)), *(data[a:b] for a, b in pairwise(edges))) == expected


@pytest.mark.parametrize("ends", ["\n", "\r", "\r\n"])
@settings(max_examples=50)
@given(data=st.data())
def test_line_ends(ends: str, data: st.DataObject) -> None:
    """LF, CR and CRLF end lines alike, also where a cut falls between the two of a CRLF."""
    body = f'data: {{"a":{ends}data: 1}}{ends}{ends}: x{ends}data: 2{ends}{ends}'.encode()
    edges = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    pieces = [body[a:b] for a, b in pairwise([0, *edges, len(body)])]
    assert items(ServerSentEvents(Limits(99)), *pieces) == [({"a": 1}, ""), (2, "")]


def test_lone_cr_before_a_cut() -> None:
    """A line that CR ended does not swallow the LF of another one."""
    pieces = (b"data: 1\rdata: ", b"\ndata: 2\n\n")
    assert items(ServerSentEvents(Limits(99)), *pieces) == [("1\n\n2", "")]


def test_separators_inside_json_lines() -> None:
    """Characters that only text editors take for line ends do not end a line."""
    body = '{"a": "\u2028\x85"}\n{"b": 2}'.encode()
    assert items(Whole(Limits(99)), body) == [({"a": "\u2028\x85"}, ""), ({"b": 2}, "")]


def test_sse_without_a_last_blank_line() -> None:
    """The last event counts without its blank line, and without its line end."""
    assert items(ServerSentEvents(Limits(99)), b'data: {"a": 1}\n') == [({"a": 1}, "")]
    assert items(ServerSentEvents(Limits(99)), b'data: {"a": 1}') == [({"a": 1}, "")]


def test_sse_cut_inside_an_event() -> None:
    """An event that was cut is dropped, not passed on as text."""
    assert items(ServerSentEvents(Limits(99)), b'data: {"a": 1}\n\ndata: {"a":') == [({"a": 1}, "")]


def test_sse_text_that_is_not_json() -> None:
    """Data that is not JSON comes as text."""
    assert items(ServerSentEvents(Limits(99)), b"data: upstream died\n\n") == [
        ("upstream died", "")
    ]


def test_lines_cut_inside_the_last() -> None:
    """A line that was cut is dropped."""
    assert items(JsonLines(Limits(99)), b'{"a": 1}\n{"b": ') == [({"a": 1}, "")]


def test_a_long_line_is_not_held_whole() -> None:
    """An event larger than a document may be is pruned as it comes; what it says is still read."""
    limits = Limits(100_000)
    image = b"A" * 3_000_000
    data = b'data: {"image": "' + image + b'", "usage": {"total_tokens": 7}}\n\ndata: [DONE]\n\n'
    framer = ServerSentEvents(limits)
    found = items(framer, *(data[at : at + 5000] for at in range(0, len(data), 5000)))
    assert found == [({"image": "", "usage": {"total_tokens": 7}}, ""), ("[DONE]", "")]
    assert limits.pruned
    assert not limits.reasons


@pytest.mark.parametrize(
    ("kind", "start", "framer"),
    [
        ("application/json", b'{"a"', Whole),
        ("text/event-stream", b'{"error"', Whole),  # an error where a stream was asked for
        ("text/event-stream; charset=utf-8", b"data: {", ServerSentEvents),
        ("application/json", b"data: {", ServerSentEvents),
        ("application/json", b": ping", ServerSentEvents),
        ("text/event-stream", b"unknown:", ServerSentEvents),
        ("application/x-ndjson", b'{"a"', JsonLines),
        ("application/jsonl", b'{"a"', JsonLines),
        ("application/json", b'[{"a"', JsonArray),
        ("application/vnd.amazon.eventstream", b"\0\0\0\x90", AmazonEvents),
        ("audio/mpeg", b"ID3\x04", Opaque),
        ("text/plain", b"A text.", Whole),
        ("", b"", Whole),
    ],
)
def test_choice(kind: str, start: bytes, framer: type[Framer]) -> None:
    """What the bytes look like decides before what the header says."""
    assert type(choose(kind, start, Limits(9))) is framer


def test_decode_is_exact() -> None:
    """Money keeps every digit: a fraction becomes a Decimal, never a float."""
    assert decode(b'{"cost": 0.00001176500000000000001}') == {
        "cost": Decimal("0.00001176500000000000001")
    }


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": "\\ud83d"}', {"a": "�"}),  # half an emoji: a delta cut between its halves
        (b'{"a": "\xff"}', {"a": "�"}),
        (b'{"a": NaN, "b": 1}', {"a": None, "b": 1}),
    ],
)
def test_decode_mends(data: bytes, value: object) -> None:
    """What relays break is mended, so that one odd character does not cost the usage."""
    assert decode(data) == value


@pytest.mark.parametrize("data", [b"{", b"[1,]", b"tru", b"[" * 100_000, b'{"a":1}x', b"\xff"])
def test_decode_refuses(data: bytes) -> None:
    """What is not JSON is refused with ValueError, however deep it goes."""
    with pytest.raises(ValueError, match="not JSON"):
        decode(data)


@settings(max_examples=100)
@given(st.binary(max_size=300), st.sampled_from([ServerSentEvents, JsonLines, JsonArray, Whole]))
def test_noise(noise: bytes, kind: type[Whole]) -> None:
    """Any bytes at all are taken without an exception, and at any cut alike."""
    once = items(kind(Limits(100)), noise)
    assert items(kind(Limits(100)), *(bytes([byte]) for byte in noise)) == once


def test_a_corrupt_event_stream() -> None:
    """A broken message of an AWS event stream is a reason."""
    limits = Limits(99)
    assert items(AmazonEvents(limits), b"\0\0\0\x10" + b"x" * 40, b"more") == []
    assert "event_stream_corrupt" in texts(limits.reasons)


@pytest.mark.parametrize(
    ("kind", "sign"), [(ServerSentEvents, b"\n"), (JsonLines, b"\n"), (JsonArray, b"[")]
)
def test_a_body_of_nothing_but_structure(
    kind: type[Whole], sign: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body made to keep us busy is given up, with a reason."""
    monkeypatch.setattr(document, "STEPS_MAX", 1000)
    limits = Limits(99)
    assert items(kind(limits), *[sign * 100] * 11) == []
    assert "body_too_intricate" in texts(limits.reasons)


def test_json_array_of_many() -> None:
    """Elements of an array are given as soon as they are whole."""
    framer = JsonArray(Limits(99))
    data = json.dumps([{"n": n} for n in range(3)]).encode()
    assert list(framer.feed(data[:-4])) == [({"n": 0}, ""), ({"n": 1}, "")]
    assert list(framer.feed(data[-4:])) == [({"n": 2}, "")]
