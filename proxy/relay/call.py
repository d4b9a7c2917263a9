"""One call as its caller sees it: the request, the answer, and how the answer ends.

STATE TABLE

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
            # Not a method of ours: the attempt keeps it, and a cycle would have to be collected.
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
        stays = request.keep_alive and not attempt.withheld and not self._stopping.is_set()
        self._answer = answer_head(
            message.code,
            message.reason,
            message.raw_headers,
            to_head=request.method == "HEAD",
            caller_11=request.version >= HttpVersion11,
            keep_alive=stays,
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
