"""Callers' connections: aiohttp's protocol with limits, and errors that repeat no input.

A stranger may open many connections and send slowly, or nothing.  So a request head is limited in
time and size, and when there are too many idle connections, the one that has been idle longest is
closed; a call never is.  A new connection is fresh for a while and not closed: thousands of callers
may connect at once before the first of them has sent its request.
"""

import asyncio
import logging
import resource
import traceback
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from proxy.relay.aiohttp_private import CallerProtocol
from proxy.relay.answers import error_answer
from proxy.relay.upstream import HEAD_BYTES_MAX
from proxy.settings.config import CallerOptions

FRESH_S = 10.0  # how long a connection may stay idle before it may be closed to make room
IDLE_SHARE = 0.5  # of all descriptors; more idle connections are closed, however fresh

log = logging.getLogger(__name__)


class CallerServer(web.Server):
    """Makes a `CallerConnection` for each connection, and knows which of them are idle."""

    def __init__(self, handler: Any, limits: CallerOptions, **options: Any) -> None:
        super().__init__(handler, handler_cancellation=True)  # a call ends when its caller leaves
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.idle: dict[CallerConnection, float] = {}  # since when; the longest idle comes first
        self._options = options | {"keepalive_timeout": limits.idle_timeout_s}
        self._crowd = resource.getrlimit(resource.RLIMIT_NOFILE)[0] * IDLE_SHARE
        self._again: asyncio.TimerHandle | None = None

    def __call__(self) -> RequestHandler:
        return CallerConnection(self, self._options)

    def rest(self, connection: "CallerConnection") -> None:
        """Take note that a connection waits for a request from now on."""
        self.idle[connection] = self.loop.time()
        waiting = len(self.idle)
        if waiting > self._crowd or (waiting > self.limits.idle_max and self._again is None):
            self._make_room()

    def _make_room(self) -> None:
        """Close those that have been idle longest; look again later if too many are fresh."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        fresh, left, closing = self.loop.time() - FRESH_S, len(self.idle), []
        for connection, since in self.idle.items():
            if left <= self.limits.idle_max or (since > fresh and left <= self._crowd):
                break
            if connection.is_idle():
                closing.append(connection)
                left -= 1
        for connection in closing:
            del self.idle[connection]
            connection.force_close()
        if left > self.limits.idle_max:
            self._again = self.loop.call_later(FRESH_S, self._make_room)


class CallerConnection(CallerProtocol):
    """A caller's connection."""

    __slots__ = ("_callers", "_head_bytes", "_head_timer")

    def __init__(self, callers: CallerServer, options: dict[str, Any]) -> None:
        super().__init__(callers, loop=callers.loop, **options)
        self._callers = callers
        self._head_bytes = 0  # of a head that is not yet complete
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._callers.rest(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._head_ended()
        super().connection_lost(exc)

    def received_while_idle(self, data: bytes) -> None:
        if self._head_bytes or data.strip(b"\r\n"):  # empty lines before a head do not count
            self._head_continues(len(data))

    def request_began(self) -> None:
        self._head_ended()

    def request_ended(self) -> None:
        self._callers.rest(self)

    def _head_continues(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES_MAX:
            self._turn_away(431, "head_too_large", "the request head is too large.")
        elif self._head_timer is None:
            text = "the request head did not arrive in time (callers.head_timeout_s)."
            self._head_timer = self._callers.loop.call_later(
                self._callers.limits.head_timeout_s, self._turn_away, 408, "head_timeout", text
            )

    def _head_ended(self) -> None:
        self._callers.idle.pop(self, None)
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _turn_away(self, status: int, kind: str, text: str) -> None:
        """Answer what never became a request, and close the connection."""
        if self.transport is not None and self.is_idle():
            self.transport.write(error_answer(status, kind, text, keep_alive=False).data)
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that cannot be parsed (400), or a bug of the relay (500)."""
        if request.writer.output_size > 0:
            raise ConnectionError("part of a response was already sent")
        if status == 500:
            self.log_exception("A call failed because of a bug in the relay:", exc_info=exc)
            text = "internal error in the proxy; see its log."
            return error_answer(500, "internal", text, keep_alive=False)
        text = "the request is not valid HTTP/1.1, or a header is too long."
        return error_answer(status, "bad_request", text, keep_alive=False)

    def log_exception(self, *args: object, **kw: object) -> None:
        """Log where it happened, but not the exception's text: that may quote a header."""
        error = kw.get("exc_info")
        if isinstance(error, BaseException):
            frame = traceback.extract_tb(error.__traceback__)[-1:]
            where = "".join(f" at {f.filename}:{f.lineno}" for f in frame)
            log.error("%s %s%s.", args[0], type(error).__name__, where)
        else:
            log.error("%s", args[0])
