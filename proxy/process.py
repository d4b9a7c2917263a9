"""What relay and meter processes have in common: how they are configured, told to stop, and heard.

The supervisor writes the configuration as one line to standard input and keeps it open: its end
means that the supervisor is gone, and nobody is left to start or stop this process.
"""

import asyncio
import logging
import os
import signal
import socket
import sys

from proxy import settings
from proxy.config import Config

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
    return settings.parse(bytes(line))


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


def log_to_stderr() -> None:
    """Sentences with their level; warnings and worse only."""
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
