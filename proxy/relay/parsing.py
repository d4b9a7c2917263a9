"""Messages from the bytes of a connection, by llhttp.  No I/O.

llhttp decides what a message is and where it ends (RFC 9112): strictly for requests, and for
responses with the liberties that aiohttp's client allows.  Nothing here looks at framing, but for
the one repair that RFC 9110, 8.6 asks for.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from aiohttp.http import (
    HttpRequestParser,
    HttpResponseParser,
    HttpVersion11,
    RawRequestMessage,
    RawResponseMessage,
)
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from proxy.relay.aiohttp_private import NO_PAUSES, NO_TIMER, Body, adopt
from proxy.relay.http1 import lengths_once

_UNLIMITED = 1 << 30  # of a StreamReader, which never holds more than one read of a connection
_BODY_BYTES_MIN = 2048  # a shorter one is not worth a second call
_H2_PREFACE = b"PRI * HTTP/2.0"  # RFC 9113, 3.4
_H2_SETTINGS = b"\x04\x00"  # type and flags of the frame that a server begins with


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLimits:
    """Limits of one message head, in bytes and lines."""

    line_bytes_max: int
    lines_max: int
    head_bytes_max: int


class HeadTooLarge(HttpProcessingError):
    """A head exceeds a limit: `option` names the one to raise."""

    def __init__(self, what: str, option: str) -> None:
        super().__init__(code=431, message=f"{what} (upstream.{option})")
        self.option = option
        self.what = what


class SpeaksHttp2(HttpProcessingError):
    """The peer speaks HTTP/2 without asking."""


class RequestParser:
    """Requests from one connection, one at a time.

    llhttp's state and the last head take 4 kB.  `release` lets go of them while an answer lasts, if
    it is sure that nothing of the next request was read.
    """

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._parser: HttpRequestParser | None = None
        self._body: Body | None = None
        self._fresh = True  # the parser has nothing of the next request
        self._sized = False  # the head came in one read, and says how long the body is
        self._over = 0  # bytes of the last read that are not of this request, if it is `_sized`
        self.head_bytes = 0  # of a head that is not yet complete

    def _new(self) -> HttpRequestParser:
        line_bytes_max = self._limits.line_bytes_max
        return HttpRequestParser(
            NO_PAUSES, asyncio.get_running_loop(), _UNLIMITED, timer=NO_TIMER,
            max_line_size=line_bytes_max, max_field_size=line_bytes_max,
            max_headers=self._limits.lines_max, auto_decompress=False, max_msg_queue_size=1,
        )  # fmt: skip

    def feed(self, data: bytes) -> RawRequestMessage | None:
        """Returns a request once its head is complete.  Raises HttpProcessingError.

        Feed no more than the request that was returned, until `next` was called.
        """
        parser = self._parser
        if parser is None:
            parser = self._parser = self._new()
        fresh, self._fresh, self._over = self._fresh, False, len(data)
        try:
            messages, upgraded, rest = parser.feed_data(data)
            if upgraded:  # an earlier request asked for it, and it was declined
                parser.set_upgraded(False)
                messages, _, _ = parser.feed_data(rest)
        except HttpProcessingError as error:
            if data.startswith(_H2_PREFACE):
                raise SpeaksHttp2(code=400) from None
            raise _named(error, self._limits) from None
        if not messages:
            return None
        message, payload = messages[0]
        self._body = adopt(payload)
        self.head_bytes = 0
        self._sized = fresh and not (message.chunked or message.upgrade)
        if self._sized:
            self._over -= data.find(b"\r\n\r\n") + 4
        return message

    def head_continues(self, size: int) -> None:
        """So many bytes came and did not complete the head.  Raises HeadTooLarge."""
        self.head_bytes += size
        if self.head_bytes > self._limits.head_bytes_max:
            raise _head_too_large(self._limits)

    def take(self) -> tuple[bytes, bool]:
        """What arrived of the body since the last time, and whether that is its end."""
        body = self._body
        if body is None:
            return b"", True
        data, whole = body.take(), body.whole
        self._over -= len(data)
        if whole:
            self._body = None
        return data, whole

    def release(self) -> None:
        """The request was taken to its end, and the next one may be an hour away."""
        if self._sized and not self._over:
            self._parser, self._fresh = None, True

    def next(self) -> RawRequestMessage | None:
        """The next request, if its head has already arrived.  Raises HttpProcessingError."""
        self._body = None
        if self._parser is None:
            return None
        self._parser.message_consumed()
        if self._sized and not self._over:
            self._fresh = True
            return None
        return self.feed(b"")

    def switch(self) -> bytes:
        """The connection speaks another protocol now; returns what came of it already."""
        return b"" if self._parser is None else self._parser.feed_data(b"")[2]


def may_follow(request: RawRequestMessage) -> bool:
    """Whether another request may follow on the connection.

    aiohttp drops what follows a request to switch to any protocol but WebSocket, and the framing of
    a chunked HTTP/1.0 request cannot be trusted (RFC 9112, 6.1).
    """
    if request.chunked and request.version < HttpVersion11:
        return False
    return not request.upgrade or request.headers.get("Upgrade", "").lower() == "websocket"


class ResponseParser:
    """Responses from one connection, one at a time."""

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._bodyless = False
        self._parser = self._new()
        self._begin()

    def _begin(self) -> None:
        self._body: Body | None = None
        self._head = b""  # what arrived of the first head
        self._head_bytes = 0
        self._interim = False
        self._final = False
        self.closes = False  # the connection ends with this response
        self.extra = False  # more arrived than was requested
        self.rest = b""  # what came after a switch of protocols

    def expect(self, *, bodyless: bool) -> None:
        """Prepare for the next response; `bodyless` is true for an answer to HEAD."""
        if bodyless is not self._bodyless:
            self._bodyless = bodyless
            self._parser = self._new()
        self._begin()

    def _new(self) -> HttpResponseParser:
        return HttpResponseParser(
            NO_PAUSES,
            asyncio.get_running_loop(),
            _UNLIMITED,
            timer=NO_TIMER,
            max_line_size=self._limits.line_bytes_max,
            max_field_size=self._limits.line_bytes_max,
            max_headers=self._limits.lines_max,
            response_with_body=not self._bodyless,
            read_until_eof=True,
            auto_decompress=False,
        )

    def feed(self, data: bytes) -> Sequence[RawResponseMessage]:
        """Returns the heads that are complete now: interim ones, then the final one.

        Raises HttpProcessingError.
        """
        if self._final:
            self.extra = bool(self._parser.feed_data(data)[0]) or self.extra
            return ()
        self._head_bytes += len(data)
        end = data.find(b"\r\n\r\n") + 4
        if 3 < end < len(data) - _BODY_BYTES_MIN:  # so that its chunks go to a `Body` at once
            heads = self._feed(data[:end])
            rest = data[end:]
            if self._final:
                self.extra = bool(self._parser.feed_data(rest)[0]) or self.extra
                return heads
            return (*heads, *self._feed(rest))
        return self._feed(data)

    def _feed(self, data: bytes) -> Sequence[RawResponseMessage]:
        try:
            found = self._parser.feed_data(data)
        except BadHttpMessage as error:
            found = self._repaired(data, error)
        messages, upgraded, rest = found
        if not messages:
            self._head = b"" if self._interim else self._head + data
            if self._head_bytes > self._limits.head_bytes_max:
                raise _head_too_large(self._limits)
            return ()
        if upgraded:
            self.rest = rest
        heads = []
        for message, payload in messages:
            if self._final:
                self.extra = True
                break
            self._final = message.code >= 200 or message.code == 101
            if self._final:
                self._body = adopt(payload)
                self.closes = message.should_close
            self._interim = True
            heads.append(message)
        if self._head_bytes > self._limits.head_bytes_max:
            self._check_size(heads)
        self._head = b""
        return heads

    def take(self) -> tuple[bytes, bool]:
        """What arrived of the body since the last time, and whether its framing ends there."""
        body = self._body
        return (b"", self._final) if body is None else (body.take(), body.whole)

    def _check_size(self, heads: Sequence[RawResponseMessage]) -> None:
        for message in heads:
            if sum(len(n) + len(v) for n, v in message.raw_headers) > self._limits.head_bytes_max:
                raise _head_too_large(self._limits)

    def _repaired(
        self, data: bytes, error: BadHttpMessage
    ) -> tuple[list[tuple[RawResponseMessage, StreamReader]], bool, bytes]:
        """Parse once more without repeated Content-Length; raises what was wrong otherwise."""
        head = self._head + data
        once = lengths_once(head)
        if once != head and not self._interim:
            self._parser = self._new()
            return self._parser.feed_data(once)
        if found := self._alone(head):
            return found
        if head[3:5] == _H2_SETTINGS:
            raise SpeaksHttp2(code=502) from None
        raise _named(error, self._limits) from None

    def _alone(
        self, data: bytes
    ) -> tuple[list[tuple[RawResponseMessage, StreamReader]], bool, bytes] | None:
        """A response that has no body whatever its head says, without what follows it.

        Some servers end an answer to HEAD, or a 304, with an empty chunk (RFC 9112, 6.3).
        """
        head, end, rest = data.partition(b"\r\n\r\n")
        if self._interim or not rest:
            return None
        self._parser = self._new()
        with suppress(HttpProcessingError):
            found = self._parser.feed_data(head + end)
            if found[0] and (found[0][0][1] is EMPTY_PAYLOAD or found[0][0][1].is_eof()):
                self.extra = True
                return found
        return None


def _head_too_large(limits: HeadLimits) -> HeadTooLarge:
    return HeadTooLarge(f"a head of more than {limits.head_bytes_max} bytes", "head_bytes_max")


def _named(error: HttpProcessingError, limits: HeadLimits) -> HttpProcessingError:
    """The error of a limit that says which; any other as it is.  aiohttp's text quotes the line."""
    if isinstance(error, LineTooLong):
        what = f"a header line of more than {limits.line_bytes_max} bytes"
        return HeadTooLarge(what, "header_bytes_max")
    if "Too many headers" in str(error.message):
        return HeadTooLarge(f"more than {limits.lines_max} header lines", "header_lines_max")
    return error
