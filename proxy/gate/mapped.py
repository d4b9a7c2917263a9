"""Files that processes map and share: how they are made, and the lock that guards their changes.

The lock is a byte range lock (`fcntl.lockf`), which the kernel frees when its process dies.  It is
the process's: open one descriptor per process and file, as closing any of them frees it.
"""

import fcntl
import os
from pathlib import Path
from time import monotonic_ns, sleep

from proxy.journal.disk import write_buffers

_TRY = fcntl.LOCK_EX | fcntl.LOCK_NB
LOOK_AGAIN_S = 20e-6  # at a lock that is not free


class Busy(Exception):
    """The lock was not free in time."""


def lock(fd: int, try_ns: int) -> None:
    """Take the lock.  Raises Busy if it is not free within `try_ns`."""
    until = 0
    while True:
        try:
            fcntl.lockf(fd, _TRY, 1)
            return
        except OSError:  # held by another process
            now = monotonic_ns()
            until = until or now + try_ns
            if now >= until:
                raise Busy from None
            sleep(LOOK_AGAIN_S)  # so that the one who holds it may run


def unlock(fd: int) -> None:
    """Give the lock back."""
    fcntl.lockf(fd, fcntl.LOCK_UN, 1)


def fill(path: Path, magic: bytes, size: int) -> None:
    """Write a file of zeros that begins with `magic`.  Raises OSError.

    All its blocks are on the disk from the beginning: writing to a page that finds no room would
    kill the process.
    """
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, size)
        else:  # macOS
            write_buffers(fd, [bytes(size)])
        os.pwrite(fd, magic, 0)
    finally:
        os.close(fd)
