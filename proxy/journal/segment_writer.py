"""The files of one writer: its directory, lock and counters, and the segment that it appends to.

Whatever a failed write leaves, a segment ends with a whole frame: it is cut back and closed, and
the next write begins another.
"""

import fcntl
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, monotonic_ns

from proxy.journal.counters import COUNTERS, Counters
from proxy.journal.disk import Disk, write_buffers
from proxy.journal.frames import MAGIC, SEAL, header
from proxy.journal.segments import LOCK, segment_name, writer_name


class SegmentWriter:
    """Makes a directory below `parent`, named by `writer_name`, and holds its lock until `close`.

    `disk` closes the files, and syncs them unless `sync` is false.  Raises OSError if the directory
    cannot be made.
    """

    def __init__(self, parent: Path, name: str, disk: Disk, *, sync: bool, after: str = "") -> None:
        self._parent = parent
        self._name = name
        self._disk = disk
        self._sync = sync
        self.writer = writer_name(parent, name, after)
        self._path = parent / self.writer
        self._fd = -1  # of the open segment; -1: none
        self.size = 0
        self._number = 0
        self._opened = 0.0
        self._lock, self.counters = self._make_directory()

    @property
    def segment(self) -> int:
        """The number of the segment that the next frame goes to."""
        return self._number if self._fd >= 0 else self._number + 1

    @property
    def age_s(self) -> float:
        """Seconds since the open segment was begun; 0 if there is none."""
        return monotonic() - self._opened if self._fd >= 0 else 0.0

    def write(self, frames: Sequence[bytes]) -> int:
        """Append whole frames in one system call; returns how many bytes the file grew.

        Raises OSError if the disk refuses; nothing of the frames is in the file then.
        """
        if self._fd < 0:
            self._open()
            frames = [MAGIC, *frames]
        before = self.size
        try:
            self.size += write_buffers(self._fd, frames)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, before)
            self._release()
            raise
        if self._sync:
            self._disk.wrote(self._fd)
        return self.size - before

    def seal(self, *, at_once: bool = False) -> None:
        """End the open segment, if any; `at_once`: synced and closed on return."""
        if self._fd < 0:
            return
        with suppress(OSError):  # without a seal the next segment, or the free lock, says the same
            os.write(self._fd, header(SEAL, 0, monotonic_ns(), b""))
        self._release(at_once=at_once)

    def is_removed(self) -> bool:
        """Whether somebody removed the directory, or the lock in it."""
        return not os.path.exists(self._path / LOCK)

    def begin_anew(self) -> None:
        """Make another directory for what comes next; the counters keep their values.

        It has the same name if the old one is gone entirely: a reader that has its last file open
        misses nothing.  Raises OSError.
        """
        if self._fd >= 0:
            self._release()
        if self._path.exists():
            self.writer = writer_name(self._parent, self._name, self.writer)
            self._path = self._parent / self.writer
        counts, old_lock, old_counters = self.counters.read(), self._lock, self.counters
        self._lock, self.counters = self._make_directory()
        os.close(old_lock)
        old_counters.close()
        for name, value in counts.items():
            self.counters.add(name, value)

    def close(self) -> None:
        """Free the lock: the writer is gone from here on."""
        self.counters.close()
        os.close(self._lock)

    def _make_directory(self) -> tuple[int, Counters]:
        """Make it under a hidden name, and show it once it is locked."""
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
        return lock, counters

    def _open(self) -> None:
        """Begin the next segment, which is still empty."""
        path = self._path / segment_name(self._number + 1)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)
        self._number += 1
        self.size = 0
        self._opened = monotonic()
        self.counters.add("segments")

    def _release(self, *, at_once: bool = False) -> None:
        fd, self._fd = self._fd, -1
        self._disk.release(fd, at_once=at_once)
