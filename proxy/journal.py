"""Appends what passes to files, so that a call outlives whatever happens to the processes.

One `Journal` is one writer: a directory of its own with numbered segments, a lock that it holds for
its life (free lock: the writer is gone), and a page of counters that even a full disk can take.
Frames are buffered and written in one system call a loop turn at most.  Nothing here raises into a
call: a frame that cannot be written is dropped and counted, and writing is tried again.
"""

import asyncio
import fcntl
import logging
import os
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, monotonic_ns

import msgspec

from proxy.config import JournalLimits
from proxy.counters import COUNTERS, Counters
from proxy.exchange import Begun, Kind
from proxy.frames import FRAME_BYTES_MAX, MAGIC, SEAL, header

log = logging.getLogger(__name__)

BUFFER_BYTES_MAX = 1024 * 1024  # written at once when the buffer is this full
IOV_MAX = 1000  # buffers in one writev(2); Linux takes 1024
RETRY_S = 1.0  # after a failed write
LOCK = "lock"

_encode = msgspec.json.Encoder().encode


def segment_name(number: int) -> str:
    return f"{number:010}.seg"


class Journal:
    """The writer.  Used from one event loop, or from one thread without one.

    `directory` holds all writers; this one makes `directory/<start time>-<name>-<random>/`.
    Raises OSError if that cannot be made: a process that cannot begin a journal should not start.
    """

    def __init__(self, directory: Path, name: str, limits: JournalLimits) -> None:
        self._limits = limits
        self._parent = directory
        self.writer = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{name}-{secrets.token_hex(3)}"
        self._path = directory / self.writer
        self._make_directory()
        self._fd = -1
        self._number = 0
        self._size = 0
        self._opened = 0.0
        self._call = 0
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._kinds: list[tuple[int, int, int]] = []  # (kind, call, payload bytes) of the buffer
        self._lost: dict[int, int] = {}  # call → bytes dropped, until it ends
        self._blocked_until = 0.0
        self._full = False
        self._scheduled = False
        self._closed = False
        self._dirty: set[int] = set()  # descriptors with bytes not yet synced
        self._syncing: asyncio.Future[int] | None = None
        self._ticker: asyncio.TimerHandle | None = None

    def _make_directory(self) -> None:
        """Create the writer's directory under a hidden name, and show it once it is locked."""
        self._parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        hidden = self._parent / f".{self.writer}"
        hidden.mkdir(mode=0o700)
        self._lock = os.open(hidden / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.counters = Counters(hidden / COUNTERS)
        hidden.rename(self._path)

    # -- what a relay calls ---------------------------------------------------------------------

    def begin(self, begun: Begun) -> int:
        """Note that a call is about to be dispatched; its number names it in every later frame."""
        self._call += 1
        self.counters.add("calls_begun")
        self.append(self._call, Kind.BEGUN, _encode(begun))
        return self._call

    def append(self, call: int, kind: int, payload: bytes, at_ns: int | None = None) -> bool:
        """Buffer a frame.  False: it was dropped and counted (no room, too large).

        A call that lost its BEGUN or its ENDED is lost or will look interrupted; one that lost
        bytes in between is still recorded, and `dropped` says how many.
        """
        blocked = self._full or (self._blocked_until and monotonic() < self._blocked_until)
        if blocked or self._closed or len(payload) > FRAME_BYTES_MAX:
            self._drop(kind, call, len(payload))
            return False
        head = header(kind, call, monotonic_ns() if at_ns is None else at_ns, payload)
        self._buffer += (head, payload)
        self._kinds.append((kind, call, len(payload)))
        self._buffered += len(head) + len(payload)
        if kind == Kind.ENDED:
            self.counters.add("calls_ended")
            self._lost.pop(call, None)
        if self._buffered >= BUFFER_BYTES_MAX:
            self.flush()
        elif not self._scheduled:
            self._schedule()
        return True

    def dropped(self, call: int) -> int:
        """Bytes of this call that passed but could not be kept, so far."""
        return self._lost.get(call, 0)

    def flush(self) -> None:
        """Write what is buffered, in order.  Never raises; cheap when there is nothing."""
        self._scheduled = False
        if not self._buffer:
            return
        try:
            self._open_segment()
            start = self._size
            self._write_all()
        except OSError as error:
            self._failed(error, start if self._fd >= 0 else 0)
        self._buffer.clear()
        self._kinds.clear()
        self._buffered = 0
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
        while self._syncing is not None:  # a sync that began earlier may not hold our bytes
            await asyncio.shield(self._syncing)
        if self._dirty:
            await asyncio.shield(self._sync())

    @property
    def segment(self) -> int:
        """The number of the newest segment; 0 before the first frame."""
        return self._number

    def close(self) -> None:
        """Seal the segment and free the lock: the writer is gone from here on."""
        if self._closed:
            return
        self.flush()
        self._seal()
        self._closed = True
        if self._ticker:
            self._ticker.cancel()
        for fd in list(self._dirty):
            self._sync_and_close(fd)
        self.counters.close()
        os.close(self._lock)

    # -- files ----------------------------------------------------------------------------------

    def _open_segment(self) -> None:
        if self._fd >= 0:
            return
        self._number += 1
        path = self._path / segment_name(self._number)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        self._size = 0
        self._fd = os.open(path, flags, 0o600)
        self._size = os.write(self._fd, MAGIC)
        self._opened = monotonic()
        self.counters.add("segments")

    def _write_all(self) -> None:
        for first in range(0, len(self._buffer), IOV_MAX):
            batch = self._buffer[first : first + IOV_MAX]
            wanted = sum(map(len, batch))
            written = os.writev(self._fd, batch)
            self._size += written
            if written < wanted:  # nearly full disk: the rest, where the error is if any
                rest = memoryview(b"".join(batch))[written:]
                while rest:
                    count = os.write(self._fd, rest)
                    self._size += count
                    rest = rest[count:]
        if self._limits.fsync != "never":
            self._dirty.add(self._fd)

    def _failed(self, error: OSError, start: int) -> None:
        """Drop the buffer, cut the segment back to whole frames, and wait before the next try."""
        self.counters.add("write_errors")
        log.error("The journal cannot be written (%s); calls go on unmetered.", error.strerror)
        for kind, call, size in self._kinds:
            self._drop(kind, call, size)
        self._blocked_until = monotonic() + RETRY_S
        if self._fd >= 0:
            with suppress(OSError):
                os.ftruncate(self._fd, start)
            self._retire_fd()

    def _drop(self, kind: int, call: int, size: int) -> None:
        self.counters.add("frames_dropped")
        self.counters.add("bytes_dropped", size)
        if kind == Kind.BEGUN:
            self.counters.add("calls_lost")
        if kind == Kind.ENDED:
            self._lost.pop(call, None)
        else:
            self._lost[call] = self._lost.get(call, 0) + size

    def _seal(self) -> None:
        if self._fd < 0:
            return
        with suppress(OSError):  # without a seal the next segment, or the free lock, says the same
            os.write(self._fd, header(SEAL, 0, monotonic_ns(), b""))
        self._retire_fd()

    def _retire_fd(self) -> None:
        fd, self._fd = self._fd, -1
        if fd in self._dirty and not self._closed:
            loop = _running_loop()
            if loop:
                loop.run_in_executor(None, self._sync_and_close, fd)
                return
        self._sync_and_close(fd)

    def _sync_and_close(self, fd: int) -> None:
        with suppress(OSError):
            if fd in self._dirty:
                os.fsync(fd)
        self._dirty.discard(fd)
        with suppress(OSError):
            os.close(fd)

    # -- time -----------------------------------------------------------------------------------

    def _schedule(self) -> None:
        loop = _running_loop()
        if loop is None:
            return
        self._scheduled = True
        loop.call_soon(self.flush)
        if self._ticker is None:
            self._ticker = loop.call_later(1.0, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Once a second: age, size and presence of the files, and the interval sync."""
        self._ticker = loop.call_later(1.0, self._tick, loop)
        self.upkeep()
        if self._dirty and self._limits.fsync == "interval" and self._syncing is None:
            self._sync()

    def upkeep(self) -> None:
        """Seal a segment that is old, begin anew if the files were removed, mind the total."""
        self.flush()
        if not (self._path / LOCK).exists():
            self._begin_anew()
        if self._fd >= 0 and monotonic() - self._opened >= self._limits.segment_age_max_s:
            self._seal()
        full = total_bytes(self._parent) >= self._limits.total_bytes_max
        if full and not self._full:
            log.error(
                "The journal has reached journal.total_bytes_max (%d bytes); frames are dropped "
                "until the meter has caught up.",
                self._limits.total_bytes_max,
            )
        self._full = full

    def _begin_anew(self) -> None:
        """Somebody removed our directory: make another, so that what comes next is kept."""
        log.error("The journal directory %s was removed; beginning a new one.", self._path.name)
        if self._fd >= 0:
            self._retire_fd()
        counts = self.counters.read()
        old_lock, old_counters = self._lock, self.counters
        try:
            self._make_directory()
        except OSError as error:
            log.error("It cannot be made again (%s); calls go on unmetered.", error.strerror)
            self._blocked_until = monotonic() + RETRY_S
            return
        os.close(old_lock)
        old_counters.close()
        for name, value in counts.items():
            self.counters.add(name, value)

    def _sync(self) -> "asyncio.Future[int]":
        """Sync in a thread.  Duplicates are synced, so that a segment may be closed meanwhile."""
        loop = asyncio.get_running_loop()
        pending = [os.dup(fd) for fd in self._dirty]
        self._dirty.clear()
        self._syncing = loop.run_in_executor(None, _fsync_all, pending)
        self._syncing.add_done_callback(self._synced)
        return self._syncing

    def _synced(self, done: "asyncio.Future[int]") -> None:
        self._syncing = None
        if not done.cancelled() and (errors := done.result()):
            self.counters.add("write_errors", errors)
            log.error("The journal could not be synced to disk (%d errors).", errors)


def _fsync_all(descriptors: list[int]) -> int:
    """Sync and close; returns how many failed."""
    errors = 0
    for fd in descriptors:
        try:
            os.fdatasync(fd)
        except OSError:
            errors += 1
        finally:
            os.close(fd)
    return errors


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def total_bytes(directory: Path) -> int:
    """What all writers under `directory` hold on disk."""
    total = 0
    with suppress(OSError):
        for writer in os.scandir(directory):
            with suppress(OSError):
                total += sum(entry.stat().st_size for entry in os.scandir(writer.path))
    return total
