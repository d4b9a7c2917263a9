"""AWS event stream framing, on frames built here and by the format's own example."""

import struct
from binascii import crc32
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.reading.eventstream import EventStream, Message


def string_header(name: str, value: str) -> bytes:
    """A header of type 7: a UTF-8 string."""
    raw = value.encode()
    key = name.encode()
    return bytes([len(key)]) + key + b"\x07" + struct.pack(">H", len(raw)) + raw


def frame(headers: bytes, payload: bytes) -> bytes:
    """One message as AWS encodes it."""
    prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    body = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return body + struct.pack(">I", crc32(body))


def fed(*pieces: bytes) -> list[Message]:
    """The messages in `pieces`."""
    stream = EventStream()
    return [message for piece in pieces for message in stream.feed(piece)]


EVENT = frame(string_header(":event-type", "chunk") + string_header("é", "ü"), b'{"a": 1}')
EMPTY = frame(b"", b"")


def test_empty_message_of_the_specification() -> None:
    """Sixteen bytes, two checksums and nothing else are a message: AWS's own test vector."""
    vector = bytes.fromhex("00000010 00000000 05c248eb 7d98c8ff".replace(" ", ""))
    assert vector == EMPTY
    assert fed(vector) == [({}, b"")]


def test_headers_of_every_type() -> None:
    """All ten header types are read; 0 and 1 are the booleans, 8 is milliseconds."""
    when = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    token = UUID(int=7)
    headers = (
        b"\x01t\x00\x01f\x01\x01b\x02\xff\x01h\x03\x01\x00\x01i\x04\x00\x00\x00\x05"
        + b"\x01l\x05"
        + struct.pack(">q", -9)
        + b"\x01r\x06\x00\x02\x00\xff"
        + string_header("s", "x")
        + b"\x01w\x08"
        + struct.pack(">q", int(when.timestamp() * 1000))
        + b"\x01u\x09"
        + token.bytes
    )
    [(read, payload)] = fed(frame(headers, b"p"))
    assert payload == b"p"
    assert read == {
        "t": True,
        "f": False,
        "b": -1,
        "h": 256,
        "i": 5,
        "l": -9,
        "r": b"\x00\xff",
        "s": "x",
        "w": when,
        "u": token,
    }


@settings(max_examples=60)
@given(
    payloads=st.lists(st.binary(max_size=40), max_size=4),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
def test_any_cut_gives_the_same_messages(payloads: list[bytes], cuts: list[int]) -> None:
    """How the bytes are cut changes nothing."""
    data = b"".join(frame(string_header(":event-type", "e"), p) for p in payloads)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(edges)]
    assert fed(*pieces) == [({":event-type": "e"}, p) for p in payloads]


def test_byte_by_byte() -> None:
    """A message comes with its last byte, not before; what is pending is known."""
    stream = EventStream()
    for byte in EVENT[:-1]:
        assert list(stream.feed(bytes([byte]))) == []
    assert stream.pending == len(EVENT) - 1
    assert list(stream.feed(EVENT[-1:])) == [({":event-type": "chunk", "é": "ü"}, b'{"a": 1}')]
    assert stream.pending == 0


@pytest.mark.parametrize(
    ("at", "named"), [(0, "prelude CRC"), (9, "prelude CRC"), (-6, "message CRC"), (-1, "message")]
)
def test_a_flipped_bit_is_named_and_ends_the_stream(at: int, named: str) -> None:
    """A broken checksum raises, after the messages before it and at every later feed."""
    broken = bytearray(EVENT)
    broken[at] ^= 1
    stream = EventStream()
    found = stream.feed(EVENT + bytes(broken))
    assert next(found)[1] == b'{"a": 1}'
    with pytest.raises(ValueError, match=named):
        next(found)
    with pytest.raises(ValueError, match=named):
        list(stream.feed(EVENT))


@pytest.mark.parametrize(
    ("total", "headers", "named"),
    [
        (15, 0, "shorter"),
        (20, 8, "shorter"),
        (2**31, 0, "over the limit"),
        (2**20, 2**18, "over the limit"),
    ],
)
def test_impossible_lengths_are_refused(total: int, headers: int, named: str) -> None:
    """A length that cannot be, or is over AWS's own limit, raises before anything is buffered."""
    prelude = struct.pack(">II", total, headers)
    with pytest.raises(ValueError, match=named):
        fed(prelude + struct.pack(">I", crc32(prelude)))


@pytest.mark.parametrize(
    "headers", [b"\x05ab", b"\x01a\x0b", b"\x01a\x07\x00\x09x", b"\x01\xff\x00"]
)
def test_headers_that_do_not_parse_are_refused(headers: bytes) -> None:
    """Right checksums around broken headers raise ValueError, nothing else."""
    with pytest.raises(ValueError, match="header"):
        fed(frame(headers, b""))
