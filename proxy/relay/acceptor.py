"""Accepts connections on a listening socket that several processes share.

asyncio's own server accepts everything that waits each time it wakes up.  In a burst one process
would get all connections and keep them, since callers reuse them; this one takes a few at a time.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress

ACCEPTS_MAX = 4  # connections accepted before other processes get their turn
HANDSHAKE_S = 15.0  # for TLS
OPENING_MAX = 1000  # connections still in their handshake; beyond it the oldest is dropped
PAUSE_S = 1.0  # after accept(2) failed, as it does when there are no descriptors left

log = logging.getLogger(__name__)


class Acceptor:
    """Accepts on all of `listening`, which are non-blocking, until `stop`."""

    def __init__(
        self,
        listening: Sequence[socket.socket],
        protocol: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._listening = listening
        self._protocol = protocol
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._opening: dict[asyncio.Task[None], None] = {}  # oldest first
        self._paused: dict[socket.socket, asyncio.TimerHandle] = {}
        for sock in listening:
            self._listen(sock)

    async def stop(self) -> None:
        """Empty the queue, accept no more, and wait until every connection has its protocol.

        Who is in the queue believes to be connected, and would be reset.
        """
        for timer in self._paused.values():
            timer.cancel()
        for listening in self._listening:
            self._loop.remove_reader(listening)
            with suppress(OSError):
                while self._accept_one(listening):
                    pass
            listening.close()
        if self._opening:
            await asyncio.wait(self._opening)

    def _listen(self, listening: socket.socket) -> None:
        self._paused.pop(listening, None)
        self._loop.add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTS_MAX):
            try:
                if not self._accept_one(listening):
                    return
            except OSError as error:
                log.error("Cannot accept connections: %s.  Trying again in %g s.", error, PAUSE_S)
                self._loop.remove_reader(listening)
                self._paused[listening] = self._loop.call_later(PAUSE_S, self._listen, listening)
                return

    def _accept_one(self, listening: socket.socket) -> bool:
        """Whether there was a connection.  Raises OSError, as without free descriptors."""
        try:
            connection, _ = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False  # another process was faster, or the caller is already gone
        connection.setblocking(False)
        task = asyncio.create_task(self._open(connection))
        self._opening[task] = None
        task.add_done_callback(self._opened)
        if len(self._opening) > OPENING_MAX:
            next(iter(self._opening)).cancel()
        return True

    def _opened(self, task: asyncio.Task[None]) -> None:
        del self._opening[task]

    async def _open(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._protocol,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=HANDSHAKE_S if self._tls else None,
            )
        except OSError as error:  # among them a failed TLS handshake, which is the caller's affair
            log.debug("A connection failed to open: %s.", type(error).__name__)
