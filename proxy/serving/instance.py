"""One `taximeter serve` per data directory, and how other processes find it.

The supervisor and all its children hold `serve.lock`, so the directory is free again only when the
last of them is gone.  `serve.json` says where the running instance can be reached.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from exporters.clickhouse.dsn import parse_dsn
from proxy.journal.disk import write_atomically
from proxy.network import url_of
from proxy.settings.config import Config
from proxy.settings.places import Places, store_dsn

WAIT_S = 30.0  # for the children of a killed supervisor to exit
POLL_S = 0.1


class TakenError(Exception):
    """The data directory is in use; the message says by which process."""


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """A running `taximeter serve`, as `serve.json` describes it."""

    instance: str = ""  # random: both ports answer it at /readyz, so nobody mistakes another for us
    pid: int
    port: int
    console_port: int
    started: str  # ISO 8601, UTC
    proxy_url: str
    console_url: str
    data: str
    store: str  # without the password


def describe(config: Config) -> Instance:
    """The description of this process, serving on the ports in `config`."""
    return Instance(
        instance=secrets.token_hex(8),
        pid=os.getpid(),
        port=config.proxy.port,
        console_port=config.console.port,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        proxy_url=url_of(config.proxy),
        console_url=url_of(config.console),
        data=str(config.data),
        store=str(parse_dsn(store_dsn(config), config.store.database)),
    )


@contextmanager
def claimed(data: Path) -> Iterator[int]:
    """Lock the data directory, creating it if necessary; yields the lock for children to inherit.

    Raises TakenError, or OSError if the directory cannot be made.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(Places(data).serve_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(lock, data)
        if Places(data).restoring.exists():
            raise TakenError(
                f"{data} holds a backup that was not completely restored.\n"
                "Remove it, and run taximeter restore again."
            )
        Places(data).serve_description.unlink(missing_ok=True)  # left by a killed one
        yield lock
    finally:
        os.close(lock)


def _lock(lock: int, data: Path) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        with suppress(BlockingIOError):
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other = find(data)
        if other is None or alive(other.pid) or time.monotonic() > deadline:
            who = f" (process {other.pid}, port {other.port})" if other else ""
            raise TakenError(
                f"{data} is in use by another taximeter{who}.\n"
                "Stop it, or choose another directory with --data DIR."
            )
        time.sleep(POLL_S)


@contextmanager
def announced(config: Config) -> Iterator[Instance]:
    """Keep `serve.json` in place, which tells other processes how to reach this one."""
    path = Places(config.data).serve_description
    instance = describe(config)
    write_atomically(path, msgspec.json.encode(instance) + b"\n")
    try:
        yield instance
    finally:
        path.unlink(missing_ok=True)


def find(data: Path) -> Instance | None:
    """The instance that `serve.json` describes; it may be gone without having removed the file."""
    try:
        return msgspec.json.decode(Places(data).serve_description.read_bytes(), type=Instance)
    except (OSError, msgspec.DecodeError):
        return None


def name(data: Path) -> str:
    """The `instance` that `serve.json` names; "" without one."""
    found = find(data)
    return found.instance if found else ""


def alive(pid: int) -> bool:
    """Whether a process with this id exists, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
