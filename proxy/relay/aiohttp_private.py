"""The only file that touches private names of aiohttp.

aiohttp may move or drop these names in any release, so pyproject.toml holds it below the next minor
version and `tests/test_aiohttp_private.py` looks each one up.  llhttp, which aiohttp compiles, only
feeds a `StreamReader` that the parser makes itself.  A reader wakes a task for every chunk; `Body`
takes its place once the head is there and just collects bytes.
"""

from collections import deque
from typing import cast

from aiohttp.base_protocol import BaseProtocol
from aiohttp.helpers import TimerNoop
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader


class Body(StreamReader):
    """What a parser decodes of a body: bytes without framing, until somebody takes them."""

    __slots__ = ()
    _buffer: deque[bytes] | list[bytes]  # type: ignore[assignment]
    whole: bool = StreamReader._eof  # type: ignore[misc] # the slot: whether it has come to its end

    def feed_data(self, data: bytes, size: int = 0) -> bool:
        self._buffer.append(data)
        return False  # everything was taken

    def feed_eof(self) -> None:
        self._eof = True

    # Nothing to do for each chunk; a type of C's says so in a third of what a function here takes.
    begin_http_chunk_receiving = staticmethod(bool)  # type: ignore[assignment]
    end_http_chunk_receiving = staticmethod(bool)  # type: ignore[assignment]

    def take(self) -> bytes:
        """The bytes that arrived since the last time."""
        buffer = self._buffer
        if not buffer:
            return b""
        if len(buffer) == 1:
            return buffer.pop()
        data = b"".join(buffer)
        buffer.clear()
        return data


def adopt(payload: StreamReader) -> Body | None:
    """Have the parser feed a `Body` from now on; None if the message has no body."""
    if payload is EMPTY_PAYLOAD:
        return None
    payload.__class__ = Body
    body: Body = payload  # type: ignore[assignment]
    if not body._eof:  # it lasts for a while, and an empty deque takes 0.8 kB
        body._buffer = list(body._buffer)
    return body


class _NoPauses:
    """Stands in for the connection that a `StreamReader` would pause; the relay pauses its own."""

    def pause_reading(self) -> None:
        pass

    def resume_reading(self, resume_parser: bool = True) -> None:
        pass


NO_PAUSES = cast(BaseProtocol, _NoPauses())
NO_TIMER = TimerNoop()  # else each body gets one of its own
