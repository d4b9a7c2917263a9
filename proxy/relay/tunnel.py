"""A WebSocket through the relay: frames pass unchanged, and a copy is read for the journal.

Masks, fragments, extensions, pings and close codes are between caller and provider; nothing is
answered or changed here.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import monotonic_ns
from typing import Protocol

from aiohttp.base_protocol import BaseProtocol
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import StreamWriter
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import RequestHandler

from proxy.exchange import Kind, Outcome
from proxy.relay.websocket import MessageReader

CLOSE_WAIT_S = 5.0  # for the last bytes to be sent, before the connection is aborted


class MessageLog(Protocol):
    """Where messages are recorded; `proxy.relay.call_log.CallLog` is one."""

    def message(self, kind: Kind, opcode: int, payload: bytes) -> None: ...
    def skipped(self, size: int) -> None: ...
    def waited(self, ns: int) -> None: ...
    def end(self, outcome: Outcome, error: str = "") -> None: ...
    def flush(self) -> None: ...


async def tunnel(
    caller: RequestHandler, upstream: ResponseHandler, log: MessageLog, *, deflate: bool
) -> None:
    """Pass frames both ways until one side closes, and record the end.

    Cancelled when the caller closes.  If a close frame has passed, that is the regular end.
    """
    done = asyncio.Event()
    up = _Pipe(caller, upstream, MessageReader(deflate=deflate), log, Kind.MESSAGE_UP)
    down = _Pipe(upstream, caller, MessageReader(deflate=deflate), log, Kind.MESSAGE_DOWN)
    down.at_end = done.set
    outcome, error = Outcome.UPSTREAM_CUT, "ClosedWithoutCloseFrame"
    try:
        # aiohttp expects its own frame parser here, but only calls feed_data and feed_eof.
        upstream.set_parser(down, EMPTY_PAYLOAD)
        caller.set_parser(up)  # type: ignore[arg-type]
        if not upstream.is_connected():
            down.feed_eof()
        await done.wait()
    except asyncio.CancelledError:
        outcome, error = Outcome.CLIENT_GONE, "ClientDisconnected"
        if caller.transport is not None and not caller.transport.is_closing():
            outcome, error = Outcome.INTERRUPTED, "ShuttingDown"
        raise
    finally:
        if up.messages.closed or down.messages.closed:
            outcome, error = Outcome.OK, ""
        up.stop()
        down.stop()
        log.end(outcome, error)
        log.flush()


class _Pipe:
    """One direction.  Stands in for aiohttp's frame parser, which a protocol feeds."""

    def __init__(
        self,
        source: BaseProtocol,
        sink: BaseProtocol,
        messages: MessageReader,
        log: MessageLog,
        kind: Kind,
    ) -> None:
        self.messages = messages
        self.at_end: Callable[[], None] | None = None
        self._source = source
        self._sink = sink
        self._log = log
        self._kind = kind
        self._readable = True
        self._waiting: asyncio.Task[None] | None = None

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Record the messages that the bytes complete, then pass the bytes on."""
        if self._readable:
            self._note(data)
        else:
            self._log.skipped(len(data))
        self._log.flush()  # the peer may act on a message as soon as it has it
        transport = self._sink.transport
        if transport is not None and not transport.is_closing():
            transport.write(data)
            if self._sink.writing_paused and self._waiting is None and self._source.transport:
                self._source.transport.pause_reading()
                self._waiting = asyncio.create_task(self._resume())
        return False, b""

    def feed_eof(self) -> None:
        if self.at_end is not None:
            self.at_end()

    def stop(self) -> None:
        """Close the sink once it has sent what was written, or after `CLOSE_WAIT_S`."""
        if self._waiting is not None:
            self._waiting.cancel()
        transport = self._sink.transport
        if transport is not None:
            transport.close()
            asyncio.get_running_loop().call_later(CLOSE_WAIT_S, transport.abort)

    def _note(self, data: bytes) -> None:
        skipped = self.messages.skipped_bytes
        try:
            for message in self.messages.feed(data):
                self._log.message(self._kind, message.opcode, message.payload)
        except ValueError:  # unreadable frames are passed on all the same
            self._readable = False
            self._log.skipped(self.messages.unread_bytes)
        self._log.skipped(self.messages.skipped_bytes - skipped)

    async def _resume(self) -> None:
        """Resume reading once the sink has sent what it has."""
        start = monotonic_ns()
        with suppress(ConnectionError):  # the sink is gone, which is handled elsewhere
            await StreamWriter(self._sink, asyncio.get_running_loop()).drain()
        if self._kind is Kind.MESSAGE_DOWN:
            self._log.waited(monotonic_ns() - start)
        self._waiting = None
        if self._source.transport is not None:
            self._source.transport.resume_reading()
