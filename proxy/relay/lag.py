"""How late the relay's event loop comes to what is due: what every caller waits for.

A timer is set for a tenth of a second, and it is counted how much later it fires.  Up to a
millisecond of that is the timer's own: epoll(7) waits in whole milliseconds.
"""

import asyncio
from bisect import bisect_left

from proxy.journal.counters import LAG_BOUNDS_MS, LAG_COUNTS, LAG_SUM
from proxy.journal.journal import Journal

TICK_S = 0.1


class LoopLag:
    """Counts into the counters of `journal`, on the running loop, until `stop`."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._set()

    def _set(self) -> None:
        self._due = self._loop.time() + TICK_S
        self._timer = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        late_us = max(0, round((self._loop.time() - self._due) * 1e6))
        counters = self._journal.counters  # another page, after the directory was removed
        counters.add(LAG_COUNTS[bisect_left(LAG_BOUNDS_MS, late_us / 1000)])
        counters.add(LAG_SUM, late_us)
        self._set()

    def stop(self) -> None:
        """Before the journal is closed."""
        self._timer.cancel()
