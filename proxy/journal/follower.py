"""Reads journals as they grow: every writer's segments in order, each frame once.

A follower keeps a position per writer in memory; its user decides where to begin and when a segment
can be deleted.  A writer whose lock is free is gone: anything after the last whole frame of its
last segment was never acknowledged and is dropped.  A writer whose directory was removed gets a few
seconds to make it again; meanwhile the file that is open here is read on.
"""

import fcntl
import logging
import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from proxy.journal.frames import Frame, Scan, Stop
from proxy.journal.segments import LOCK, segment_name, segments

log = logging.getLogger(__name__)

READ_BYTES = 1024 * 1024
REMOVED_S = 5.0  # a running writer checks its directory once a second


class Position(NamedTuple):
    """A place in one writer's journal: everything before it has been read."""

    segment: int
    offset: int


@dataclass(slots=True)
class Followed:
    """One writer as the follower sees it."""

    writer: str
    path: Path
    segment: int  # the one being read; 0: none yet
    offset: int
    fd: int = -1
    gone: bool = False  # the lock was free at the last check
    finished: bool = False  # gone, and read to the end
    removed_at: float | None = None  # when its lock was first found missing
    damaged_bytes: int = 0

    @property
    def position(self) -> Position:
        return Position(self.segment, self.offset)


class Follower:
    """Follows every writer under `directory`; `start` holds the positions of known writers.

    Not thread-safe.  If the segment of a position is missing, reading begins at the next one.
    """

    def __init__(self, directory: Path, start: dict[str, Position] | None = None) -> None:
        self._directory = directory
        self._start = dict(start or {})
        self.writers: dict[str, Followed] = {}

    def poll(self, writer: Followed) -> Iterator[Frame]:
        """The frames that `writer` has completed by now, within one segment.

        While they are read, `writer.segment` is the segment that they are in.  At the end of a
        segment the writer moves on to the next one; if there is none and the writer is gone,
        `writer.finished` is set.  Call again while `writer.position` moves.
        """
        gone = writer.gone or _is_gone(writer)  # checked before reading to the end
        if self._open(writer):
            stop = yield from _read_segment(writer)
            if stop is Stop.MORE:
                if not gone and self._next_segment(writer) is None:
                    return  # the writer is still writing it
                stop = yield from _read_segment(writer)  # what came between the two checks
            if stop is not Stop.SEALED:
                _drop_tail(writer, stop)
            _close(writer)
            writer.segment, writer.offset = writer.segment + 1, 0
        writer.gone = gone
        writer.finished = gone and self._next_segment(writer, inclusive=True) is None

    def scan(self) -> list[Followed]:
        """Find new writers; returns all writers that are not finished, oldest first."""
        with suppress(FileNotFoundError):
            for name in sorted(os.listdir(self._directory)):
                path = self._directory / name
                if name not in self.writers and not name.startswith(".") and path.is_dir():
                    at = self._start.pop(name, Position(0, 0))
                    self.writers[name] = Followed(name, path, at.segment, at.offset)
        return [writer for _, writer in sorted(self.writers.items()) if not writer.finished]

    def behind(self) -> bool:
        """Whether there is a writer that is gone and was not read to its end."""
        return any(writer.gone or _is_gone(writer) for writer in self.scan())

    def retire(self, writer: Followed, keep_from: int, needed: frozenset[int] = frozenset()) -> int:
        """Delete the segments before `keep_from` that are not `needed`; returns how many.

        If the writer is finished and has no segments left, its directory is deleted as well.
        """
        gone = 0
        for number in segments(writer.path):
            if number < keep_from and number not in needed:
                with suppress(OSError):
                    os.unlink(writer.path / segment_name(number))
                    gone += 1
        if writer.finished and not segments(writer.path):
            shutil.rmtree(writer.path, ignore_errors=True)
            del self.writers[writer.writer]
        return gone

    def close(self) -> None:
        for writer in self.writers.values():
            _close(writer)

    def _open(self, writer: Followed) -> bool:
        if writer.fd >= 0:
            return True
        numbers = [n for n in segments(writer.path) if n >= max(writer.segment, 1)]
        if not numbers:
            return False
        if numbers[0] != writer.segment:
            writer.segment, writer.offset = numbers[0], 0
        try:
            writer.fd = os.open(writer.path / segment_name(writer.segment), os.O_RDONLY)
        except OSError:
            return False
        return True

    def _next_segment(self, writer: Followed, *, inclusive: bool = False) -> int | None:
        first = writer.segment if inclusive else writer.segment + 1
        return next((n for n in segments(writer.path) if n >= first), None)


def _read_segment(writer: Followed) -> Generator[Frame, None, Stop]:
    """The whole frames from the writer's offset on; returns why they end."""
    wanted = READ_BYTES
    while True:
        data = os.pread(writer.fd, wanted, writer.offset)
        scan = Scan(data, writer.offset)
        for frame in scan:
            writer.offset = frame.end
            yield frame
        writer.offset = scan.offset
        if scan.stop is not Stop.MORE or len(data) < wanted:
            return scan.stop
        wanted = max(READ_BYTES, scan.wanted())


def _drop_tail(writer: Followed, stop: Stop) -> None:
    """Count and report the bytes after the last whole frame of a finished segment."""
    size = os.fstat(writer.fd).st_size - writer.offset
    if size > 0:
        writer.damaged_bytes += size
        log.log(
            logging.WARNING if stop is Stop.MORE else logging.ERROR,
            "Journal %s/%s: dropped %d bytes at the end that are not whole frames.",
            writer.writer,
            segment_name(writer.segment),
            size,
        )


def _is_gone(writer: Followed) -> bool:
    """Whether the lock is free, or was removed and not made again."""
    try:
        fd = os.open(writer.path / LOCK, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        writer.removed_at = writer.removed_at or monotonic()
        return monotonic() - writer.removed_at > REMOVED_S
    except OSError:  # such as too many open files, which says nothing about the writer
        return False
    writer.removed_at = None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def _close(writer: Followed) -> None:
    if writer.fd >= 0:
        os.close(writer.fd)
        writer.fd = -1
