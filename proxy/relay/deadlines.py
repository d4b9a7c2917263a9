"""Who was silent for too long: one timer for all connections that wait equally long."""

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Waits(Protocol):
    """Something that is told itself."""

    def overdue(self) -> None: ...


class Deadlines(Generic[T]):
    """Calls `overdue` for whatever was watched and not touched for `after_s`, once."""

    def __init__(self, after_s: float, overdue: Callable[[T], None]) -> None:
        self._after_s = after_s
        self._overdue = overdue
        self._loop = asyncio.get_running_loop()
        self._since: dict[T, float] = {}  # the longest silent comes first
        self._timer: asyncio.TimerHandle | None = None

    def touch(self, watched: T) -> None:
        """Watch it from now on, whether it was watched before or not."""
        since = self._since
        since.pop(watched, None)
        since[watched] = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._after_s, self._look)

    def drop(self, watched: T) -> None:
        """Watch it no more."""
        self._since.pop(watched, None)

    def stop(self) -> None:
        """Watch nothing any more."""
        self._since.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        late = self._loop.time() - self._after_s + 0.001  # the clock of a timer is a coarse one
        while self._since:
            watched, since = next(iter(self._since.items()))
            if since > late:
                self._timer = self._loop.call_at(since + self._after_s, self._look)
                return
            del self._since[watched]
            self._overdue(watched)
