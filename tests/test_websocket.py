"""Messages are the same however the bytes are split, and any bytes are read safely."""

import os
import zlib
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.relay.websocket import Message, MessageReader, Opcode

MASK = b"\x01\x80\xff\x37"


def frame(
    opcode: int, payload: bytes, *, final: bool = True, mask: bytes = b"", deflated: bool = False
) -> bytes:
    """RFC 6455, 5.2."""
    first = (0x80 if final else 0) | (0x40 if deflated else 0) | opcode
    bit, size = (0x80 if mask else 0), len(payload)
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65_536:
        head = bytes((first, bit | 126)) + size.to_bytes(2)
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return head + mask + masked


def deflate(compressor: "zlib._Compress", payload: bytes) -> bytes:
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return data.removesuffix(b"\x00\x00\xff\xff")


STREAM = (
    frame(1, b"hello", mask=MASK)
    + frame(2, b"", mask=MASK)
    + frame(1, b"frag", final=False, mask=MASK)
    + frame(9, b"ping", mask=MASK)
    + frame(0, b"men", final=False)
    + frame(0, b"ted")
    + frame(2, bytes(range(256)) * 2, mask=MASK)
    + frame(8, b"\x03\xe8bye")
)
MESSAGES = [
    Message(Opcode.TEXT, b"hello"),
    Message(Opcode.BINARY, b""),
    Message(Opcode.PING, b"ping"),
    Message(Opcode.TEXT, b"fragmented"),
    Message(Opcode.BINARY, bytes(range(256)) * 2),
    Message(Opcode.CLOSE, b"\x03\xe8bye"),
]


def messages(chunks: list[bytes], reader: MessageReader) -> list[Message]:
    return [message for chunk in chunks for message in reader.feed(chunk)]


def test_whole_and_byte_by_byte() -> None:
    """One piece or one byte at a time: the messages are the same."""
    for size in (len(STREAM), 1):
        reader = MessageReader(deflate=False)
        chunks = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
        assert messages(chunks, reader) == MESSAGES
        assert reader.closed


@given(st.lists(st.integers(0, len(STREAM)), max_size=9))
def test_cut_anywhere(cuts: list[int]) -> None:
    """So are all other ways to split them, empty pieces included."""
    edges = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[start:end] for start, end in pairwise(edges)]
    assert messages(chunks, MessageReader(deflate=False)) == MESSAGES


def test_large_message() -> None:
    """A message beyond 64 KiB has the long length, and is unmasked whole."""
    payload = os.urandom(70_001)
    reader = MessageReader(deflate=False)
    assert list(reader.feed(frame(2, payload, mask=MASK))) == [Message(2, payload)]


def test_deflated_messages_share_their_context() -> None:
    """Later messages refer to earlier ones; uncompressed and control frames come between."""
    compressor = zlib.compressobj(wbits=-15)
    first, second = deflate(compressor, b"again and again"), deflate(compressor, b"again and again")
    reader = MessageReader(deflate=True)
    data = frame(1, first[:3], final=False, deflated=True) + frame(0, first[3:])
    data += frame(1, b"plain") + frame(1, second, deflated=True)
    data += frame(1, deflate(compressor, b""), deflated=True)
    assert [message.payload for message in reader.feed(data)] == [
        b"again and again",
        b"plain",
        b"again and again",
        b"",
    ]


def test_too_long_is_skipped() -> None:
    """A message over the limit is left out and counted; the next one is read."""
    reader = MessageReader(deflate=False, message_bytes_max=10)
    data = frame(1, b"12345678901") + frame(1, b"123456", final=False) + frame(0, b"78901")
    data += frame(1, b"1234567890")
    for chunks in ([data], [data[at : at + 1] for at in range(len(data))]):
        reader = MessageReader(deflate=False, message_bytes_max=10)
        assert messages(chunks, reader) == [Message(1, b"1234567890")]
        assert reader.skipped_bytes == 22


def test_inflated_too_long_is_skipped() -> None:
    """A small frame that inflates beyond the limit costs no memory, and the context goes on."""
    compressor = zlib.compressobj(wbits=-15)
    bomb = deflate(compressor, bytes(5_000_000))
    after = deflate(compressor, b"after")
    reader = MessageReader(deflate=True, message_bytes_max=100_000)
    found = list(reader.feed(frame(2, bomb, deflated=True) + frame(2, after, deflated=True)))
    assert found == [Message(2, b"after")]
    assert reader.skipped_bytes == len(bomb)


@pytest.mark.parametrize(
    "data",
    [
        frame(1, b"x", deflated=True),  # nothing was negotiated
        b"\xa1\x00",  # RSV2
        frame(3, b""),
        frame(0, b"continues nothing"),
        frame(1, b"a", final=False) + frame(1, b"b"),
        frame(9, b"p", final=False),
        frame(9, bytes(126)),
        frame(11, b""),
    ],
)
def test_not_frames(data: bytes) -> None:
    """Invalid frames are refused."""
    with pytest.raises(ValueError):  # noqa: PT011 — the text is for people
        list(MessageReader(deflate=False).feed(data))


def test_messages_before_damage() -> None:
    """What was whole before the damage is there; the rest is counted as unread."""
    reader = MessageReader(deflate=False)
    found = reader.feed(frame(1, b"whole") + b"\xf1damaged")
    assert next(found) == Message(1, b"whole")
    with pytest.raises(ValueError, match="reserved"):
        next(found)
    assert reader.unread_bytes == 8


def test_not_deflate() -> None:
    """Neither is a damaged deflate stream."""
    with pytest.raises(ValueError, match="deflate"):
        list(MessageReader(deflate=True).feed(frame(1, b"\xff\xff\xff\xff", deflated=True)))


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Random bytes give messages or ValueError, never anything else."""
    with suppress(ValueError):
        list(MessageReader(deflate=True, message_bytes_max=1000).feed(data))
