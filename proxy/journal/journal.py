"""Appends what passes to files, so that a call outlives whatever happens to the processes.

One `Journal` is one writer: a directory of its own with numbered segments, a lock that it holds for
life (a free lock means that the writer is gone), and a page of counters that even a full disk can
take.  Frames are buffered and written in at most one system call per turn of the event loop.  No
method raises into a call.  While the disk refuses, frames that rows need and the bodies of small
calls are held in memory and written later; other bodies are dropped, counted, and reported once a
minute.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic, monotonic_ns

import msgspec

from proxy.exchange import Begun, Kind
from proxy.journal.complaint import Complaint
from proxy.journal.counters import CALLS_BEGUN, CALLS_ENDED, Counters
from proxy.journal.disk import Disk, running_loop
from proxy.journal.frames import FRAME_BYTES_MAX, HEADER_BYTES, packed
from proxy.journal.held import Buffer, Entry, Held
from proxy.journal.segment_writer import SegmentWriter
from proxy.journal.segments import Sizes
from proxy.settings.config import JournalOptions

BUFFER_BYTES_MAX = 1024 * 1024  # a fuller buffer is written at once
RETRY_S = 1.0  # after a failed write
UPKEEP_S = 1.0

# Names of their own: to look a member up in an Enum costs more than to append a frame.
_BEGUN, _ENDED = int(Kind.BEGUN), int(Kind.ENDED)
_encode = msgspec.json.Encoder().encode


class Journal:
    """The writer.  Used from one event loop, or from one thread without one.

    `directory` holds all writers; this one makes a directory there, after the writer `after` in
    their order.  Raises OSError if it cannot: a process without a journal should not start.
    """

    def __init__(self, directory: Path, name: str, limits: JournalOptions, after: str = "") -> None:
        self._limits = limits
        self._disk = Disk(self._unsynced)
        sync = limits.fsync != "never"
        self._files = SegmentWriter(directory, name, self._disk, sync=sync, after=after)
        self._call = 0
        self.open_calls = 0  # that have begun and not ended
        self._buffer = Buffer()
        self._held = Held(limits.total_bytes_max)  # frames that wait until writing works again
        self._lost: dict[int, int] = {}  # call → bytes dropped, until it ends
        self._blocked_until = 0.0
        self._sizes = Sizes(directory)
        self._total = 0  # bytes of all writers
        self._full = False
        self._complaint = Complaint(f"{directory.name}/{name}")
        self._scheduled = False
        self._closed = False
        self._timers: dict[str, asyncio.TimerHandle] = {}

    @property
    def writer(self) -> str:
        """The name of this writer's directory."""
        return self._files.writer

    @property
    def counters(self) -> Counters:
        """This writer's counters: another page after the directory was removed."""
        return self._files.counters

    @property
    def segment(self) -> int:
        """The number of the segment that the next frame goes to."""
        return self._files.segment

    # -- what a relay calls ---------------------------------------------------------------------

    def begin(self, begun: Begun) -> int:
        """Record that a call is about to be dispatched; returns its number for later frames."""
        self._call += 1
        self.open_calls += 1
        self._files.counters.values[CALLS_BEGUN] = self._call
        self.append(self._call, _BEGUN, _encode(begun))
        return self._call

    def append(self, call: int, kind: int, payload: bytes, at_ns: int | None = None) -> bool:
        """Buffer a frame.  False: it was dropped and counted (no room, or too large).

        Without its BEGUN a call is lost, and without its ENDED it will look interrupted, so these
        two are held before all others if they cannot be written.  A call that lost bytes in between
        still has its row, and `dropped` says how many bytes.
        """
        if at_ns is None:
            at_ns = monotonic_ns()
        if kind == _ENDED:
            self.open_calls -= 1
            self._files.counters.values[CALLS_ENDED] = self._call - self.open_calls
            if self._lost:
                self._lost.pop(call, None)
        size = len(payload)
        trouble = self._blocked_until or self._full or self._closed or self._held.entries
        if trouble or size > FRAME_BYTES_MAX:
            entry = Entry(kind, call, at_ns, payload)
            if size > FRAME_BYTES_MAX or not self._admits(entry):
                return self._hold(entry)
        buffer = self._buffer
        buffer.frames.append((kind, call, at_ns, payload))
        buffer.size += HEADER_BYTES + size
        if buffer.size >= BUFFER_BYTES_MAX:
            self.flush()
        elif not self._scheduled:
            self._schedule()
        return True

    def _admits(self, entry: Entry) -> bool:
        """Whether a frame may be written now; held frames go before it."""
        if not self.blocked and self._held:
            self._take_up()
        if self._held.blocks(entry.call):
            return False
        # At the limit, a call that is on disk may still end: else its segments are never freed.
        ending = entry.kind in (Kind.RESPONSE_HEAD, Kind.ENDED)
        return not self.blocked or (ending and not self._refused)

    @property
    def blocked(self) -> bool:
        """Whether frames cannot be written now: a write just failed, or the limit is reached."""
        return self._full or self._refused

    @property
    def _refused(self) -> bool:
        return self._closed or (self._blocked_until > 0 and monotonic() < self._blocked_until)

    def dropped(self, call: int) -> int:
        """Bytes of this call that passed and were not kept, so far."""
        return self._lost.get(call, 0)

    def forget(self, call: int) -> int:
        """Return what `dropped` returns, and forget it."""
        return self._lost.pop(call, 0)

    def flush(self) -> None:
        """Write what is buffered, in order.  Never raises; cheap when there is nothing."""
        self._scheduled = False
        if not self._buffer.frames:
            return
        try:
            written = self._files.write(packed(self._buffer.frames))
        except OSError as error:
            self._failed(error)
            return
        self._buffer.clear()
        self._blocked_until = 0.0
        self._measure(self._total + written)
        if self._files.size >= self._limits.segment_bytes_max:
            self._files.seal()

    def settle(self) -> Awaitable[None] | None:
        """Flush.  With `fsync = "always"`, returns what to await until it is on the disk.

        One sync serves many calls.
        """
        if self._limits.fsync == "always":
            return self.synced()
        self.flush()
        return None

    async def synced(self) -> None:
        """Flush, and wait until everything is on disk, unless `fsync` is "never"."""
        self.flush()
        if self._limits.fsync != "never":
            await self._disk.settled()

    def close(self) -> None:
        """Write what can be written, seal the segment, and free the lock."""
        if self._closed:
            return
        if not self._refused:
            self._take_up()
        self.flush()
        self._closed = True
        self._files.seal(at_once=True)
        for entry in self._held.take():
            self._drop(entry)
        self._complaint.speak()
        for timer in self._timers.values():
            timer.cancel()
        self._files.close()

    # -- the buffer -----------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Buffer the held frames: writing may work again."""
        for entry in self._held.take(begun_only=self._full):
            self._buffer.add(entry)

    def _hold(self, entry: Entry) -> bool:
        """Hold a frame in memory if there is room; else drop it."""
        kept = not self._closed and self._held.keep(entry, full=self._full)
        if not kept:
            self._drop(entry)
        elif not self._timers:
            self._schedule()  # so that writing is tried again
        if entry.kind == Kind.ENDED:
            self._lost.pop(entry.call, None)
        return kept

    def _drop(self, entry: Entry) -> None:
        size = len(entry.payload)
        self.counters.add("frames_dropped")
        self.counters.add("bytes_dropped", size)
        self._complaint.dropped(size)
        if entry.kind == Kind.BEGUN:
            self.counters.add("calls_lost")
        if entry.kind != Kind.ENDED:
            self._lost[entry.call] = self._lost.get(entry.call, 0) + size

    def _failed(self, error: OSError) -> None:
        """Hold what there is room for, and wait a little."""
        self.counters.add("write_errors")
        self._blocked_until = monotonic() + RETRY_S
        for entry in self._buffer.take():
            self._hold(entry)
        self._complaint.because(f"cannot write ({error.strerror})")

    def _unsynced(self, count: int) -> None:
        self.counters.add("write_errors", count)
        self._complaint.because(f"cannot sync to the disk ({count} errors)")

    # -- time -----------------------------------------------------------------------------------

    def _schedule(self) -> None:
        loop = running_loop()
        if loop is None:
            return
        self._scheduled = True
        loop.call_soon(self.flush)
        if not self._timers:
            self._later(loop, UPKEEP_S, self.upkeep)
            if self._limits.fsync == "interval":
                self._later(loop, self._limits.fsync_interval_s, self._disk.start)

    def _later(
        self, loop: asyncio.AbstractEventLoop, every_s: float, work: Callable[[], None]
    ) -> None:
        def tick() -> None:
            self._later(loop, every_s, work)
            work()

        self._timers[work.__name__] = loop.call_later(every_s, tick)

    def upkeep(self) -> None:
        """Once a second: replace removed files, seal an old segment, and check the total size."""
        self.flush()
        if self._files.is_removed():
            self._begin_anew()
        if self._files.age_s >= self._limits.segment_age_max_s:
            self._files.seal()
        self._measure(self._sizes.total())
        if self._held and not self._refused:
            self._take_up()
            self.flush()
        self._complaint.speak()

    def _measure(self, total: int) -> None:
        """Check the limit; what other writers add is only measured once a second."""
        self._total = total
        self._full = total >= self._limits.total_bytes_max
        if self._full:
            limit = self._limits.total_bytes_max
            self._complaint.because(f"full, at its limit of {limit:,} bytes")

    def _begin_anew(self) -> None:
        """Somebody removed our directory: make another, so that what comes next is kept."""
        self._complaint.because(f"directory {self.writer} was removed")
        try:
            self._files.begin_anew()
        except OSError as error:
            self._complaint.because(f"cannot make its directory again ({error.strerror})")
            self._blocked_until = monotonic() + RETRY_S
