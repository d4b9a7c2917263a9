"""Connections to providers that wait for their next call.

A provider may close an idle connection at any moment, and a request that meets the close half-way
may or may not have been served: it cannot be repeated.  So a connection idles for less time than
any known provider allows, or for as long as this one says, and is looked at before it is used.
"""

import asyncio
from collections.abc import Callable, Hashable

from proxy.relay.upstream_connection import UpstreamConnection

IDLE_S = 4.0  # where the provider does not say: the shortest known limit is 5 s (Node's, uvicorn's)
IDLE_SHARE = 0.8  # of what the provider says: its clock started half a round trip earlier
IDLE_MAX_S = 60.0
SWEEP_S = 1.0


class Pool:
    """Idle connections by address, the latest used first.  `stale` is told of each that died."""

    def __init__(self, stale: Callable[[], None]) -> None:
        self._stale = stale
        self._idle: dict[Hashable, list[UpstreamConnection]] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def take(self, address: Hashable) -> UpstreamConnection | None:
        """A connection to use now, if there is one that is open as far as anybody can see."""
        waiting = self._idle.get(address)
        while waiting:
            connection = waiting.pop()
            if connection.closed:
                self._stale()
                continue
            if connection.idle_until > self._loop.time():
                if connection.is_usable():
                    return connection
                self._stale()
            connection.abort()
        return None

    def put(self, address: Hashable, connection: UpstreamConnection) -> None:
        """Keep it for a while."""
        idle_s = IDLE_S
        if connection.idle_s is not None:
            idle_s = min(connection.idle_s * IDLE_SHARE, IDLE_MAX_S)
        if not idle_s:
            connection.abort()
            return
        connection.idle_until = self._loop.time() + idle_s
        self._idle.setdefault(address, []).append(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(SWEEP_S, self._sweep)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for waiting in self._idle.values():
            for connection in waiting:
                connection.abort()
        self._idle.clear()

    def _sweep(self) -> None:
        """Close those whose time is over."""
        self._timer, now = None, self._loop.time()
        for address, waiting in list(self._idle.items()):
            kept = []
            for connection in waiting:
                if connection.closed:
                    self._stale()
                elif connection.idle_until > now:
                    kept.append(connection)
                else:
                    connection.abort()
            self._idle[address] = kept
            if not kept:
                del self._idle[address]
        if self._idle:
            self._timer = self._loop.call_later(SWEEP_S, self._sweep)
