"""A WebSocket through the relay: frames pass unchanged, and a copy is read for the journal.

Masks, fragments, extensions, pings and close codes are between caller and provider; nothing is
answered or changed here.
"""

import asyncio
import os
from time import monotonic_ns
from typing import Protocol

from proxy.exchange import Kind, Outcome
from proxy.relay.turns import Turn
from proxy.relay.upstream_connection import UpstreamConnection
from proxy.relay.websocket import MessageReader, close_frame

GOING_AWAY = 1001  # https://www.iana.org/assignments/websocket
CLOSE_WAIT_S = 5.0  # for the last bytes to be sent, before the connection is aborted


class MessageLog(Protocol):
    """Where messages are recorded; `proxy.relay.call_log.CallLog` is one."""

    def message(self, kind: Kind, opcode: int, payload: bytes) -> None: ...
    def skipped(self, size: int) -> None: ...
    def waited(self, ns: int) -> None: ...
    def end(self, outcome: Outcome, error: str = "") -> None: ...
    def flush(self) -> None: ...


class Caller(Protocol):
    """The connection of a caller, which the tunnel takes over."""

    @property
    def transport(self) -> asyncio.Transport: ...
    def switch(self, tunnel: "Tunnel") -> bytes: ...  # returns frames that came early
    def left_tunnel(self) -> None: ...


class Switched(Protocol):
    """The attempt that was switched."""

    connection: UpstreamConnection | None

    @property
    def log(self) -> MessageLog: ...
    def close_switched(self) -> None: ...


def tunnel(caller: Caller, attempt: Switched, rest: bytes, *, deflate: bool) -> "Tunnel":
    """Pass frames both ways until one side closes, and record the end.

    `rest` are frames that came with the head.  If a close frame has passed, that is the regular
    end.
    """
    made = Tunnel(caller, attempt, deflate=deflate)
    early = caller.switch(made)
    if rest:
        made.received(rest)
    if early:
        made.caller_sent(early)
    return made


class Tunnel:
    """Takes the place of the call on the caller's side, and of the attempt on upstream's."""

    def __init__(self, caller: Caller, attempt: Switched, *, deflate: bool) -> None:
        assert attempt.connection is not None  # it has just switched
        self._caller = caller
        self._attempt = attempt
        self._connection = attempt.connection
        self._log = attempt.log
        self._up = _Direction(MessageReader(deflate=deflate), self._log, Kind.MESSAGE_UP)
        self._down = _Direction(MessageReader(deflate=deflate), self._log, Kind.MESSAGE_DOWN)
        self._paused_ns = 0
        self.ended = False
        attempt.connection.user = self

    # -- from the caller ------------------------------------------------------------------------

    def caller_sent(self, data: bytes) -> None:
        self._up.note(data)
        self._connection.write(data)

    def caller_left(self) -> None:
        self.end(Outcome.CLIENT_GONE, "ClientDisconnected")

    def pause_answer(self) -> None:
        """The caller takes no more for now."""
        self._paused_ns = monotonic_ns()
        self._connection.pause_reading()

    def resume_answer(self) -> None:
        self._log.waited(monotonic_ns() - self._paused_ns)
        self._connection.resume_reading()

    def cut_off(self) -> None:
        """The relay stops."""
        self.end(Outcome.INTERRUPTED, "ShuttingDown")

    # -- from upstream --------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        self._down.note(data)
        if not self._caller.transport.is_closing():
            self._caller.transport.write(data)

    def lost(self, error: Exception | None) -> None:
        self.end(Outcome.UPSTREAM_CUT, "ClosedWithoutCloseFrame")

    def pause_upload(self) -> None:
        self._caller.transport.pause_reading()

    def resume_upload(self) -> None:
        if not self._caller.transport.is_closing():
            self._caller.transport.resume_reading()

    # -- from ourselves -------------------------------------------------------------------------

    def watch(self, turn: Turn) -> None:
        """Have `turn` told of all messages."""
        self._up.turn = self._down.turn = turn

    def close(self, code: int, reason: str) -> None:
        """End it from the middle, with a close frame wherever one may stand (RFC 6455, 5.5.1)."""
        if self._down.messages.between_frames and not self._caller.transport.is_closing():
            self._caller.transport.write(close_frame(code, reason))
        if self._up.messages.between_frames:
            self._connection.write(close_frame(GOING_AWAY, "", os.urandom(4)))
        self.end(Outcome.OK, "")

    def end(self, outcome: Outcome, error: str) -> None:
        """Record the end, once, and close both connections once they sent what was written."""
        if self.ended:
            return
        self.ended = True
        if self._up.messages.closed or self._down.messages.closed:
            outcome, error = Outcome.OK, ""
        self._log.end(outcome, error)
        self._log.flush()
        for transport in (self._connection.transport, self._caller.transport):
            transport.close()
            asyncio.get_running_loop().call_later(CLOSE_WAIT_S, transport.abort)
        self._attempt.close_switched()
        self._caller.left_tunnel()


class _Direction:
    """Reads along in one direction."""

    def __init__(self, messages: MessageReader, log: MessageLog, kind: Kind) -> None:
        self.messages = messages
        self._log = log
        self._kind = kind
        self._readable = True
        self.turn: Turn | None = None

    def note(self, data: bytes) -> None:
        """Record the messages that the bytes complete."""
        if self._readable:
            self._read(data)
        else:
            self._log.skipped(len(data))
        self._log.flush()  # the peer may act on a message as soon as it has it

    def _read(self, data: bytes) -> None:
        skipped = self.messages.skipped_bytes
        try:
            for message in self.messages.feed(data):
                self._log.message(self._kind, message.opcode, message.payload)
                if self.turn is not None:
                    self.turn.note(self._kind, message.payload, monotonic_ns())
        except ValueError:  # unreadable frames are passed on all the same
            self._readable = False
            self._log.skipped(self.messages.unread_bytes)
        self._log.skipped(self.messages.skipped_bytes - skipped)
