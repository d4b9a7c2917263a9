"""How many calls are in flight on this machine: begun and not ended, over all living relays.

Each relay counts its own in its page of counters, which others map.  So a relay knows the number at
each dispatch without a lock or a system call; once a second it looks who else is alive.
"""

import asyncio
import mmap
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from proxy.journal.counters import COUNTERS, open_calls, read_counters
from proxy.journal.segments import is_alive

LOOK_S = 1.0  # a relay that died, or began, is seen this late


class Counting(Protocol):
    """What is needed of this relay's `proxy.journal.journal.Journal`."""

    @property
    def writer(self) -> str: ...

    open_calls: int  # that have begun and not ended


class InFlight:
    """Counts for one relay; `calls` is the directory of all relays' journals.

    With a running loop it looks for others every `LOOK_S` until `stop`.
    """

    def __init__(self, calls: Path, journal: Counting) -> None:
        self._calls = calls
        self._journal = journal
        self._others: dict[int, memoryview] = {}  # the page of each, by the file's inode
        self._timer: asyncio.TimerHandle | None = None
        self._tick()

    def count(self) -> int:
        """Those that have begun and not ended now; an open socket is one."""
        calls = self._journal.open_calls
        for page in self._others.values():
            calls += open_calls(page)
        return calls

    def look(self) -> None:
        """Find the living relays; what cannot be read is left out.  Never raises."""
        found = {}
        for writer in living(self._calls):
            if writer.name != self._journal.writer:
                with suppress(OSError, ValueError):
                    page = writer / COUNTERS
                    inode = page.stat().st_ino
                    found[inode] = self._others.get(inode) or _mapped(page)
        self._others = found

    def stop(self) -> None:
        """Look no more; call this before the journal is closed."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self.look()
        with suppress(RuntimeError):  # no loop runs
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._tick)


def living(calls: Path) -> Iterator[Path]:
    """The directories of the journals whose relays are alive."""
    with suppress(OSError):
        yield from (writer for writer in calls.iterdir() if is_alive(writer))


def counted(calls: Path) -> int:
    """How many calls are in flight, as anybody may ask."""
    pages = [read_counters(writer) for writer in living(calls)]
    return sum(page["calls_begun"] - page["calls_ended"] for page in pages)


def _mapped(page: Path) -> memoryview:
    """Stays mapped for as long as it is referred to."""
    fd = os.open(page, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return memoryview(mmap.mmap(fd, mmap.PAGESIZE, prot=mmap.PROT_READ)).cast("Q")
    finally:
        os.close(fd)
