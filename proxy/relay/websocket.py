"""WebSocket messages from the bytes of one direction, however they are split.  No I/O.

Frames pass through the relay unchanged.  This reads a copy, so that the journal holds whole
messages: unmasked, fragments joined, permessage-deflate undone.  RFC 6455, 5.2; RFC 7692, 7.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

REASON_BYTES_MAX = 123  # of a close frame: RFC 6455, 5.5
MESSAGE_BYTES_MAX = 32 * 1024 * 1024  # a longer message is skipped and counted
INFLATED_BYTES_MAX = 256 * 1024 * 1024  # of one message; beyond it a direction is not read further
_CONTROL = 0x8  # opcodes from here on are control frames, which may come between fragments
_EMPTY_BLOCK = b"\x00\x00\xff\xff"  # what a deflating sender omits (RFC 7692, 7.2.1)


class Opcode(IntEnum):
    """RFC 6455, 11.8."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message, or a control frame.  Text is not checked to be UTF-8."""

    opcode: int
    payload: bytes


@dataclass(slots=True)
class _Frame:
    opcode: int
    final: bool
    deflated: bool
    mask: bytes
    size: int


class MessageReader:
    """Collects bytes and returns the messages that they complete.

    `skipped_bytes` counts the payloads of messages that were too long, as sent on the wire.
    """

    def __init__(self, *, deflate: bool, message_bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self._max = message_bytes_max
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if deflate else None
        self._buffer = bytearray()
        self._frame: _Frame | None = None
        self._skip = 0  # payload bytes of the current frame that are still to be skipped
        self._opcode = 0  # of the message whose fragments are being collected
        self._deflated = False
        self._parts = bytearray()
        self._too_long = False
        self.closed = False  # a close frame passed
        self.skipped_bytes = 0

    @property
    def between_frames(self) -> bool:
        """Whether another frame may be put in here."""
        return not self._buffer and self._frame is None and not self._skip

    def feed(self, data: bytes) -> Iterator[Message]:
        """Raises ValueError if the bytes are not WebSocket frames; feed no more then."""
        self._buffer += data
        while True:
            if self._skip:
                count = min(self._skip, len(self._buffer))
                del self._buffer[:count]
                self._skip -= count
                if self._skip:
                    return
            if self._frame is None:
                self._frame = self._head()
                if self._frame is None:
                    return
                self._begin(self._frame)
            if not self._skip:
                if self._frame.size > len(self._buffer):
                    return
                payload = bytes(self._buffer[: self._frame.size])
                del self._buffer[: self._frame.size]
                frame, self._frame = self._frame, None
                yield from self._end(frame, _unmasked(payload, frame.mask))

    @property
    def unread_bytes(self) -> int:
        """How many bytes were fed that are not part of a message yet."""
        return len(self._buffer) + len(self._parts)

    def _head(self) -> _Frame | None:
        """The next frame's head, removed from the buffer; None until it is complete."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        size, at = second & 0x7F, 2
        if size >= 126:
            at = 4 if size == 126 else 10
            size = int.from_bytes(buffer[2:at])
        end = at + (4 if second & 0x80 else 0)
        if len(buffer) < end:
            return None
        deflated = bool(first & 0x40)
        if first & 0x30 or (deflated and self._inflate is None):
            raise ValueError("reserved bits are set without an extension")
        mask = bytes(buffer[at:end])
        del buffer[:end]
        return _Frame(first & 0x0F, bool(first & 0x80), deflated, mask, size)

    def _begin(self, frame: _Frame) -> None:
        """Check a new frame, and skip its message if that gets too long."""
        if frame.opcode >= _CONTROL:
            if frame.size > 125 or not frame.final or frame.opcode > Opcode.PONG:
                raise ValueError("invalid control frame")
            return
        if frame.opcode == Opcode.CONTINUATION:
            if not self._opcode:
                raise ValueError("continuation without a first fragment")
        elif self._opcode or frame.opcode > Opcode.BINARY:
            raise ValueError("new message amid another one, or an unknown opcode")
        else:
            self._opcode, self._deflated = frame.opcode, frame.deflated
        if self._deflated and self._inflate is None:
            raise ValueError("deflated message after inflating was given up")
        if self._too_long or len(self._parts) + frame.size > self._max:
            self._skip_from(frame)

    def _skip_from(self, frame: _Frame) -> None:
        """Skip this message.  If it is deflated, the context for all later ones is lost with it."""
        self.skipped_bytes += len(self._parts) + frame.size
        self._parts.clear()
        self._too_long = True
        self._skip, frame.size = frame.size, 0
        if self._deflated:
            self._inflate = None

    def _end(self, frame: _Frame, payload: bytes) -> list[Message]:
        if frame.opcode >= _CONTROL:
            self.closed = self.closed or frame.opcode == Opcode.CLOSE
            return [Message(frame.opcode, payload)]
        self._parts += payload
        if not frame.final:
            return []
        opcode, whole, skipped = self._opcode, bytes(self._parts), self._too_long
        self._opcode, self._too_long = 0, False
        self._parts.clear()
        if skipped:
            return []
        if self._deflated and (inflated := self._inflated(whole)) is None:
            self.skipped_bytes += len(whole)
            return []
        return [Message(opcode, inflated or b"" if self._deflated else whole)]

    def _inflated(self, data: bytes) -> bytes | None:
        """None if it is too long; inflated to the end anyway, as context for the next one."""
        inflate = self._inflate
        assert inflate is not None  # else `_begin` refused the message
        try:
            out = inflate.decompress(data + _EMPTY_BLOCK, self._max)
            whole = not inflate.unconsumed_tail
            size = len(out)
            while inflate.unconsumed_tail and size < INFLATED_BYTES_MAX:
                size += len(inflate.decompress(inflate.unconsumed_tail, self._max))
            if inflate.unconsumed_tail:
                self._inflate = None
        except zlib.error as error:
            raise ValueError("invalid deflate stream") from error
        return out if whole else None


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    """RFC 6455, 5.3, as one operation on long integers: as fast as C without an extension."""
    if not mask or not payload:
        return payload
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(size)


def close_frame(code: int, reason: str, key: bytes = b"") -> bytes:
    """A close frame; a client's is masked with a `key` of four bytes (RFC 6455, 5.3)."""
    payload = code.to_bytes(2, "big") + reason.encode()[:REASON_BYTES_MAX]
    first = bytes((0x80 | Opcode.CLOSE, (0x80 if key else 0) | len(payload)))
    if not key:
        return first + payload
    return first + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
