"""One call through the relay, from the caller's head to the last byte.

The caller comes first: what arrives is stamped, noted in the journal's buffer and written on at
once.  The journal has a call's end before the caller has its last byte, so a call that a caller saw
finish is never lost.  After the response head a failure can only cut the stream: a broken provider
must never look like a clean end.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from time import monotonic_ns

from aiohttp import ServerDisconnectedError, web
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpVersion11, RawResponseMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from proxy.exchange import Kind, Outcome
from proxy.relay.answers import CLOSED, KEPT, error_answer
from proxy.relay.call_log import CallLog
from proxy.relay.failures import FAILURES, BadRequestBody, failure
from proxy.relay.headers import RequestHeaders, sort_response
from proxy.relay.http1 import AnswerHead, BadHead, answer_head, framed, head, status_line
from proxy.relay.sending import Sending
from proxy.relay.tunnel import tunnel
from proxy.relay.upstream import HEAD_BYTES_MAX, Address, Upstreams

INTERIM_MAX = 1000  # 1xx heads before an answer; one each second is enough for any provider


class CallerGone(ConnectionError):
    """The caller closed its connection; aiohttp ends a handler that raises a ConnectionError."""


class Call:
    """Relays one request to `address`.  Made for one call, run once."""

    def __init__(
        self,
        request: web.BaseRequest,
        headers: RequestHeaders,
        *,
        target: str,
        address: Address,
        log: CallLog,
        upstreams: Upstreams,
        stopping: asyncio.Event,
        started_ns: int,
    ) -> None:
        self._request = request
        self._headers = headers
        self._target = target
        self._address = address
        self._log = log
        self._upstreams = upstreams
        self._stopping = stopping  # the relay's: no connection outlives this call
        self._stamp_ns = started_ns  # when it was our turn, for the overhead
        self._connection: Connection | None = None
        self._sending: Sending | None = None
        self._answer: AnswerHead | None = None
        self._payload: StreamReader | None = None
        self._status = 0
        self._finished = False  # the upstream connection may serve another call

    async def run(self) -> web.StreamResponse:
        """Relay the call.  Cancelled, or raises ConnectionError, when the caller is gone."""
        try:
            return await self._relay()
        except (asyncio.CancelledError, CallerGone):
            self._abandon()
            raise
        finally:
            self._log.end(Outcome.INTERRUPTED, "InternalError")  # unless it ended, as it should
            self._log.flush()
            self._release()

    async def _relay(self) -> web.StreamResponse:
        await self._log.settle()
        self._spent()
        try:
            self._connection = await self._upstreams.connect(self._address)
            self._stamp_ns = monotonic_ns()  # no waiting from here until the head is written
            protocol = self._connection.protocol
            assert protocol is not None  # a connection has one until it is released
            await self._send(protocol)
            message, payload = await self._await_head(protocol)
            answer = self._decide(message)
        except FAILURES as error:
            return await self._refuse(error)
        if message.code == 101:
            return await self._switch(protocol, message, answer)
        self._payload = payload
        return await self._pass_back(protocol, payload, answer)

    def _spent(self) -> None:
        """Count the time since the last stamp as our own share."""
        self._log.overhead_ns += monotonic_ns() - self._stamp_ns

    async def _send(self, protocol: ResponseHandler) -> None:
        self._upstreams.expect_response(protocol, bodyless=self._request.method == "HEAD")
        idle_timeout_s = self._upstreams.idle_timeout_s
        sending = Sending(self._request, self._headers, protocol, self._log, idle_timeout_s)
        self._sending = sending
        await sending.start(self._target, self._address)
        self._spent()

    # -- the response ---------------------------------------------------------------------------

    async def _await_head(
        self, protocol: ResponseHandler
    ) -> tuple[RawResponseMessage, StreamReader]:
        """The final head; interim ones are passed on (RFC 9110, 15.2)."""
        for _ in range(INTERIM_MAX):
            message, payload = await protocol.read()
            if message.code >= 200 or (message.code == 101 and self._headers.websocket):
                self._stamp_ns = monotonic_ns()
                return message, payload
            sending = self._sending
            assert sending is not None
            if message.code == 101:
                raise BadHead("an upgrade that nobody asked for")
            if message.code == 100:
                sending.ask()
            elif self._request.version >= HttpVersion11 and self._request.transport is not None:
                line = status_line(message.code, message.reason)
                self._request.transport.write(head(line, sort_response(message.raw_headers)))
            if sending.done:
                protocol.start_timeout()  # aiohttp takes an interim response for the whole one
        raise BadHead("interim responses without end")

    def _decide(self, message: RawResponseMessage) -> AnswerHead:
        """Make the head for the caller, and note the one that came."""
        request, sending = self._request, self._sending
        if sum(len(name) + len(value) for name, value in message.raw_headers) > HEAD_BYTES_MAX:
            raise BadHead("a head of this size is not kept, nor passed on")
        withheld = sending is not None and sending.withheld
        self._answer = answer_head(
            message.code,
            message.reason,
            message.raw_headers,
            to_head=request.method == "HEAD",
            caller_11=request.version >= HttpVersion11,
            keep_alive=request.keep_alive and not withheld and not self._stopping.is_set(),
        )
        if withheld and sending is not None:
            sending.cancel()  # the body is not wanted any more: do not ask for it
        self._status = message.code
        self._log.response_head(message)
        self._spent()
        return self._answer

    async def _pass_back(
        self, protocol: ResponseHandler, payload: StreamReader, answer: AnswerHead
    ) -> web.StreamResponse:
        """Write the response on as it comes, the end noted before the last byte is handed over."""
        data = answer.data
        chunk, error = _arrived(payload), payload.exception()
        while True:
            last = payload.at_eof()
            if last and not answer.delimited:  # only a close may mark the end, not a reset
                error = _break_of(protocol)
            if chunk:
                self._log.keep(Kind.RESPONSE, chunk)
            if error is not None:
                self._cut(error, data + framed(chunk, chunked=answer.chunked, last=False))
                return CLOSED
            if last:
                await self._complete()
            data += framed(chunk, chunked=answer.chunked, last=last)
            if data:
                await self._write(data)
                data = b""
            if last:
                return KEPT if answer.keep_alive else CLOSED
            try:
                chunk = await payload.readany()
            except FAILURES as broken:
                chunk, error = _arrived(payload), _break_of(protocol) or broken

    async def _complete(self) -> None:
        """Upstream delivered everything: so it is, whatever the caller does from here on."""
        self._finished = self._sending is not None and self._sending.done
        self._log.end(Outcome.HTTP_ERROR if self._status >= 400 else Outcome.OK)
        await self._log.settle()

    async def _write(self, data: bytes) -> None:
        """Hand bytes to the caller, at its pace."""
        start = monotonic_ns()
        try:
            await self._request.writer.write(data)
        except ConnectionError as error:
            raise CallerGone from error
        self._log.waited(monotonic_ns() - start)

    async def _switch(
        self, protocol: ResponseHandler, message: RawResponseMessage, answer: AnswerHead
    ) -> web.StreamResponse:
        """The upgrade was taken: from here on frames pass in both directions."""
        extensions = message.headers.get("Sec-WebSocket-Extensions", "")
        await self._write(answer.data)
        caller = self._request.protocol
        await tunnel(caller, protocol, self._log, deflate="permessage-deflate" in extensions)
        return CLOSED

    # -- the ends that are not the good one -----------------------------------------------------

    async def _refuse(self, error: Exception) -> web.StreamResponse:
        """Upstream gave no response: answer ourselves."""
        failed = failure(error, self._address.origin)
        self._log.end(failed.outcome, failed.name)
        await self._log.settle()
        return error_answer(
            failed.status,
            failed.kind,
            failed.message,
            bodyless=self._request.method == "HEAD",
            keep_alive=self._request.keep_alive and self._request.content.at_eof(),
        )

    def _cut(self, error: BaseException, data: bytes) -> None:
        """Upstream broke off: give the caller what came, and a broken end."""
        outcome = Outcome.UPSTREAM_CUT
        if isinstance(error, TimeoutError):
            outcome = Outcome.TIMED_OUT
        elif isinstance(error, BadRequestBody):
            outcome = Outcome.CLIENT_GONE
        self._log.end(outcome, type(error).__name__)
        self._log.flush()
        if self._request.transport is not None:
            self._request.transport.write(data)
            self._break_off(self._request.transport)

    def _break_off(self, transport: asyncio.Transport) -> None:
        """End the caller's stream so that it cannot be taken for a whole one."""
        if self._answer is None or self._answer.framed:
            transport.close()  # what was written still leaves; the end of the body is missing
            return
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:  # a close would be a clean end here: reset instead
            linger = struct.pack("ii", 1, 0)
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()

    def _abandon(self) -> None:
        """The caller is gone: note what upstream had delivered already, and whether it was all."""
        payload, transport = self._payload, self._request.transport
        if payload is not None and not self._log.ended and (rest := _arrived(payload)):
            self._log.keep(Kind.RESPONSE, rest)
        if payload is not None and payload.at_eof() and payload.exception() is None:
            self._log.end(Outcome.HTTP_ERROR if self._status >= 400 else Outcome.OK)
        elif transport is None or transport.is_closing():
            self._log.end(Outcome.CLIENT_GONE, "ClientDisconnected")
        else:
            self._log.end(Outcome.INTERRUPTED, "ShuttingDown")
            self._break_off(transport)

    def _release(self) -> None:
        """Give the connection back, or break it so that upstream stops working at once."""
        if self._sending is not None:
            self._sending.cancel()
        if self._connection is None:
            return
        if self._finished:
            self._connection.release()
            return
        protocol = self._connection.protocol
        if protocol is not None and not protocol.upgraded:  # a tunnel closes with its last bytes
            protocol.abort()
        self._connection.close()


def _break_of(protocol: ResponseHandler) -> BaseException | None:
    """What broke the connection; None if it is open or was closed in order."""
    error = protocol.exception()
    return None if isinstance(error, ServerDisconnectedError) else error


def _arrived(payload: StreamReader) -> bytes:
    """What has come and was not read.  Unlike the public method, also after the stream broke."""
    return b"" if payload is EMPTY_PAYLOAD else payload._read_nowait(-1)
