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
http_error                  nothing; unknown if its body states usage
any other, without a head   unknown; the receipt has what the request costs by its counted tokens
any other                   what was seen, as a lower bound; unknown if nothing was

The caller comes first: what arrives is stamped, noted in the journal's buffer and passed on at
once.  After the response head a failure can only break the stream off: a broken provider must never
look like a clean end.
"""

import socket
import struct
from contextlib import suppress
from time import monotonic_ns
from typing import Protocol

from aiohttp.http import HttpVersion11, RawRequestMessage, RawResponseMessage

from proxy.exchange import Outcome
from proxy.relay import tunnel
from proxy.relay.attempt import Attempt
from proxy.relay.call_log import CallLog
from proxy.relay.failures import BadRequestBody
from proxy.relay.fields import Pairs
from proxy.relay.guard import Guard
from proxy.relay.headers import RequestHeaders, sort_response
from proxy.relay.http1 import AnswerHead, answer_head, framed, head, status_line
from proxy.relay.receiver import Answerable
from proxy.relay.services import Services
from proxy.relay.upload import Upload
from proxy.relay.upstream import Address

UNSENT_BYTES_MAX = 64 * 1024  # of a request body while there is no connection yet; at most twice


class Caller(tunnel.Caller, Protocol):
    """The connection of a caller, as its call uses it."""

    request_whole: bool  # the request has arrived to its end

    @property
    def stopping(self) -> bool: ...  # the relay's: no connection outlives this call
    def write(self, data: bytes) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def lasts(self) -> None: ...  # the answer has begun and takes a while
    def answered(self, *, keep_alive: bool) -> None: ...  # the answer was written to its end
    def broken_off(self) -> None: ...  # the answer has no end
    def crashed(self, error: Exception) -> None: ...


class Call:
    """Answers one request with what its attempt brings."""

    __slots__ = (
        *("caller", "_request", "_attempt", "_services", "_answer", "_unsent", "_final"),
        *("_keep_alive", "_held", "_paused_ns", "_tunnelled", "_guard"),
    )

    def __init__(  # noqa: PLR0917 — for each call, keywords would be made into a dict
        self,
        caller: Caller,
        request: RawRequestMessage,
        headers: RequestHeaders,
        target: str,
        address: Address,
        log: CallLog,
        services: Services,
        started_ns: int,
        guard: Guard | None = None,
    ) -> None:
        self.caller = caller
        self._guard = guard  # None: no budget is about this call
        self._request = request
        self._services = services
        upload = Upload(request, headers, target, log, self)
        self._attempt = Attempt(self, upload, address, log, services, started_ns)
        self._answer: AnswerHead | None = None
        self._unsent = b""  # the response head, which goes out with the first of the body
        self._final = b""  # the last bytes, which wait for the journal
        self._keep_alive = False
        self._held = False  # the caller was asked to wait, for want of a connection
        self._paused_ns = 0  # since when the caller takes nothing; 0: it does
        self._tunnelled = False

    # -- what the caller does -------------------------------------------------------------------

    def begin(self) -> None:
        """Dispatch the call once the journal has its beginning, and its budgets let it pass."""
        if self._guard is None:
            self._services.settling.then(self._attempt.dispatch)
        else:
            self._guard.begin(self._attempt, self)

    def upload(self, data: bytes, last: bool) -> None:
        """A part of the request body arrived, or its end."""
        self._attempt.send(data, last)
        if (self._guard is not None and self._guard.arrived(last)) or last or self._held:
            return
        if self._attempt.upload.unsent_bytes > UNSENT_BYTES_MAX:
            self._held = True
            self.caller.pause_reading()

    def body_broke(self) -> None:
        """The request body broke its own framing."""
        self._attempt.break_off(BadRequestBody())

    def give_up(self, outcome: Outcome, error: str) -> None:  # and write nothing more
        self._attempt.abandon(outcome, error)

    def caller_left(self) -> None:
        """The caller closed its connection."""
        self._attempt.abandon(Outcome.CLIENT_GONE, "ClientDisconnected")

    def cut_off(self) -> None:
        """The relay stops: break the call off, unless it is only the caller who still reads."""
        if not self._attempt.log.ended:
            self._attempt.abandon(Outcome.INTERRUPTED, "ShuttingDown")
            self._break_off()

    def pause_answer(self) -> None:
        """The caller takes no more for now."""
        self._paused_ns = monotonic_ns()
        self._attempt.pause_reading()

    def resume_answer(self) -> None:
        if self._paused_ns:
            self._attempt.log.waited(monotonic_ns() - self._paused_ns)
            self._paused_ns = 0
        self._attempt.resume_reading()

    # -- what the attempt brings ----------------------------------------------------------------

    def interim(self, code: int, reason: str, pairs: Pairs) -> None:
        """Send an interim head, if the caller's version of HTTP has such heads."""
        if self._request.version >= HttpVersion11:
            self.caller.write(head(status_line(code, reason), sort_response(pairs).fields))

    def tell_to_continue(self) -> None:
        """Answer 100 to a caller that waits for it."""
        self.interim(100, "Continue", ())

    def head(self, message: RawResponseMessage) -> bool:
        """Make the head for the caller.  Raises BadHead if it cannot be passed on."""
        answer = self._decide(message)
        self._unsent = answer.data
        if answer.idle_s is not None and self._attempt.connection is not None:
            self._attempt.connection.idle_s = answer.idle_s
        del self._request  # whose head nobody needs for as long as the answer takes
        return answer.delimited

    def _decide(self, message: RawResponseMessage) -> AnswerHead:
        request, upload, caller = self._request, self._attempt.upload, self.caller
        # An error during the upload ends it, and what else the caller sends is no request.
        refuses = message.code >= 400 and not caller.request_whole
        keep_alive = not (request.should_close or upload.withheld or caller.stopping or refuses)
        answer = answer_head(
            message.code, message.reason, message.raw_headers, to_head=request.method == "HEAD",
            caller_11=request.version >= HttpVersion11, keep_alive=keep_alive,
        )  # fmt: skip
        self._answer = answer
        self._keep_alive = answer.keep_alive
        return answer

    def body(self, data: bytes, last: bool) -> None:
        """Send a part of the body, after the head if that is unsent; the last bytes later."""
        answer = self._answer
        assert answer is not None  # `head` came before
        if answer.chunked:
            data = framed(data, chunked=True, last=last)
        if self._unsent:
            data, self._unsent = self._unsent + data, b""
            if not last:
                self.caller.lasts()
        if last:
            self._final = data
            self._services.settling.then(self._finish)
        elif data:
            self.caller.write(data)

    def refused(self, failed: Answerable) -> None:
        """Answer ourselves, since there is no response to pass on."""
        self._keep_alive = not self._request.should_close and self.caller.request_whole
        self._final = failed.answer(
            bodyless=self._request.method == "HEAD", keep_alive=self._keep_alive
        )
        self._services.settling.then(self._finish)

    def _finish(self) -> None:
        """Hand the last bytes over: the journal has the end."""
        data, self._final = self._final, b""
        if data:
            self.caller.write(data)
        del self._attempt  # which refers to us: without a circle, all of a call is freed at once
        self.caller.answered(keep_alive=self._keep_alive)

    def cut(self, rest: bytes) -> None:
        """Send what arrived before upstream broke off, and a broken end."""
        answer = self._answer
        assert answer is not None  # `head` came before
        if data := self._unsent + framed(rest, chunked=answer.chunked, last=False):
            self.caller.write(data)
        self._break_off()

    def _break_off(self) -> None:
        """End the caller's stream so that it cannot be taken for a whole one."""
        transport = self.caller.transport
        if self._answer is not None and not self._answer.framed:
            connection: socket.socket | None = transport.get_extra_info("socket")
            if connection is not None:  # a close would be a clean end here: reset instead
                linger = struct.pack("ii", 1, 0)
                with suppress(OSError):
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            transport.abort()
        self.caller.broken_off()

    def switched(self, message: RawResponseMessage, rest: bytes) -> None:
        """Upstream switched to WebSocket: pass frames both ways until one side closes."""
        self.caller.write(self._decide(message).data)
        self._tunnelled = True
        extensions = message.headers.get("Sec-WebSocket-Extensions", "")
        deflate = "permessage-deflate" in extensions
        made = tunnel.tunnel(self.caller, self._attempt, rest, deflate=deflate)
        if self._guard is not None:
            self._guard.switched(made)

    def failed(self, error: Exception) -> None:
        """A bug of ours."""
        self.caller.crashed(error)

    def pause_caller(self) -> None:
        """Upstream takes no more of the request body for now."""
        self.caller.pause_reading()

    def resume_caller(self) -> None:
        self._held = False
        self.caller.resume_reading()
