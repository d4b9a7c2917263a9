"""What relay and meter processes share: how they get their configuration, stop, and log.

The supervisor writes the configuration as one line to standard input and keeps that open.  Its end
means that the supervisor is gone and nobody is left to restart or stop this process.
"""

import asyncio
import ctypes
import gc
import logging
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

from proxy.settings import sources
from proxy.settings.config import Config

log = logging.getLogger(__name__)

LINE_BYTES_MAX = 1024 * 1024
# New objects before the garbage collector looks for cycles.  Few of ours have any: with Python's
# 700, looking took the meter a tenth of its time.
YOUNG_MAX = 10_000
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
FREED_BYTES_KEPT_MAX = 8 * 1024 * 1024
MAPPED_BYTES_MIN = 1024 * 1024  # an allocation this large is mapped alone: no read is


def configuration() -> Config:
    """The configuration from the supervisor.  Raises ValueError if there is none."""
    line = bytearray()
    while not line.endswith(b"\n") and len(line) < LINE_BYTES_MAX:
        byte = os.read(0, 1)  # not a byte more: `signals` watches for the end of the input
        if not byte:
            break
        line += byte
    return sources.parse(bytes(line))


def inherited(fds: str) -> list[socket.socket]:
    """The listening sockets that were inherited from the supervisor, by their descriptors."""
    sockets = [socket.socket(fileno=int(fd)) for fd in fds.split(",")]
    for sock in sockets:
        sock.setblocking(False)
    return sockets


def tell_ready(fd: int) -> None:
    """Report to the supervisor that this process serves."""
    if fd >= 0:
        os.write(fd, b"1")
        os.close(fd)


def signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Events for "stop" (SIGTERM, or the supervisor is gone) and "hurry" (a second SIGTERM).

    SIGINT is ignored: a terminal sends it to all processes, and the supervisor handles it.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_loop_failed)
    stop, hurry = asyncio.Event(), asyncio.Event()

    def told() -> None:
        (hurry if stop.is_set() else stop).set()

    def spoken() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            log.warning("The supervisor is gone; stopping.")
            stop.set()

    loop.add_signal_handler(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    loop.add_reader(0, spoken)
    return stop, hurry


def on_lame_duck(turn_unready: Callable[[], None]) -> None:
    """Have the supervisor's SIGUSR1 announce the end: readiness fails, callers are served."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, turn_unready)


def begin() -> None:
    """Set up a process: log to standard error, write no core dumps, allow many open files.

    A core dump would contain keys and prompts.  Garbage collection starts now, without what was
    imported (see `proxy.serving.start`).
    """
    gc.freeze()
    gc.set_threshold(YOUNG_MAX)
    gc.enable()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Discreet("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    sys.excepthook = _failed
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems refuse the maximum that they report
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a caller takes two of them


def keep_freed_memory() -> None:
    """Do not give memory back to the kernel and ask for it again with each large body.

    Each page of it would be a fault, and cleared by the kernel.  Where the C library is not glibc,
    nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, FREED_BYTES_KEPT_MAX)
        mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES_MIN)


class _Discreet(logging.Formatter):
    """Logs an exception as its types and places on one line: its text may quote what passed."""

    def formatException(self, ei: Any) -> str:
        return _discreet(ei[1])


def _discreet(error: BaseException | None) -> str:
    chain = []
    while error is not None:
        places = traceback.extract_tb(error.__traceback__)
        path = " > ".join(f"{place.filename}:{place.lineno}" for place in places)
        chain.append(f"{type(error).__name__} at {path or 'an unknown place'}")
        error = error.__cause__ or error.__context__
    return ", after ".join(chain)


def _failed(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    log.critical("Unhandled exception, exiting: %s.", _discreet(error))


def _loop_failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Unlike asyncio's own handler, do not log the arguments of what failed."""
    log.error("Unhandled exception in a task or callback: %s.", _discreet(context.get("exception")))


async def until(stop: asyncio.Event, *working: asyncio.Task[None]) -> None:
    """Wait for `stop`.  Raises the error of a task that ended: a new process may do better."""
    stopping = asyncio.create_task(stop.wait())
    ended, _ = await asyncio.wait({stopping, *working}, return_when=asyncio.FIRST_COMPLETED)
    for task in ended:
        task.result()
