"""All callers' connections: which are idle, how many may be, and how long each may take.

A stranger may open many connections and send slowly, or nothing.  So a request head is limited in
time and size, and when there are too many idle connections, the one that has been idle longest is
closed; a call never is.  A new connection is fresh for a while and not closed: thousands of callers
may connect at once, and a busy one sends its requests much later.  Nor is one closed on which
something has arrived that the event loop has not read yet: that may be a request.
"""

import asyncio
import logging
import resource
import select
import traceback
from collections.abc import Iterable
from typing import Protocol

from proxy.relay.answers import error_answer
from proxy.relay.deadlines import Deadlines
from proxy.relay.parsing import HeadLimits
from proxy.relay.running import Running
from proxy.settings.config import CallerOptions

# How long a connection may stay idle before it may be closed to make room.  As nginx waits for the
# head of a request (client_header_timeout, https://nginx.org/en/docs/http/ngx_http_core_module.html).
FRESH_S = 60.0
IDLE_SHARE = 0.5  # of all descriptors; more idle connections are closed, however fresh
HEAD_TIMEOUT = "the request head did not arrive in time (callers.head_timeout_s)."

log = logging.getLogger(__name__)


class Connection(Protocol):
    """What is asked of a caller's connection; see `caller_connection`."""

    transport: asyncio.Transport
    running: Running | None

    def close(self) -> None: ...

    def turn_away(self, answer: bytes) -> None: ...


class Callers:
    """Knows what each connection is doing."""

    def __init__(self, limits: CallerOptions, head_limits: HeadLimits) -> None:
        self.head_limits = head_limits
        self.stopping = False  # from here on every response is the last on its connection
        self.connections: set[Connection] = set()
        self.running: set[Connection] = set()  # those with a call
        self.none_running = asyncio.Event()
        self.idle: dict[Connection, float] = {}  # since when; the longest idle comes first
        self.heads = Deadlines[Connection](limits.head_timeout_s, _too_slow)
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._waiting = Deadlines[Connection](limits.idle_timeout_s, self._idle_for_long)
        self._crowd = resource.getrlimit(resource.RLIMIT_NOFILE)[0] * IDLE_SHARE
        self._again: asyncio.TimerHandle | None = None

    # -- what connections report ----------------------------------------------------------------

    def came(self, connection: Connection) -> None:
        self.connections.add(connection)
        self.rest(connection)

    def rest(self, connection: Connection) -> None:
        """It waits for a request from now on."""
        self.idle[connection] = self._loop.time()
        self._waiting.touch(connection)
        waiting = len(self.idle)
        if waiting > self._crowd or (waiting > self._limits.idle_max and self._again is None):
            self._make_room()

    def busy(self, connection: Connection) -> None:
        """It does not wait for a request any more."""
        if self.idle.pop(connection, None) is not None:
            self._waiting.drop(connection)

    def began(self, connection: Connection) -> None:
        """It has a call."""
        self.running.add(connection)

    def ended(self, connection: Connection) -> None:
        """Its call is over."""
        self.running.discard(connection)
        if self.stopping and not self.running:
            self.none_running.set()

    def linger(self, connection: Connection, within_s: float) -> None:
        """It was answered, and closes when its caller does, or after a while."""
        self.ended(connection)
        self.idle[connection] = self._loop.time()  # it may be closed to make room
        self._loop.call_later(within_s, connection.close)

    def left(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.ended(connection)
        self.heads.drop(connection)
        if self.idle.pop(connection, None) is not None:
            self._waiting.drop(connection)

    def log_bug(self, error: BaseException) -> None:
        """Log where it happened, but not the exception's text: that may quote a header."""
        frame = traceback.extract_tb(error.__traceback__)[-1:]
        where = "".join(f" at {f.filename}:{f.lineno}" for f in frame)
        log.error("A call failed because of a bug in the relay: %s%s.", type(error).__name__, where)

    # -- room -----------------------------------------------------------------------------------

    def _make_room(self) -> None:
        """Close those that have been idle longest; look again later if too many are fresh."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        fresh, left, oldest = self._loop.time() - FRESH_S, len(self.idle), []
        for connection, since in self.idle.items():
            if left <= self._limits.idle_max or (since > fresh and left <= self._crowd):
                break
            oldest.append(connection)
            left -= 1
        for connection in _silent(oldest):
            del self.idle[connection]
            self._waiting.drop(connection)
            connection.close()
        if len(self.idle) > self._limits.idle_max:
            self._again = self._loop.call_later(FRESH_S, self._make_room)

    def _idle_for_long(self, connection: Connection) -> None:
        if _silent([connection]):
            connection.close()
        else:
            self._waiting.touch(connection)

    @property
    def unsent(self) -> bool:
        """Whether a caller has not taken everything that was written to it."""
        return any(c.transport.get_write_buffer_size() for c in self.connections)

    def stop(self) -> None:
        """Stop all clocks."""
        self.heads.stop()
        self._waiting.stop()
        if self._again is not None:
            self._again.cancel()


def _too_slow(connection: Connection) -> None:
    connection.turn_away(error_answer(408, "head_timeout", HEAD_TIMEOUT, keep_alive=False))


def _silent(connections: Iterable[Connection]) -> list[Connection]:
    """Those from which nothing has arrived, not even what the event loop has yet to read."""
    poll, at = select.poll(), dict[int, Connection]()
    for connection in connections:
        if not connection.transport.is_closing():  # else its descriptor may be another's by now
            fd: int = connection.transport.get_extra_info("socket").fileno()
            at[fd] = connection
            poll.register(fd, select.POLLIN)
    for fd, _ in poll.poll(0):
        del at[fd]
    return list(at.values())
