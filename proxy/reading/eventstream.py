"""AWS event stream framing: messages from bytes, however they are cut.  Sans-I/O.

A message is a prelude (total length, headers length, CRC-32 of those eight bytes), headers, a
payload and the CRC-32 of everything before it, all big-endian:
https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream
Header names and string values are UTF-8.  The relevant ones are `:message-type`, `:event-type`,
`:exception-type` and `:error-code`.
"""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zlib import crc32

MESSAGE_BYTES_MAX = 24 * 1024 * 1024  # AWS: payload at most 24 MB
HEADERS_BYTES_MAX = 128 * 1024  # AWS: headers at most 128 kB

_PRELUDE = struct.Struct(">III")
_OVERHEAD_BYTES = _PRELUDE.size + 4  # prelude and message CRC
_FIXED = {2: ">b", 3: ">h", 4: ">i", 5: ">q"}  # header value types with a number
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Message = tuple[dict[str, object], bytes]


class EventStream:
    """Takes bytes and yields (headers, payload) of each complete message.

    Raises ValueError, which names the broken CRC or length, at the damaged message.  Earlier
    messages have been yielded by then; nothing after it can be trusted, so every later `feed`
    raises again.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._broken = ""

    @property
    def pending(self) -> int:
        """Bytes of an unfinished message; 0 at a clean end."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield each message that `data` completes.  Takes the bytes only when iterated."""
        self._refuse_broken()
        self._buffer += data
        start = 0
        try:
            while (length := self._length_at(start)) is not None:
                if len(self._buffer) - start < length:
                    break
                message = _message(bytes(self._buffer[start : start + length]))
                start += length
                yield message
        except ValueError as error:
            self._broken = str(error)
            raise
        finally:
            del self._buffer[:start]

    def _refuse_broken(self) -> None:
        if self._broken:
            raise ValueError(self._broken)

    def _length_at(self, start: int) -> int | None:
        """The checked length of the message at `start`; None while its prelude is incomplete."""
        if len(self._buffer) - start < _PRELUDE.size:
            return None
        total, headers, stated = _PRELUDE.unpack_from(self._buffer, start)
        actual = crc32(self._buffer[start : start + 8])
        if actual != stated:
            raise ValueError(f"prelude CRC is {stated:#010x}, expected {actual:#010x}")
        if headers > HEADERS_BYTES_MAX or total > MESSAGE_BYTES_MAX + HEADERS_BYTES_MAX:
            raise ValueError(
                f"message of {total} bytes with {headers} of headers is over the limit"
            )
        if total < headers + _OVERHEAD_BYTES:
            raise ValueError(f"message length {total} is shorter than its {headers} header bytes")
        return int(total)


def _message(whole: bytes) -> Message:
    stated = int.from_bytes(whole[-4:])
    actual = crc32(whole[:-4])
    if actual != stated:
        raise ValueError(f"message CRC is {stated:#010x}, expected {actual:#010x}")
    _, headers_length, _ = _PRELUDE.unpack_from(whole)
    end = _PRELUDE.size + headers_length
    try:
        headers = _headers(whole[_PRELUDE.size : end])
    except (IndexError, struct.error, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"headers do not parse: {error}") from error
    return headers, whole[end:-4]


def _headers(data: bytes) -> dict[str, object]:
    headers: dict[str, object] = {}
    at = 0
    while at < len(data):
        name_end = at + 1 + data[at]
        name = data[at + 1 : name_end].decode()
        headers[name], at = _value(data, name_end)
    return headers


def _value(data: bytes, at: int) -> tuple[object, int]:
    """The header value at `at`, and where it ends."""
    kind = data[at]
    at += 1
    if kind in (0, 1):
        return kind == 0, at  # type 0 is true, type 1 false
    if kind in _FIXED:
        layout = _FIXED[kind]
        return struct.unpack_from(layout, data, at)[0], at + struct.calcsize(layout)
    if kind in (6, 7):  # a byte string, a UTF-8 string
        length = struct.unpack_from(">H", data, at)[0]
        raw = _slice(data, at + 2, length)
        return raw.decode() if kind == 7 else raw, at + 2 + length
    if kind == 8:  # milliseconds since the epoch
        ms = struct.unpack_from(">q", data, at)[0]
        return _EPOCH + timedelta(milliseconds=ms), at + 8
    if kind == 9:
        return UUID(bytes=_slice(data, at, 16)), at + 16
    raise ValueError(f"header value type {kind} is unknown, expected 0 to 9")


def _slice(data: bytes, at: int, length: int) -> bytes:
    if at + length > len(data):
        raise IndexError("value runs past the headers")
    return data[at : at + length]
