"""Callers' connections: aiohttp's protocol with limits of ours, and errors that echo nothing.

A stranger may open many connections and send slowly, or nothing.  A head has a time and a size, and
of idle connections the one that idles longest makes room for a new one; a call is never cut.  One
that has just come is not idle yet: thousands of callers may connect at once before the first of
them has sent its request.
"""

import asyncio
import logging
import resource
import traceback
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo

from proxy.relay.answers import error_answer
from proxy.relay.upstream import HEAD_BYTES_MAX
from proxy.settings.config import CallerOptions

FRESH_S = 10.0  # for a request to begin, before its connection may have to make room
IDLE_SHARE = 0.5  # of all descriptors that idle connections may hold, however fresh

log = logging.getLogger(__name__)


class CallerServer(web.Server):
    """Makes a `CallerConnection` for each connection, and knows which of them are idle."""

    def __init__(self, handler: Any, limits: CallerOptions, **options: Any) -> None:
        super().__init__(handler, keepalive_timeout=limits.idle_timeout_s, **options)
        self.limits = limits
        self.idle: dict[CallerConnection, float] = {}  # since when, longest first
        self._crowd = resource.getrlimit(resource.RLIMIT_NOFILE)[0] * IDLE_SHARE
        self._again: asyncio.TimerHandle | None = None

    def __call__(self) -> RequestHandler:
        return CallerConnection(self, self._loop, self._kwargs)

    def rest(self, connection: "CallerConnection") -> None:
        """A connection waits for a request from now on."""
        self.idle[connection] = self._loop.time()
        waiting = len(self.idle)
        if waiting > self._crowd or (waiting > self.limits.idle_max and self._again is None):
            self._make_room()

    def _make_room(self) -> None:
        """Close those that idle longest, and look again later if too many are fresh."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        fresh, left, closing = self._loop.time() - FRESH_S, len(self.idle), []
        for connection, since in self.idle.items():
            if left <= self.limits.idle_max or (since > fresh and left <= self._crowd):
                break
            if connection.at_rest():
                closing.append(connection)
                left -= 1
        for connection in closing:
            del self.idle[connection]
            connection.force_close()
        if left > self.limits.idle_max:
            self._again = self._loop.call_later(FRESH_S, self._make_room)


class CallerConnection(RequestHandler):
    """A caller's connection."""

    __slots__ = ("_callers", "_head_bytes", "_head_timer")

    def __init__(
        self, callers: CallerServer, loop: asyncio.AbstractEventLoop, options: dict[str, Any]
    ) -> None:
        super().__init__(callers, loop=loop, **options)
        self._callers = callers
        self._head_bytes = 0  # of a head that is not whole yet
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._callers.rest(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._head_ended()
        super().connection_lost(exc)

    def at_rest(self) -> bool:
        """Whether it waits for a request, or for the rest of a head."""
        return self._waiter is not None and not self._waiter.done()

    def data_received(self, data: bytes) -> None:
        """Let a body whose framing is damaged fail: aiohttp leaves its reader waiting for ever."""
        super().data_received(data)
        if self._messages and self._current_request is not None:
            content = self._current_request.content
            if isinstance(self._messages[-1][0], _ErrInfo) and not content.is_eof():
                content.set_exception(RequestPayloadError("not a chunked body"))
        elif self.at_rest() and (self._head_bytes or data.strip(b"\r\n")):
            self._head_goes_on(len(data))

    def _head_goes_on(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES_MAX:
            self._turn_away(431, "head_too_large", "the request head is too large.")
        elif self._head_timer is None:
            text = "the request head did not arrive in time (callers.head_timeout_s)."
            self._head_timer = self._loop.call_later(
                self._callers.limits.head_timeout_s, self._turn_away, 408, "head_timeout", text
            )

    def _head_ended(self) -> None:
        self._callers.idle.pop(self, None)
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _turn_away(self, status: int, kind: str, text: str) -> None:
        """Answer what never became a request, and close."""
        if self.transport is not None and self.at_rest():
            self.transport.write(error_answer(status, kind, text, keep_alive=False).data)
            self.force_close()

    async def _handle_request(self, *arguments: Any) -> tuple[web.StreamResponse, bool]:
        """Take the next request: until it is answered the connection is not idle."""
        self._head_ended()
        try:
            return await super()._handle_request(*arguments)
        finally:
            if self.transport is not None:
                self._callers.rest(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed (400), or a bug of ours (500)."""
        if request.writer.output_size > 0:
            raise ConnectionError("a response is on its way already")
        if status == 500:
            self.log_exception("A call failed in the relay itself.", exc_info=exc)
            return error_answer(500, "internal", "this is a bug; the log has it.", keep_alive=False)
        text = "the request is not valid HTTP/1.1, or a header is too long."
        return error_answer(status, "bad_request", text, keep_alive=False)

    def log_exception(self, *args: object, **kw: object) -> None:
        """Say where it happened; the exception's own text may quote a header."""
        error = kw.get("exc_info")
        if isinstance(error, BaseException):
            frame = traceback.extract_tb(error.__traceback__)[-1:]
            where = "".join(f" at {f.filename}:{f.lineno}" for f in frame)
            log.error("%s %s%s.", args[0], type(error).__name__, where)
        else:
            log.error("%s", args[0])
