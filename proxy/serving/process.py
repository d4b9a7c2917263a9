"""What relay and meter processes have in common: how they are configured, told to stop, and heard.

The supervisor writes the configuration as one line to standard input and keeps it open: its end
means that the supervisor is gone, and nobody is left to start or stop this process.
"""

import asyncio
import logging
import os
import resource
import signal
import socket
import sys
import traceback
from contextlib import suppress
from types import TracebackType
from typing import Any

from proxy.settings import sources
from proxy.settings.config import Config

log = logging.getLogger(__name__)

LINE_BYTES_MAX = 1024 * 1024


def configuration() -> Config:
    """The configuration that the supervisor wrote.  Raises ValueError if it wrote none."""
    line = bytearray()
    while not line.endswith(b"\n") and len(line) < LINE_BYTES_MAX:
        byte = os.read(0, 1)  # not a byte more: what follows is for the watch on the end
        if not byte:
            break
        line += byte
    return sources.parse(bytes(line))


def inherited(fd: int) -> socket.socket:
    """The listening socket that the supervisor handed over."""
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock


def tell_ready(fd: int) -> None:
    """Say that we serve now."""
    if fd >= 0:
        os.write(fd, b"1")
        os.close(fd)


def signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Events for "stop" (SIGTERM, or the supervisor is gone) and "hurry" (a second SIGTERM).

    SIGINT is the supervisor's to decide: a terminal sends it to us as well.
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


def begin() -> None:
    """What a process does first: log where it can be heard, keep no core, open enough files.

    A core dump would hold the keys and prompts of the moment.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Discreet("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    sys.excepthook = _failed
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems name a maximum and do not grant it
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each caller takes two


class _Discreet(logging.Formatter):
    """Says of an exception its types and places on one line, for its text may quote what passed."""

    def formatException(self, ei: Any) -> str:
        return _discreet(ei[1])


def _discreet(error: BaseException | None) -> str:
    told = []
    while error is not None:
        places = traceback.extract_tb(error.__traceback__)
        path = " > ".join(f"{place.filename}:{place.lineno}" for place in places)
        told.append(f"{type(error).__name__} at {path or 'no place'}")
        error = error.__cause__ or error.__context__
    return ", after ".join(told)


def _failed(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    log.critical("This process fails: %s.", _discreet(error))


def _loop_failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """asyncio's own handler prints what was at work, with the arguments that it had."""
    log.error("A callback or a task failed: %s.", _discreet(context.get("exception")))
