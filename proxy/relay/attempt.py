"""One attempt at one provider, from the connection to the last byte: what becomes one row.

An attempt connects, sends the request, waits for the response head, passes the body on, and gives
the connection back.  Its log gets exactly one end, before the caller has the last byte, so a call
that a caller saw finish is never lost.  What the caller sees is up to the `Call` that makes the
attempt: an attempt writes nothing to the caller by itself.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import chain
from time import monotonic_ns

from aiohttp import ServerDisconnectedError, web
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from proxy.exchange import Kind, Outcome
from proxy.relay.aiohttp_private import arrived
from proxy.relay.call_log import CallLog
from proxy.relay.failures import FAILURES, BadRequestBody, Failure, failure
from proxy.relay.headers import RequestHeaders
from proxy.relay.http1 import BadHead
from proxy.relay.tunnel import tunnel
from proxy.relay.upload import Interim, Upload
from proxy.relay.upstream import HEAD_BYTES_MAX, Address, Upstreams

UNSENT_WAIT_S = 0.2  # how long a failed call waits for the rest of its body to be recorded
INTERIM_MAX = 1000  # 1xx heads before the final one; one a second is enough for any provider

Write = Callable[[bytes, bool], Awaitable[None]]  # takes a part of the body; True: the last one


class Attempt:
    """Sends one request to `address`, once.  Always close it."""

    def __init__(
        self,
        request: web.BaseRequest,
        headers: RequestHeaders,
        *,
        target: str,
        address: Address,
        log: CallLog,
        upstreams: Upstreams,
        started_ns: int,
    ) -> None:
        self.log = log
        self._request = request
        self._headers = headers
        self._target = target
        self._address = address
        self._upstreams = upstreams
        self._stamp_ns = started_ns  # when our own share of the time last began
        self._connection: Connection | None = None
        self._protocol: ResponseHandler | None = None  # that of the connection
        self._upload: Upload | None = None
        self._payload: StreamReader | None = None  # once the body is being passed on
        self._status = 0
        self._reusable = False  # the connection may serve another call

    async def response(self, interim: Interim) -> tuple[RawResponseMessage, StreamReader]:
        """Connect, send, and return the final response head with its body.

        `interim` gets the interim heads (RFC 9110, 15.2).  Raises what `FAILURES` lists.
        """
        await self.log.settle()
        self._count_overhead()
        self._connection = await self._upstreams.connect(self._address)
        self._stamp_ns = monotonic_ns()  # no waiting from here until the request head is written
        protocol = self._protocol = self._connection.protocol
        assert protocol is not None  # a connection has one until it is released
        self._upstreams.expect_response(protocol, bodyless=self._request.method == "HEAD")
        upload = self._upload = Upload(
            self._request,
            self._headers,
            protocol,
            interim=interim,
            log=self.log,
            idle_timeout_s=self._upstreams.idle_timeout_s,
        )
        self.log.sent = protocol.is_connected()
        await upload.start(self._target, self._address)
        self._count_overhead()
        message, payload = await self._final_head(protocol, upload, interim)
        if sum(map(len, chain.from_iterable(message.raw_headers))) > HEAD_BYTES_MAX:
            raise BadHead("its head is too large")
        return message, payload

    @property
    def withheld(self) -> bool:
        """The caller still waits for 100 Continue and has not sent its body."""
        return self._upload is not None and self._upload.withheld

    def accept(self, message: RawResponseMessage) -> None:
        """Record this head, which the caller gets: from here on the attempt can only break off."""
        if self._upload is not None and self._upload.withheld:
            self._upload.cancel()  # the body is not wanted any more: do not ask for it
        self._status = message.code
        self.log.response_head(message)
        self._count_overhead()

    async def pass_on(
        self, payload: StreamReader, write: Write, *, delimited: bool
    ) -> bytes | None:
        """Pass the body on as it arrives.  Returns None once it is whole.

        If upstream breaks off, returns the bytes that arrived last and were not passed on.  Unless
        the body is `delimited`, upstream marks its end by closing the connection.
        """
        self._payload, protocol = payload, self._protocol
        assert protocol is not None  # there is no payload without one
        chunk, error = arrived(payload), payload.exception()
        while True:
            last = payload.at_eof()
            if last and not delimited:  # a close marks the end, a reset does not
                error = _break_of(protocol)
            if chunk:
                self.log.keep(Kind.RESPONSE, chunk)
            if error is not None:
                self._end_broken(error)
                return chunk
            if last:  # upstream delivered everything, whatever the caller does from here on
                self._reusable = self._upload is not None and self._upload.done
                self._end_whole()
                await self.log.settle()
            await write(chunk, last)
            if last:
                return None
            try:
                chunk = await payload.readany()
            except FAILURES as broken:
                chunk, error = arrived(payload), _break_of(protocol) or broken

    async def tunnel(self, caller: RequestHandler, message: RawResponseMessage) -> None:
        """Upstream switched to WebSocket: pass frames both ways until one side closes."""
        extensions = message.headers.get("Sec-WebSocket-Extensions", "")
        assert self._protocol is not None  # there is no message without one
        deflate = "permessage-deflate" in extensions
        await tunnel(caller, self._protocol, self.log, deflate=deflate)

    # -- how an attempt ends --------------------------------------------------------------------

    async def fail(self, error: Exception) -> Failure:
        """End without a response, because of what `response` raised."""
        await self._take_unsent()
        failed = failure(error, self._address.origin, sent=self.log.sent)
        self.log.end(failed.outcome, failed.name)
        await self.log.settle()
        return failed

    def abandon(self, outcome: Outcome, error: str) -> bool:
        """End with `outcome`, unless upstream has delivered everything: then True, and a good end.

        What arrived and was not passed on is kept.
        """
        payload = self._payload
        if self._upload is None and not self.log.ended:
            self.log.keep(Kind.REQUEST, arrived(self._request.content))
        if payload is not None and not self.log.ended and (rest := arrived(payload)):
            self.log.keep(Kind.RESPONSE, rest)
        whole = payload is not None and payload.at_eof() and payload.exception() is None
        if whole:
            self._end_whole()
        else:
            self.log.end(outcome, error)
        return whole

    def close(self) -> None:
        """Give the connection back, or break it so that upstream stops working at once.

        An attempt that has no end by now failed because of a bug.
        """
        self.log.end(Outcome.INTERRUPTED, "InternalError")
        self.log.flush()
        if self._upload is not None:
            self._upload.cancel()
        if self._connection is None:
            return
        if self._reusable:
            self._connection.release()
            return
        protocol = self._connection.protocol
        if protocol is not None and not protocol.upgraded:  # a tunnel closes with its last bytes
            protocol.abort()
        self._connection.close()

    # -- inside ---------------------------------------------------------------------------------

    async def _take_unsent(self) -> None:
        """Record a body that was not sent since there was no connection: it names the model."""
        if self._upload is not None or self._headers.expects:
            return
        content = self._request.content
        with suppress(*FAILURES, TimeoutError):
            async with asyncio.timeout(UNSENT_WAIT_S):
                while not self.log.ended and not content.at_eof():
                    self.log.keep(Kind.REQUEST, await content.readany())

    def _count_overhead(self) -> None:
        """Count the time since the last stamp as our own share."""
        self.log.overhead_ns += monotonic_ns() - self._stamp_ns

    async def _final_head(
        self, protocol: ResponseHandler, upload: Upload, interim: Interim
    ) -> tuple[RawResponseMessage, StreamReader]:
        for _ in range(INTERIM_MAX):
            message, payload = await protocol.read()
            if message.code >= 200 or (message.code == 101 and self._headers.websocket):
                self._stamp_ns = monotonic_ns()
                return message, payload
            if message.code == 101:
                raise BadHead("it is an upgrade that was not requested")
            if message.code == 100:
                upload.proceed()
            else:
                interim(message.code, message.reason, message.raw_headers)
            if upload.done:
                protocol.start_timeout()  # aiohttp takes an interim response for the whole one
        raise BadHead("too many interim responses came before it")

    def _end_whole(self) -> None:
        self.log.end(Outcome.HTTP_ERROR if self._status >= 400 else Outcome.OK)

    def _end_broken(self, error: BaseException) -> None:
        outcome = Outcome.UPSTREAM_CUT
        if isinstance(error, TimeoutError):
            outcome = Outcome.TIMED_OUT
        elif isinstance(error, BadRequestBody):
            outcome = Outcome.CLIENT_GONE
        self.log.end(outcome, type(error).__name__)
        self.log.flush()


def _break_of(protocol: ResponseHandler) -> BaseException | None:
    """What broke the connection; None if it is open or was closed in order."""
    error = protocol.exception()
    return None if isinstance(error, ServerDisconnectedError) else error
