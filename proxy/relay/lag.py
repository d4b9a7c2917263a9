"""The lag of the relay's event loop: a delay that every caller shares.

A timer is set for a tenth of a second, and the time by which it fires late is counted.  Up to a
millisecond of that is the timer's own error: epoll(7) waits in whole milliseconds.
"""

import asyncio
from bisect import bisect_left

from proxy.journal.counters import LAG_BOUNDS_MS, LAG_COUNTS, LAG_SUM
from proxy.journal.journal import Journal

TICK_S = 0.1


class LoopLag:
    """Measures the running loop until `stop`, and adds to the counters of `journal`."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._set()

    def _set(self) -> None:
        self._due = self._loop.time() + TICK_S
        self._timer = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        late_us = max(0, round((self._loop.time() - self._due) * 1e6))
        counters = self._journal.counters  # another page after the directory was removed
        counters.add(LAG_COUNTS[bisect_left(LAG_BOUNDS_MS, late_us / 1000)])
        counters.add(LAG_SUM, late_us)
        self._set()

    def stop(self) -> None:
        """Stop measuring; call this before the journal is closed."""
        self._timer.cancel()
