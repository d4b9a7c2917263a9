"""Accepts connections on a listening socket that several processes share.

asyncio's own server accepts everything that waits each time it wakes up.  In a burst one process
would get all connections and keep them, since callers reuse them; this one takes a few at a time.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

ACCEPTS_MAX = 4  # connections accepted before other processes get their turn
HANDSHAKE_S = 15.0  # for TLS
OPENING_MAX = 1000  # connections still in their handshake; beyond it the oldest is dropped
PAUSE_S = 1.0  # after accept(2) failed, as it does when there are no descriptors left

log = logging.getLogger(__name__)


class Acceptor:
    """Accepts on `listening`, which is non-blocking, until `stop`."""

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._listening = listening
        self._protocol = protocol
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._opening: dict[asyncio.Task[None], None] = {}  # oldest first
        self._pause: asyncio.TimerHandle | None = None
        self._listen()

    async def stop(self) -> None:
        """Accept no more, and wait until every accepted connection has its protocol."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()
        if self._opening:
            await asyncio.wait(self._opening)

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_MAX):
            try:
                connection, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return  # another process was faster, or the caller is already gone
            except OSError as error:
                log.error("Cannot accept connections: %s.  Trying again in %g s.", error, PAUSE_S)
                self._loop.remove_reader(self._listening)
                self._pause = self._loop.call_later(PAUSE_S, self._listen)
                return
            connection.setblocking(False)
            task = asyncio.create_task(self._open(connection))
            self._opening[task] = None
            task.add_done_callback(self._opened)
            if len(self._opening) > OPENING_MAX:
                next(iter(self._opening)).cancel()

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
