"""A caller's request on its way upstream: the head at once, the body as it arrives.

The body goes up at upstream's pace: while upstream does not read, nothing is read from the caller.
"""

import asyncio
from typing import Protocol

from aiohttp.http import HttpVersion11, RawRequestMessage

from proxy.relay.call_log import CallLog
from proxy.relay.headers import RequestHeaders
from proxy.relay.http1 import CHUNKED, SWITCH, framed, head
from proxy.relay.upstream import Address
from proxy.relay.upstream_connection import UpstreamConnection

CONTINUE_WAIT_S = 1.0  # how long an upstream may keep a caller waiting for 100 Continue
JOINED_BYTES_MAX = 4096  # a body this small costs less to copy than a buffer of its own
LOOK_AGAIN_S = 0.001  # for the event loop to read what upstream said


class Waiting(Protocol):
    """The caller, as seen from here."""

    def tell_to_continue(self) -> None: ...  # 100 Continue (RFC 9110, 10.1.1), which it waits for
    def resume_caller(self) -> None: ...  # what had to wait was sent


class Upload:
    """One request.  `feed` it the body; `start` it once there is a connection.

    `done` is true once upstream has been sent everything.
    """

    __slots__ = (
        *("websocket", "done", "paused", "withheld", "_request", "_headers", "_target", "_caller"),
        *("_connection", "_log", "_parts", "_last", "_stopped", "_timer", "_answered", "_chunked"),
    )

    def __init__(
        self,
        request: RawRequestMessage,
        headers: RequestHeaders,
        target: str,
        log: CallLog,
        caller: Waiting,
    ) -> None:
        self.websocket = headers.websocket
        self.done = False
        self.paused = False  # upstream takes no more for now
        # The caller waits for 100: what it sends next may be the body or another request.
        self.withheld = headers.expects and request.version >= HttpVersion11
        self._request = request
        self._headers = headers
        self._chunked = headers.chunked
        self._target = target
        self._caller = caller
        self._connection: UpstreamConnection | None = None
        self._log = log
        self._parts: list[bytes] = []  # that arrived and were not sent
        self._last = False  # the last of the body has arrived
        self._stopped = False
        self._answered = False
        self._timer: asyncio.TimerHandle | None = None

    def feed(self, data: bytes, last: bool) -> None:
        """A part of the body arrived, or its end."""
        if self._stopped:
            return
        if data:
            self._log.request(data)
            self._parts.append(data)
        self._last = last
        if self._connection is not None and not self.withheld:
            self._send()

    def start(self, connection: UpstreamConnection, to: Address) -> None:
        """Write the head with as much of the body as has arrived, once.  Raises BadHead."""
        self._connection = connection
        bodyless = self._request.method == "HEAD"
        connection.parser.expect(bodyless=bodyless)
        first = self._head(to)
        del self._request, self._headers  # else an answer that takes an hour would hold them
        if self.withheld:
            connection.write(first)
            self._timer = asyncio.get_running_loop().call_later(CONTINUE_WAIT_S, self.proceed)
            return
        self._write(first)
        if not self.done:
            connection.spare()
            self._resume_unless_paused()

    def proceed(self) -> None:
        """Tell a caller that waits for 100 Continue to send its body."""
        if self.withheld and not self._stopped:
            self.withheld = False
            self._cancel_timer()
            self._caller.tell_to_continue()
            if self._connection is not None:
                self._connection.spare()
                self._send()
                self._resume_unless_paused()

    def answered(self, *, stop: bool) -> None:
        """There is a final head: a body that was withheld is not wanted any more.

        `stop`: it is an error, after which providers close, and sending more would destroy what
        they said (RFC 9112, 9.6).
        """
        self._answered = True
        if not self.done and (stop or self.withheld):
            self.stop()

    def stop(self) -> None:
        """Send no more of the body."""
        self._stopped = True
        self._cancel_timer()
        self._parts.clear()
        self._connection = None

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self) -> None:
        """Send what arrived, but read what upstream says first: it may refuse the rest."""
        if self._connection is None or not (self._parts or self._last) or self.done:
            return
        if not self._answered and self._connection.has_news():
            if self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(LOOK_AGAIN_S, self._look_again)
            return
        self._write()

    def _look_again(self) -> None:
        self._timer = None
        if self._connection is not None:  # what is still unread now is not for us to wait for
            self._write()
            self._resume_unless_paused()

    def _resume_unless_paused(self) -> None:
        if not (self.done or self.paused or self._parts):
            self._caller.resume_caller()

    def _write(self, first: bytes = b"") -> None:
        assert self._connection is not None
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self.done = self._last
        body = framed(data, chunked=self._chunked, last=self._last)
        if first and len(body) > JOINED_BYTES_MAX:
            self._connection.write(first, body)
        else:
            self._connection.write(first + body)

    def _head(self, to: Address) -> bytes:
        headers = self._headers
        own = to.proxy_headers
        if headers.websocket:
            own = (*SWITCH, *own)
        elif headers.chunked:
            own = (CHUNKED, *own)
        line = f"{self._request.method} {to.absolute}{self._target} HTTP/1.1"
        return head(line.encode("utf-8", "surrogateescape"), [to.host, *headers.fields], own)

    @property
    def unsent(self) -> bytes:
        """What has arrived and was not sent."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    @property
    def unsent_bytes(self) -> int:
        """How much has arrived and waits for a connection, or for upstream to want it."""
        return sum(map(len, self._parts))
