"""A caller's request on its way upstream: the head at once, the body as it arrives.

The body goes up at upstream's pace: while upstream does not read, nothing is read from the caller.
"""

import asyncio
from collections.abc import Callable

from aiohttp.http import HttpVersion11, RawRequestMessage

from proxy.relay.call_log import CallLog
from proxy.relay.headers import RequestHeaders
from proxy.relay.http1 import CHUNKED, SWITCH, framed, head
from proxy.relay.upstream import Address
from proxy.relay.upstream_connection import UpstreamConnection

CONTINUE_WAIT_S = 1.0  # how long an upstream may keep a caller waiting for 100 Continue
LOOK_AGAIN_S = 0.001  # for the event loop to read what upstream said


class Upload:
    """One request.  `feed` it the body; `start` it once there is a connection.

    `done` is true once upstream has been sent everything.  `tell_to_continue` sends a caller that
    waits for it 100 Continue (RFC 9110, 10.1.1); `resume` is called when what had to wait was sent.
    """

    __slots__ = (
        *("websocket", "done", "paused", "waits", "_continued", "_request", "_headers", "_target"),
        *(
            "_tell",
            "_resume",
            "_connection",
            "_log",
            "_parts",
            "_last",
            "_stopped",
            "_timer",
            "_answered",
        ),
    )

    def __init__(
        self,
        request: RawRequestMessage,
        headers: RequestHeaders,
        target: str,
        log: CallLog,
        *,
        tell_to_continue: Callable[[], None],
        resume: Callable[[], None],
    ) -> None:
        self.websocket = headers.websocket
        self.done = False
        self.paused = False  # upstream takes no more for now
        self.waits = headers.expects and request.version >= HttpVersion11
        self._continued = False  # the caller was told to send its body
        self._request = request
        self._headers = headers
        self._target = target
        self._tell = tell_to_continue
        self._resume = resume
        self._connection: UpstreamConnection | None = None
        self._log = log
        self._parts: list[bytes] = []  # that arrived and were not sent
        self._last = False  # the last of the body has arrived
        self._stopped = False
        self._answered = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def withheld(self) -> bool:
        """The caller waits for 100: what it sends next may be the body or another request."""
        return self.waits and not self._continued

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
        """Write the head with as much of the body as has arrived.  Raises BadHead."""
        self._connection = connection
        bodyless = self._request.method == "HEAD"
        connection.parser.expect(bodyless=bodyless)
        first = self._head(to)
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
            self._continued = True
            self._cancel_timer()
            self._tell()
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
            self._resume()

    def _write(self, first: bytes = b"") -> None:
        assert self._connection is not None
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self.done = self._last
        body = framed(data, chunked=self._headers.chunked, last=self._last)
        if first and body:
            self._connection.write(first, body)
        else:
            self._connection.write(first or body)

    def _head(self, to: Address) -> bytes:
        headers = self._headers
        own = to.proxy_headers
        if headers.websocket:
            own = (*SWITCH, *own)
        elif headers.chunked:
            own = (CHUNKED, *own)
        line = b"%b %b%b HTTP/1.1" % (
            self._request.method.encode(),
            to.absolute,
            self._target.encode("utf-8", "surrogateescape"),
        )
        return head(line, [to.host, *headers.fields], own)

    @property
    def unsent(self) -> bytes:
        """What has arrived and was not sent."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    @property
    def unsent_bytes(self) -> int:
        """How much has arrived and waits for a connection, or for upstream to want it."""
        return sum(map(len, self._parts))
