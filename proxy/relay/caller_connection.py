"""A caller's connection: requests one after another, each answered before the next begins.

    WAITING → (a head) → BUSY → (answered) → WAITING …
       ↘ closing, perhaps LINGERING, from either

While BUSY, what comes beyond the request is kept unparsed (RFC 9112, 9.3.2: answers in order).
LINGERING: the answer was sent, but the caller still sends.  A close would reset the connection and
destroy the answer on its way (RFC 9112, 9.6): we end our side, and drop the rest for a while.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError

from proxy.network import keep_alive
from proxy.relay.answers import error_answer, unreadable_answer
from proxy.relay.callers import Callers
from proxy.relay.parsing import RequestParser, may_follow
from proxy.relay.running import Opened, Running, RunningCall

if TYPE_CHECKING:
    from proxy.relay.tunnel import Tunnel

AHEAD_BYTES_MAX = 64 * 1024  # of later requests, while one is answered; one read more at most
LINGER_S = 30.0  # as nginx

Open = Callable[["CallerConnection", RawRequestMessage], Opened]


class CallerConnection(asyncio.Protocol):
    __slots__ = (
        *("transport", "running", "request_whole", "closed", "lingering", "_callers", "_open"),
        *("_parser", "_call", "_tunnel", "_ahead", "_ahead_bytes", "_reading", "_writing_paused"),
        *("_undrained", "_written", "_timed", "_one_more"),
    )

    transport: asyncio.Transport

    def __init__(self, callers: Callers, open_call: Open) -> None:
        self._callers, self._open = callers, open_call
        self._parser = RequestParser(callers.head_limits)
        self.running: Running | None = None
        self._call: RunningCall | None = None  # `running`, unless that is a tunnel
        self._tunnel: Tunnel | None = None
        self.request_whole = True  # the current request has arrived to its end
        self.closed = False
        self.lingering = False
        self._ahead: list[bytes] = []  # that came after the current request
        self._ahead_bytes = 0
        self._reading = True
        self._writing_paused = False
        self._undrained = False  # the next request waits for the caller to take the last answer
        self._written = False  # something of the current answer was written
        self._timed = False  # a request head has begun, and has a time to end
        self._one_more = True  # the connection may serve another request after this one

    # -- what the event loop calls --------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has classes of its own
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:
            keep_alive(sock)
        self._callers.came(self)

    def data_received(self, data: bytes) -> None:
        try:
            if self._tunnel is not None:
                self._tunnel.caller_sent(data)
            elif self.lingering:
                pass
            elif self._call is None and not self._undrained:
                self._read_head(data)
            elif self.request_whole:
                self._read_ahead(data)
            else:
                self._read_body(data)
        except Exception as error:  # noqa: BLE001 — a bug: the caller must get an answer
            self.crashed(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        running = self.running
        self._ended()
        if running is not None:
            running.caller_left()
        self._callers.left(self)

    def pause_writing(self) -> None:
        self._writing_paused = True
        if self.running is not None:
            self.running.pause_answer()

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self.running is not None:
            self.running.resume_answer()
        elif self._undrained:
            self._undrained = False
            self._proceed()

    # -- reading --------------------------------------------------------------------------------

    def _read_head(self, data: bytes) -> None:
        try:
            message = self._parser.feed(data)
            if message is None:
                self._head_continues(data)
        except HttpProcessingError as error:
            self.turn_away(unreadable_answer(error))
            return
        if message is not None and self._begin(message):
            self._proceed()

    def _head_continues(self, data: bytes) -> None:
        """RFC 9112, 2.2: an empty line before a request does not count."""
        if self._parser.head_bytes or data.strip(b"\r\n"):
            self._parser.head_continues(len(data))
            if not self._timed:
                self._timed = True
                self._callers.heads.touch(self)

    def _read_ahead(self, data: bytes) -> None:
        self._ahead.append(data)
        self._ahead_bytes += len(data)
        if self._ahead_bytes > AHEAD_BYTES_MAX:
            self.pause_reading()

    def _read_body(self, data: bytes) -> None:
        assert self._call is not None  # else there is no body to read
        try:
            self._parser.feed(data)
        except HttpProcessingError:
            self._call.upload(self._parser.take()[0], False)
            if self._call is not None:
                self._call.body_broke()
            return
        data, self.request_whole = self._parser.take()
        self._call.upload(data, self.request_whole)

    def _begin(self, message: RawRequestMessage) -> bool:
        """Answer a request; True if that is done, and the next one may begin."""
        self._callers.busy(self)
        if self._timed:
            self._timed = False
            self._callers.heads.drop(self)
        self._written = False
        body, whole = self._parser.take()
        self.request_whole = whole
        self._one_more = may_follow(message)
        opened = self._open(self, message)
        if isinstance(opened, tuple):
            answer, lives = opened
            self.write(answer)
            if lives and whole and self._one_more and not self._writing_paused:
                return True
            self._close()
            return False
        self.running = self._call = opened
        self._callers.began(self)
        opened.begin()
        if body or whole:
            opened.upload(body, whole)
        return False

    def _proceed(self) -> None:
        """Begin the next request if it is already there; else wait for it."""
        try:
            message = self._parser.next()
            while not self.closed:
                if message is None and self._ahead:
                    message = self._parser.feed(self._take_ahead())
                    continue
                if message is None or not self._begin(message):
                    break
                message = self._parser.next()
            if self._ahead and not self.request_whole and self._call is not None:
                self._read_body(self._take_ahead())  # whose head came with an earlier request
        except HttpProcessingError as error:
            self.turn_away(unreadable_answer(error))
            return
        except Exception as error:  # noqa: BLE001 — a bug: the caller must get an answer
            self.crashed(error)
            return
        if self._call is None and not (self.closed or self.lingering):
            self._callers.rest(self)

    def _take_ahead(self) -> bytes:
        data = b"".join(self._ahead)
        self._ahead.clear()
        self._ahead_bytes = 0
        self.resume_reading()
        return data

    # -- what a call asks for -------------------------------------------------------------------

    @property
    def stopping(self) -> bool:
        """No request may follow on this connection."""
        return self._callers.stopping or not self._one_more

    def write(self, data: bytes) -> None:
        """Send, unless the connection is closing."""
        self._written = True
        if not self.transport.is_closing():
            self.transport.write(data)

    def pause_reading(self) -> None:
        if self._reading and not self.transport.is_closing():
            self._reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading and not self.transport.is_closing():
            self._reading = True
            self.transport.resume_reading()

    def lasts(self) -> None:
        """The answer takes a while."""
        if self.request_whole:
            self._parser.release()

    def answered(self, *, keep_alive: bool) -> None:
        """The answer was written to its end."""
        self._ended()
        if self.closed:
            return
        if not (keep_alive and self.request_whole and self._one_more) or self._callers.stopping:
            self._close()
        elif self._writing_paused:
            self._undrained = True
        else:
            self._proceed()

    def broken_off(self) -> None:
        """The answer has no end, and the caller must notice."""
        self._ended()
        self._close()

    def crashed(self, error: Exception) -> None:
        """A bug of the relay's."""
        self._callers.log_bug(error)
        running = self.running
        self._ended()
        if running is not None:
            running.cut_off()
        if not self._written and not self.closed:
            text = "internal error in the proxy; see its log."
            self.write(error_answer(500, "internal", text, keep_alive=False))
        self._close()

    def switch(self, tunnel: "Tunnel") -> bytes:
        """Give everything that comes from now on to `tunnel`; returns what already came."""
        self._tunnel = tunnel
        self.running = tunnel
        self._call = None
        early = self._parser.switch() + b"".join(self._ahead)
        self._ahead.clear()
        self.resume_reading()
        return early

    def left_tunnel(self) -> None:  # which has closed the connection
        self._ended()

    # -- closing --------------------------------------------------------------------------------

    def close(self) -> None:
        """Close once everything that was written has left."""
        self.transport.close()

    def _ended(self) -> None:
        if self.running is not None:
            self._callers.ended(self)
        self.running = self._call = self._tunnel = None

    def _close(self) -> None:
        if self.closed or self.lingering:
            return
        if self.request_whole:
            self.transport.close()
            return
        self.lingering = True
        self.resume_reading()
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
        self._callers.linger(self, LINGER_S)

    def turn_away(self, answer: bytes) -> None:
        """Answer, and close the connection; the rest of the request is not wanted."""
        self._callers.busy(self)
        self.write(answer)
        self.request_whole = False
        self._close()
