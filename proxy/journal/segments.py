"""The layout of a journal on disk: writers' directories, their segments and locks."""

import fcntl
import os
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

LOCK = "lock"  # held by the writer for its life
SUFFIX = ".seg"
STAMP = "%Y%m%dT%H%M%S.%f"
STAMP_CHARS = 22


def segment_name(number: int) -> str:
    """The file name of a writer's segment; numbers begin at 1."""
    return f"{number:010}{SUFFIX}"


def segments(writer: Path) -> list[int]:
    """The numbers of the existing segments, in order."""
    try:
        return sorted(int(name[: -len(SUFFIX)]) for name in filter(_is_segment, os.listdir(writer)))
    except FileNotFoundError:
        return []


def writer_name(directory: Path, name: str, after: str = "") -> str:
    """`<start time>-<name>-<random>`, which sorts after all existing writers and after `after`.

    Readers rely on this order, so a clock that is set back must not change it.
    """
    stamp = f"{datetime.now(UTC):{STAMP}}"
    with suppress(FileNotFoundError):
        after = max(after, *(entry.lstrip(".") for entry in os.listdir(directory)), "")
    if stamp <= (last := after[:STAMP_CHARS]):
        with suppress(ValueError):  # not the name of a writer
            latest = datetime.strptime(last, STAMP).replace(tzinfo=UTC)
            stamp = f"{latest + timedelta(microseconds=1):{STAMP}}"
    return f"{stamp}-{name}-{secrets.token_hex(3)}"


def is_alive(writer: Path) -> bool:
    """Whether some process holds the writer's lock."""
    try:
        fd = os.open(writer / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


class Sizes:
    """The disk usage of all writers under `directory`, measured again and again.

    After a day without a meter there are ten thousand files, and the relay measures every second.
    A segment no longer grows once there is a later one, so only the newest is measured each time.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._final: dict[str, dict[str, int]] = {}  # writer → file → bytes

    def total(self) -> int:
        """Bytes of all files there now."""
        total, final = 0, {}
        with suppress(OSError):
            for writer in os.listdir(self._directory):
                with suppress(OSError):
                    final[writer], newest = self._look(writer)
                    total += newest + sum(final[writer].values())
        self._final = final
        return total

    def _look(self, writer: str) -> tuple[dict[str, int], int]:
        """Sizes of the files that no longer change, and of the one that may."""
        folder = self._directory / writer
        names = os.listdir(folder)
        newest = max(filter(_is_segment, names), default="")
        known, final, size = self._final.get(writer, {}), {}, 0
        for name in names:
            if name == newest:
                size = _size(folder / name)
            else:
                final[name] = known[name] if name in known else _size(folder / name)
        return final, size


def _is_segment(name: str) -> bool:
    return name.endswith(SUFFIX)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # it was deleted meanwhile
        return 0
