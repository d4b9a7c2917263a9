"""Syncs written files to the disk, in threads, so that a slow disk holds nobody up."""

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

IOV_MAX = 1000  # buffers in one writev(2); Linux takes 1024


def write_buffers(fd: int, buffers: Sequence[bytes]) -> int:
    """Append all of them; returns how many bytes.  Raises OSError, perhaps after a part."""
    size = 0
    for first in range(0, len(buffers), IOV_MAX):
        batch = buffers[first : first + IOV_MAX]
        wanted = sum(map(len, batch))
        written = os.writev(fd, batch)
        if written < wanted:
            write_all(fd, memoryview(b"".join(batch))[written:])
        size += wanted
    return size


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write every byte.  A nearly full disk takes a part, and then fails: raises OSError."""
    rest = data
    while rest:
        rest = rest[os.write(fd, rest) :]


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path`: a crash or a full disk leaves the old content or the new one."""
    new = path.with_name(f"{path.name}.new")
    fd = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, data)
        os.fdatasync(fd)
    finally:
        os.close(fd)
    new.replace(path)


class Disk:
    """The descriptors of one writer.  `failed(count)` is called for files that cannot be synced.

    Used from one event loop, where it syncs in threads, or from one thread without a loop.
    """

    def __init__(self, failed: Callable[[int], None]) -> None:
        self._failed = failed
        self._dirty: set[int] = set()  # with bytes that may not be on the disk
        self._running: set[asyncio.Future[int]] = set()

    def wrote(self, fd: int) -> None:
        """Note that `fd` has new bytes."""
        self._dirty.add(fd)

    def release(self, fd: int, *, at_once: bool = False) -> None:
        """Close `fd`, after a sync if it has new bytes."""
        if fd in self._dirty:
            self._dirty.discard(fd)
            self._sync([fd], at_once=at_once)
        else:
            with suppress(OSError):
                os.close(fd)

    def start(self) -> None:
        """Begin to sync what is new, unless an earlier sync is still running."""
        if self._dirty and not self._running:
            self._sync(self._duplicates())

    async def settled(self) -> None:
        """Wait until everything written so far is on disk.  Never raises."""
        while self._running:  # these began earlier and may not include our bytes
            await asyncio.wait(self._running)
        if self._dirty:
            self._sync(self._duplicates())
            if self._running:
                await asyncio.wait(self._running)

    def _duplicates(self) -> list[int]:
        """Duplicate descriptors for the thread, since a file may be closed meanwhile."""
        duplicates = []
        for fd in list(self._dirty):
            try:
                duplicates.append(os.dup(fd))
                self._dirty.discard(fd)
            except OSError:  # out of descriptors: the next try may succeed
                self._failed(1)
        return duplicates

    def _sync(self, descriptors: list[int], *, at_once: bool = False) -> None:
        loop = running_loop()
        if loop is None or at_once:
            self._report(_sync_and_close(descriptors))
        elif descriptors:
            future = loop.run_in_executor(None, _sync_and_close, descriptors)
            self._running.add(future)
            future.add_done_callback(self._done)

    def _done(self, future: "asyncio.Future[int]") -> None:
        self._running.discard(future)
        if not future.cancelled():
            self._report(future.result())

    def _report(self, errors: int) -> None:
        if errors:
            self._failed(errors)


def _sync_and_close(descriptors: Iterable[int]) -> int:
    """Returns how many could not be synced."""
    errors = 0
    for fd in descriptors:
        try:
            os.fdatasync(fd)
        except OSError:
            errors += 1
        finally:
            with suppress(OSError):
                os.close(fd)
    return errors


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread, if any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
