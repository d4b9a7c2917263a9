"""A caller's request on its way upstream: the head at once, the body as it arrives.

The body goes up at upstream's pace: while upstream does not read, nothing is read from the caller.
"""

import asyncio
from collections.abc import Callable

from aiohttp import SocketTimeoutError, web
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpVersion11, StreamWriter

from proxy.exchange import Kind
from proxy.relay.call_log import CallLog
from proxy.relay.failures import BadRequestBody, StalledRequestBody
from proxy.relay.headers import Pairs, RequestHeaders
from proxy.relay.http1 import framed, head
from proxy.relay.upstream import Address

CONTINUE_WAIT_S = 1.0  # how long an upstream may keep a caller waiting for 100 Continue

Interim = Callable[[int, str, Pairs], None]  # sends the caller an interim head: code, reason, pairs


class Upload:
    """Sends one request.  If the body fails, whoever reads the response from `protocol` is told.

    `done` is true once upstream has been sent everything.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        headers: RequestHeaders,
        protocol: ResponseHandler,
        *,
        interim: Interim,
        log: CallLog,
        idle_timeout_s: float,
    ) -> None:
        self._request = request
        self._headers = headers
        self._protocol = protocol
        self._interim = interim
        self._log = log
        self._idle_timeout_s = idle_timeout_s
        self._writer = StreamWriter(protocol, asyncio.get_running_loop())
        self._rest: asyncio.Task[None] | None = None
        self._continued = asyncio.Event()  # the caller was told to send its body
        self.done = False
        self.waits = headers.expects and request.version >= HttpVersion11

    @property
    def withheld(self) -> bool:
        """The caller waits for 100: what it sends next may be the body or another request."""
        return self.waits and not self._continued.is_set()

    async def start(self, target: str, address: Address) -> None:
        """Write the head with as much of the body as has arrived; a task sends the rest."""
        headers = self._headers
        pairs = [(b"Host", address.host), *headers.forward]
        if headers.websocket:
            pairs += [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
        elif headers.chunked:
            pairs.append((b"Transfer-Encoding", b"chunked"))
        pairs += address.proxy_headers
        data = head(
            b"%b %b%b HTTP/1.1"
            % (
                self._request.method.encode(),
                address.absolute,
                target.encode("utf-8", "surrogateescape"),
            ),
            pairs,
        )
        if not self.waits:
            body = self._request.content.read_nowait()
            self.done = self._request.content.at_eof()
            self._log.keep(Kind.REQUEST, body)
            data += framed(body, chunked=headers.chunked, last=self.done)
        await self._writer.write(data, drain=False)
        if self.done:
            self._protocol.start_timeout()
        else:
            self._rest = asyncio.create_task(self._send_rest())

    def proceed(self) -> None:
        """Tell a caller that waits for 100 Continue to send its body."""
        if self.withheld:
            self._continued.set()
            self._interim(100, "Continue", ())

    def cancel(self) -> None:
        """Send no more of the body."""
        if self._rest is not None:
            self._rest.cancel()

    async def _send_rest(self) -> None:
        try:
            await self._until_continued()
            await self._send_body()
            self.done = True
            self._protocol.start_timeout()
        except ConnectionError:
            pass  # upstream closed, and what it said can still be read; or the caller closed
        except TimeoutError:
            self._fail(SocketTimeoutError("upstream takes no more of the body"))
        except StalledRequestBody as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 — whatever ends the caller's body ends the call
            self._fail(BadRequestBody(type(error).__name__))

    def _fail(self, error: Exception) -> None:
        self._protocol.set_exception(error)
        if self._protocol.transport is not None:  # its own `abort` would forget who is waiting
            self._protocol.transport.abort()

    async def _until_continued(self) -> None:
        """Wait until upstream wants the body; after a second, tell the caller to send it anyway."""
        if not self.waits:
            return
        try:
            async with asyncio.timeout(CONTINUE_WAIT_S):
                await self._continued.wait()
        except TimeoutError:
            self.proceed()

    async def _send_body(self) -> None:
        content = self._request.content
        last = False
        while not last:
            if self._protocol.writing_paused:
                async with asyncio.timeout(self._idle_timeout_s):
                    await self._writer.drain()
            try:
                async with asyncio.timeout(self._idle_timeout_s):
                    chunk = await content.readany()
            except TimeoutError:
                raise StalledRequestBody from None
            last = content.at_eof()
            self._log.keep(Kind.REQUEST, chunk)
            if data := framed(chunk, chunked=self._headers.chunked, last=last):
                await self._writer.write(data, drain=False)
