"""Starts what the benchmark compares, as processes, and stops it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from proxy.serving.child import environment
from trials.clients.installing import InstallError, python

CACHE = Path.home() / ".cache" / "taximeter-bench"
START_S = 60.0
STOP_S = 10.0


class Missing(Exception):
    """It cannot be run here; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where calls end, and who vouches for its certificate, if it has one."""

    port: int
    ca_file: Path | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.ca_file else 'http'}://localhost:{self.port}"


@dataclass(frozen=True, slots=True)
class Started:
    """A contender that serves: where, and the processes whose cost is its cost."""

    port: int
    pids: tuple[int, ...]
    data: Path | None = None  # where it keeps what it notes
    path: str = "/openai/v1/chat/completions"
    headers: Mapping[str, str] = field(default_factory=dict)  # that it needs to find the upstream

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"


def installed(package: str) -> Path:
    """The interpreter of an environment that has `package`."""
    try:
        return python(CACHE, (package,))
    except InstallError as error:
        raise Missing(f"could not install {package}: {error}") from error


@contextmanager
def printing_its_port(command: Sequence[str]) -> Iterator[tuple[int, int]]:
    """A process whose first line of output is the port it serves on: its id, and that port."""
    env = {**environment(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise Missing(f"{command[-1]} did not start; see above")
            yield process.pid, int(line)
        finally:
            process.kill()


@contextmanager
def process(
    command: Sequence[str], port: int, more: Mapping[str, str] = MappingProxyType({})
) -> Iterator[int]:
    """A process that serves on `port`; Missing if it does not begin to."""
    env = {**os.environ, **more}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            _wait_for(port, process)
            yield process.pid
        finally:
            for pid in tree(process.pid)[1:]:
                with suppress(ProcessLookupError):
                    os.kill(pid, 15)
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise Missing("it did not start")


def tree(pid: int) -> tuple[int, ...]:
    """A process and all that it started."""
    found = [pid]
    for parent in found:
        with suppress(OSError):
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
            found += map(int, children.split())
    return tuple(found)
