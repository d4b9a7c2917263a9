"""A connection to a provider, established by whatever means; one call at a time uses it."""

import asyncio
import os
import select
import socket
from contextlib import suppress
from typing import Protocol

from proxy.network import keep_alive
from proxy.relay.parsing import HeadLimits, ResponseParser

SALVAGE_BYTES_MAX = 1024 * 1024  # read after a broken upload: the head and some of an early answer


class User(Protocol):
    """Who uses a connection.  Nothing here may raise."""

    def received(self, data: bytes) -> None: ...
    def lost(self, error: Exception | None) -> None: ...
    def pause_upload(self) -> None: ...
    def resume_upload(self) -> None: ...


class UpstreamConnection(asyncio.Protocol):
    """Takes over `transport`.  While nobody uses it, whatever arrives ends it."""

    __slots__ = (
        *("transport", "parser", "user", "writing_paused", "reading_paused", "closed"),
        *("idle_s", "idle_until"),
        *("_poll", "_spare_fd", "_fd"),
    )

    def __init__(self, transport: asyncio.Transport, limits: HeadLimits) -> None:
        self.transport = transport
        self.parser = ResponseParser(limits)
        self.user: User | None = None
        self.writing_paused = False
        self.reading_paused = False
        self.closed = False
        self.idle_s: float | None = None  # how long the provider keeps it when idle, if it says so
        self.idle_until = 0.0
        self._spare_fd = -1
        sock: socket.socket | None = transport.get_extra_info("socket")
        self._fd = -1 if sock is None else sock.fileno()
        self._poll = select.poll()
        if sock is not None:
            keep_alive(sock)
            self._poll.register(self._fd, select.POLLIN)
        transport.set_protocol(self)

    def has_news(self) -> bool:
        """Whether something arrived that the event loop has not seen: bytes, or the end."""
        return bool(self._poll.poll(0))

    def is_usable(self) -> bool:
        """Whether a request may be sent on it: it is open, and the provider has said nothing."""
        return not (self.closed or self.transport.is_closing() or self._poll.poll(0))

    def write(self, data: bytes, more: bytes = b"") -> None:
        """Send, unless the connection is closing, which its user will learn."""
        if not self.transport.is_closing():
            if more:
                self.transport.writelines((data, more))
            else:
                self.transport.write(data)

    def spare(self) -> None:
        """Keep a second descriptor: should an upload break, the answer can still be read."""
        plain = self.transport.get_extra_info("sslcontext") is None  # else only TLS could read it
        if plain and self._spare_fd < 0 and self._fd >= 0:
            with suppress(OSError):  # out of descriptors
                self._spare_fd = os.dup(self._fd)

    def unspare(self) -> None:
        """Give the second descriptor up: while it is open, the connection is."""
        if self._spare_fd >= 0:
            os.close(self._spare_fd)
            self._spare_fd = -1

    def pause_reading(self) -> None:
        if not (self.reading_paused or self.transport.is_closing()):
            self.reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> bool:
        """Whether it had been paused."""
        paused, self.reading_paused = self.reading_paused, False
        if paused and not self.transport.is_closing():
            self.transport.resume_reading()
        return paused

    def abort(self) -> None:
        """Close at once."""
        self.user = None
        self.unspare()
        self.transport.abort()

    # -- what the event loop calls --------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.user is None:
            self.abort()  # unrequested: it would be taken for the answer to the next call
        else:
            self.user.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        user = self.user
        if user is not None and self._spare_fd >= 0 and (rest := self._salvaged()):
            user.received(rest)
        self.unspare()
        user, self.user = self.user, None
        if user is not None:
            user.lost(exc)

    def pause_writing(self) -> None:
        self.writing_paused = True
        if self.user is not None:
            self.user.pause_upload()

    def resume_writing(self) -> None:
        self.writing_paused = False
        if self.user is not None:
            self.user.resume_upload()

    def _salvaged(self) -> bytes:
        """What the provider said before it broke the connection, and the loop never read."""
        data = b""
        with suppress(OSError):
            os.set_blocking(self._spare_fd, False)
            while len(data) < SALVAGE_BYTES_MAX and (more := os.read(self._spare_fd, 65_536)):
                data += more
        return data
