"""Appends what passes to files, so that a call outlives whatever happens to the processes.

One `Journal` is one writer: a directory of its own with numbered segments, a lock that it holds for
its life (free lock: the writer is gone), and a page of counters that even a full disk can take.
Frames are buffered and written in one system call a loop turn at most.  Nothing here raises into a
call.  While the disk refuses, the few small frames that a call's row cannot do without are held in
memory and written later; bodies are dropped, counted, and complained of once a minute.
"""

import asyncio
import fcntl
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, monotonic_ns

import msgspec

from proxy.exchange import Begun, Kind
from proxy.journal.complaint import Complaint
from proxy.journal.counters import COUNTERS, Counters
from proxy.journal.disk import Disk, running_loop, write_buffers
from proxy.journal.frames import FRAME_BYTES_MAX, MAGIC, SEAL, header
from proxy.journal.held import Buffer, Entry, Held
from proxy.journal.segments import LOCK, Sizes, segment_name, writer_name
from proxy.settings.config import JournalOptions

BUFFER_BYTES_MAX = 1024 * 1024  # written at once when the buffer is this full
RETRY_S = 1.0  # after a failed write
UPKEEP_S = 1.0

_encode = msgspec.json.Encoder().encode


class Journal:
    """The writer.  Used from one event loop, or from one thread without one.

    `directory` holds all writers; this one makes a directory there, named by `writer_name`.
    Raises OSError if that cannot be made: a process that cannot begin a journal should not start.
    """

    def __init__(self, directory: Path, name: str, limits: JournalOptions, after: str = "") -> None:
        self._limits = limits
        self._parent = directory
        self._name = name
        self.writer = writer_name(directory, name, after)
        self._path = directory / self.writer
        self._make_directory()
        self._fd = -1
        self._number = 0
        self._size = 0
        self._opened = 0.0
        self._call = 0
        self._buffer = Buffer()
        self._held = Held()  # those that wait until writing works again
        self._lost: dict[int, int] = {}  # call → bytes dropped, until it ends
        self._blocked_until = 0.0
        self._sizes = Sizes(directory)
        self._total = 0  # bytes of all writers
        self._full = False
        self._complaint = Complaint(f"{directory.name}/{name}")
        self._scheduled = False
        self._closed = False
        self._disk = Disk(self._unsynced)
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def _make_directory(self) -> None:
        """Create the writer's directory under a hidden name, and show it once it is locked."""
        self._parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        hidden = self._parent / f".{self.writer}"
        hidden.mkdir(mode=0o700)
        lock = os.open(hidden / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            counters = Counters(hidden / COUNTERS)
            hidden.rename(self._path)
        except OSError:
            os.close(lock)
            shutil.rmtree(hidden, ignore_errors=True)
            raise
        self._lock, self.counters = lock, counters

    # -- what a relay calls ---------------------------------------------------------------------

    def begin(self, begun: Begun) -> int:
        """Note that a call is about to be dispatched; its number names it in every later frame."""
        self._call += 1
        self.counters.add("calls_begun")
        self.append(self._call, Kind.BEGUN, _encode(begun))
        return self._call

    def append(self, call: int, kind: int, payload: bytes, at_ns: int | None = None) -> bool:
        """Buffer a frame.  False: it was dropped and counted (no room, too large).

        A call that lost its BEGUN is lost, one that lost its ENDED will look interrupted: both are
        rather held.  One that lost bytes in between is recorded, and `dropped` says how many.
        """
        entry = Entry(kind, call, monotonic_ns() if at_ns is None else at_ns, payload)
        if kind == Kind.ENDED:
            self.counters.add("calls_ended")
            self._lost.pop(call, None)
        if len(payload) > FRAME_BYTES_MAX or not self._admits(entry):
            return self._hold(entry)
        self._buffer.add(entry)
        if self._buffer.size >= BUFFER_BYTES_MAX:
            self.flush()
        elif not self._scheduled:
            self._schedule()
        return True

    def _admits(self, entry: Entry) -> bool:
        """Whether a frame may be written now; what was held goes before it."""
        if not self.blocked and self._held:
            self._take_up()
        if self._held.blocks(entry.call):
            return False
        # At the limit, calls that are on disk may end: only then they let go of their segments.
        ending = entry.kind in (Kind.RESPONSE_HEAD, Kind.ENDED)
        return not self.blocked or (ending and not self._refused)

    @property
    def blocked(self) -> bool:
        """Whether frames have no chance at the moment: a write just failed, or the limit holds."""
        return self._full or self._refused

    @property
    def _refused(self) -> bool:
        return self._closed or (self._blocked_until > 0 and monotonic() < self._blocked_until)

    def dropped(self, call: int) -> int:
        """Bytes of this call that passed but could not be kept, so far."""
        return self._lost.get(call, 0)

    def forget(self, call: int) -> int:
        """What `dropped` says, for the last time."""
        return self._lost.pop(call, 0)

    def flush(self) -> None:
        """Write what is buffered, in order.  Never raises; cheap when there is nothing."""
        self._scheduled = False
        if not self._buffer.entries:
            return
        start = 0
        try:
            self._open_segment()
            start = self._size
            self._size += write_buffers(self._fd, self._buffer.parts)
            if self._limits.fsync != "never":
                self._disk.wrote(self._fd)
            self._buffer.clear()
            self._measure(self._total + self._size - start)
        except OSError as error:
            self._failed(error, start)
        if self._fd >= 0 and self._size >= self._limits.segment_bytes_max:
            self._seal()

    async def settle(self) -> None:
        """Flush; with `fsync = "always"` return once the disk has it (one sync serves many)."""
        if self._limits.fsync == "always":
            await self.synced()
        else:
            self.flush()

    async def synced(self) -> None:
        """Flush, and return once the disk has everything, whatever `fsync` says but "never"."""
        self.flush()
        if self._limits.fsync != "never":
            await self._disk.settled()

    @property
    def segment(self) -> int:
        """The number of the segment that the next frame goes to."""
        return self._number if self._fd >= 0 else self._number + 1

    def close(self) -> None:
        """Seal the segment and free the lock: the writer is gone from here on."""
        if self._closed:
            return
        if not self._refused:
            self._take_up()
        self.flush()
        self._closed = True
        self._seal()
        for entry in self._held.take():
            self._drop(entry)
        self._complaint.speak()
        for timer in self._timers.values():
            timer.cancel()
        self.counters.close()
        os.close(self._lock)

    # -- the buffer -----------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Writing may work again: what was held goes first."""
        for entry in self._held.take(begun_only=self._full):
            self._buffer.add(entry)

    def _hold(self, entry: Entry) -> bool:
        """Keep a frame in memory, if a row needs it and there is room; else it is dropped."""
        kept = not self._closed and self._held.keep(entry)
        if not kept:
            self._drop(entry)
        elif not self._timers:
            self._schedule()  # so that somebody tries again
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

    # -- files ----------------------------------------------------------------------------------

    def _open_segment(self) -> None:
        if self._fd >= 0:
            return
        path = self._path / segment_name(self._number + 1)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)
        self._number += 1
        self._size = 0
        self._buffer.parts.insert(0, MAGIC)
        self._opened = monotonic()
        self.counters.add("segments")

    def _failed(self, error: OSError, start: int) -> None:
        """Cut the segment back to whole frames, hold what a row needs, and wait a little."""
        self.counters.add("write_errors")
        self._complaint.because(f"it cannot be written ({error.strerror})")
        self._blocked_until = monotonic() + RETRY_S
        if self._fd >= 0:
            with suppress(OSError):
                os.ftruncate(self._fd, start)
            self._retire_fd()
        entries = list(self._buffer.entries)
        self._buffer.clear()
        for entry in entries:
            self._hold(entry)

    def _seal(self) -> None:
        if self._fd < 0:
            return
        with suppress(OSError):  # without a seal the next segment, or the free lock, says the same
            os.write(self._fd, header(SEAL, 0, monotonic_ns(), b""))
        self._retire_fd()

    def _retire_fd(self) -> None:
        fd, self._fd = self._fd, -1
        self._disk.release(fd, at_once=self._closed)

    def _unsynced(self, count: int) -> None:
        self.counters.add("write_errors", count)
        self._complaint.because(f"it could not be synced to the disk ({count} errors)")

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
        """Once a second: seal what is old, begin anew if the files were removed, mind the total."""
        self.flush()
        if not os.path.exists(self._path / LOCK):
            self._begin_anew()
        if self._fd >= 0 and monotonic() - self._opened >= self._limits.segment_age_max_s:
            self._seal()
        self._measure(self._sizes.total())
        if self._held and not self._refused:
            self._take_up()
            self.flush()
        self._complaint.speak()

    def _measure(self, total: int) -> None:
        """Mind the limit; what others write is known once a second only."""
        self._total = total
        self._full = total >= self._limits.total_bytes_max
        if self._full:
            limit = self._limits.total_bytes_max
            self._complaint.because(f"it is full, with all that it may hold: {limit:,} bytes")

    def _begin_anew(self) -> None:
        """Somebody removed our directory: make another, so that what comes next is kept.

        Under its name if it is gone whole: a reader that has its last file open misses nothing.
        """
        self._complaint.because(f"its directory {self._path.name} was removed")
        if self._fd >= 0:
            self._retire_fd()
        if self._path.exists():
            self.writer = writer_name(self._parent, self._name, self.writer)
            self._path = self._parent / self.writer
        counts = self.counters.read()
        old_lock, old_counters = self._lock, self.counters
        try:
            self._make_directory()
        except OSError as error:
            self._complaint.because(f"its directory cannot be made again ({error.strerror})")
            self._blocked_until = monotonic() + RETRY_S
            return
        os.close(old_lock)
        old_counters.close()
        for name, value in counts.items():
            self.counters.add(name, value)
