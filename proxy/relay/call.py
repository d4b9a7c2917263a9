"""One call as its caller sees it: the request, the answer, and how the answer ends.

What happens, what the caller gets, and what the row says (`tests/test_relay_states.py` proves it):

Situation                   The caller gets            outcome       error_type
--------------------------  -------------------------  ------------  -------------------------------
Connecting to upstream
  refused                   502 upstream_refused       unreachable   ConnectionRefusedError
  no reply                  504 upstream_timeout       timed_out     TimeoutError
  name not found            502 upstream_dns           unreachable   ClientConnectorDNSError
  certificate not trusted   502 upstream_tls           unreachable   ClientConnectorCertificateError
  upstream speaks no TLS    502 upstream_tls           unreachable   ClientConnectorSSLError
  outgoing proxy is down    502 outgoing_proxy         unreachable   ClientProxyConnectionError
  outgoing proxy refuses    502 outgoing_proxy         unreachable   ClientHttpProxyError
Waiting for the response head
  closed                    502 upstream_reset         upstream_cut  ServerDisconnectedError
  reset                     502 upstream_reset         upstream_cut  ClientOSError
  silence                   504 upstream_timeout       timed_out     SocketTimeoutError
  upload not taken          504 upstream_timeout       timed_out     SocketTimeoutError
  not HTTP                  502 upstream_bad_response  upstream_cut  HttpProcessingError
  head too large            502 upstream_bad_response  upstream_cut  BadHead
  endless interim heads     502 upstream_bad_response  upstream_cut  BadHead
  unrequested upgrade       502 upstream_bad_response  upstream_cut  BadHead
Response
  2xx                       the answer                 ok            -
  4xx                       the answer                 http_error    429
  5xx                       the answer                 http_error    503
  4xx, not 100 Continue     the answer                 http_error    413
  4xx amid the upload       the answer                 http_error    401
Response body
  Content-Length, closed    a broken end               upstream_cut  ClientPayloadError
  Content-Length, reset     a broken end               upstream_cut  ClientOSError
  chunked, closed           a broken end               upstream_cut  ClientPayloadError
  chunked, reset            a broken end               upstream_cut  ClientOSError
  chunked, damaged          a broken end               upstream_cut  HttpProcessingError
  neither, closed           the answer                 ok            -
  neither, reset            a broken end               upstream_cut  ClientOSError
  silence                   a broken end               timed_out     SocketTimeoutError
Caller
  leaves during connecting  nothing                    client_gone   ClientDisconnected
  leaves before the head    nothing                    client_gone   ClientDisconnected
  leaves amid the body      nothing                    client_gone   ClientDisconnected
  leaves after its end      nothing                    ok            -
  sends a damaged body      400 bad_request_body       client_gone   BadRequestBody
  damages its body later    a broken end               client_gone   BadRequestBody
  stops sending its body    408 request_timeout        client_gone   StalledRequestBody
WebSocket
  refused                   the answer                 http_error    401
  ends with a close frame   the frames                 ok            -
  ends without one          the frames                 upstream_cut  ClosedWithoutCloseFrame
  caller leaves             nothing                    client_gone   ClientDisconnected
  relay stops               the frames                 interrupted   ShuttingDown
Relay
  stops, drains             the answer                 ok            -
  stops, hurries            a broken end               interrupted   ShuttingDown
  has a bug                 500 internal               interrupted   InternalError

Outcome                     What the meter charges
--------------------------  -----------------------------------------------------------------------
any, nothing was sent       nothing: that includes unreachable, and a wait for the connection
ok                          what the answer reports
http_error                  nothing
any other, without a head   unknown; the receipt has what the request costs by its counted tokens
any other                   what was seen, as a lower bound; unknown if nothing was

The caller comes first: what arrives is stamped, noted in the journal's buffer and passed on at
once.  After the response head a failure can only break the stream off: a broken provider must never
look like a clean end.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from functools import partial
from time import monotonic_ns

from aiohttp import web
from aiohttp.http import HttpVersion11, RawResponseMessage

from proxy.exchange import Outcome
from proxy.relay.answers import CLOSED, KEPT, error_answer
from proxy.relay.attempt import Attempt
from proxy.relay.failures import FAILURES
from proxy.relay.headers import Pairs, sort_response
from proxy.relay.http1 import AnswerHead, answer_head, framed, head, status_line


class CallerGone(ConnectionError):
    """The caller closed its connection; aiohttp ends a handler that raises a ConnectionError."""


class Call:
    """Answers one request with what `attempt` brings.  Made for one call, run once."""

    def __init__(
        self, request: web.BaseRequest, attempt: Attempt, *, stopping: asyncio.Event
    ) -> None:
        self._request = request
        self._attempt = attempt
        self._stopping = stopping  # the relay's: no connection outlives this call
        self._answer: AnswerHead | None = None
        self._unsent = b""  # the response head, which goes out with the first of the body

    async def run(self) -> web.StreamResponse:
        """Relay the call.  Cancelled, or raises ConnectionError, when the caller is gone."""
        try:
            return await self._relay()
        except (asyncio.CancelledError, CallerGone):
            self._abandon()
            raise
        finally:
            self._attempt.close()

    async def _relay(self) -> web.StreamResponse:
        attempt = self._attempt
        try:
            # A method would make a cycle of call and attempt, which only the collector can free.
            interim = partial(_send_interim, self._request)
            message, payload = await attempt.response(interim)
            answer = self._decide(message)
        except FAILURES as error:
            return await self._refuse(error)
        if message.code == 101:
            await self._write(b"", True)
            await attempt.tunnel(self._request.protocol, message)
            return CLOSED
        rest = await attempt.pass_on(payload, self._write, delimited=answer.delimited)
        if rest is None:
            return KEPT if answer.keep_alive else CLOSED
        self._cut(answer, rest)
        return CLOSED

    def _decide(self, message: RawResponseMessage) -> AnswerHead:
        """Make the head for the caller.  Raises BadHead if it cannot be passed on."""
        request, attempt = self._request, self._attempt
        keep_alive = request.keep_alive and not attempt.withheld and not self._stopping.is_set()
        self._answer = answer_head(
            message.code,
            message.reason,
            message.raw_headers,
            to_head=request.method == "HEAD",
            caller_11=request.version >= HttpVersion11,
            keep_alive=keep_alive,
        )
        self._unsent = self._answer.data
        attempt.accept(message)
        return self._answer

    # -- what the caller gets -------------------------------------------------------------------

    async def _write(self, chunk: bytes, last: bool) -> None:
        """Send a part of the body at the caller's pace, after the head if that is unsent."""
        data = framed(chunk, chunked=self._answer is not None and self._answer.chunked, last=last)
        if self._unsent:
            data, self._unsent = self._unsent + data, b""
        if not data:
            return
        start = monotonic_ns()
        try:
            await self._request.writer.write(data)
        except ConnectionError as error:
            raise CallerGone from error
        self._attempt.log.waited(monotonic_ns() - start)

    async def _refuse(self, error: Exception) -> web.StreamResponse:
        """Answer ourselves, since there is no response to pass on."""
        failed = await self._attempt.fail(error)
        return error_answer(
            failed.status,
            failed.kind,
            failed.message,
            bodyless=self._request.method == "HEAD",
            keep_alive=self._request.keep_alive and self._request.content.at_eof(),
        )

    def _cut(self, answer: AnswerHead, rest: bytes) -> None:
        """Send what arrived before upstream broke off, and a broken end."""
        transport = self._request.transport
        if transport is not None:
            transport.write(self._unsent + framed(rest, chunked=answer.chunked, last=False))
            self._break_off(transport)

    def _abandon(self) -> None:
        """End the attempt because the caller is gone, or else because this relay stops."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            self._attempt.abandon(Outcome.CLIENT_GONE, "ClientDisconnected")
        elif not self._attempt.abandon(Outcome.INTERRUPTED, "ShuttingDown"):
            self._break_off(transport)

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


def _send_interim(request: web.BaseRequest, code: int, reason: str, pairs: Pairs) -> None:
    """Send an interim head, if the caller's version of HTTP has such heads."""
    transport = request.transport
    if request.version >= HttpVersion11 and transport is not None:
        transport.write(head(status_line(code, reason), sort_response(pairs)))
