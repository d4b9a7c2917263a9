"""Runs the stand-in provider and `taximeter serve` as processes.

For the demo, the benchmarks and the tests, which use the whole product over real sockets.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

from proxy.probes import READY
from proxy.serving import instance
from proxy.serving.instance import Instance

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
ROWS_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 30.0
POLL_S = 0.05
LOG_SHOWN_LINES = 40

# Configured providers that the stand-in can replace.
PROVIDERS = ("openai", "anthropic", "gemini", "mistral", "deepseek", "qwen")

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # everything is on loopback

# Settings for tests that wait for rows: they are stored at once rather than every second.
FAST_ROWS = "[store]\nbatch_age_max_s = 0.05\n"

Row = dict[str, Any]  # the columns of a record


class LaunchError(Exception):
    """A process did not start; the message has the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A running `taximeter serve`."""

    proxy_url: str
    console_url: str
    data: Path
    pid: int
    log: Path

    def calls(self, limit: int = 1_000, **filters: str) -> list[Row]:
        """The newest rows by the console's API, newest first; money is Decimal or text."""
        query = urllib.parse.urlencode({"limit": limit, **filters})
        return list(get_json(f"{self.console_url}/api/calls?{query}"))

    def calls_when(
        self, count: int, timeout_s: float = ROWS_TIMEOUT_S, *, limit: int = 1_000, **filters: str
    ) -> list[Row]:
        """The rows once there are `count`, or as many as there are after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while len(rows := self.calls(limit, **filters)) < count and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return rows


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get_json(url: str) -> Any:
    """The JSON document at `url`.  Raises OSError (which URLError is) or ValueError."""
    with _OPENER.open(url, timeout=ANSWER_TIMEOUT_S) as answer:
        return json.load(answer, parse_float=Decimal)


def clear_journal(stand_in_url: str) -> None:
    """Clear the journal of the stand-in."""
    request = urllib.request.Request(f"{stand_in_url}/__standin/journal", method="DELETE")
    _OPENER.open(request, timeout=ANSWER_TIMEOUT_S).close()


@contextmanager
def stand_in(log: Path) -> Iterator[tuple[str, int]]:
    """A running stand-in provider: its URL and process id."""
    command = [sys.executable, "-m", "evaluation.standin", "--port", "0"]
    with process(command, log, first_line=True) as started:
        line = started.stdout.readline() if started.stdout else b""
        if not line:
            raise LaunchError(f"the stand-in provider failed to start\n{_end_of(log)}")
        yield str(json.loads(line)["url"]), started.pid


@contextmanager
def serve(
    data: Path,
    upstreams: Mapping[str, str],
    *,
    port: int = 0,
    console_port: int = 0,
    relays: int = 1,
    settings: str = "",
    environ: Mapping[str, str] = MappingProxyType({}),
    rows: Path | None = None,
) -> Iterator[Serving]:
    """Run `taximeter serve`; `upstreams` has base URLs by provider.

    Its settings and its log are in `data`, its data directory is `rows`, by default `data/data`.
    Port 0 is any free one.  `settings` is further TOML, put before the providers; `environ` adds
    variables.  Raises LaunchError.
    """
    data.mkdir(parents=True, exist_ok=True)
    config, log = data / "taximeter.toml", data / "serve.log"
    rows = rows or data / "data"
    tables = [f'[providers.{name}]\nbase_url = "{url}"\n' for name, url in upstreams.items()]
    config.write_text("\n".join([settings, *tables]))
    command = [sys.executable, "-m", "proxy", "serve", "--config", str(config)]
    command += ["--data", str(rows), "--port", str(port)]
    command += ["--console-port", str(console_port), "--relays", str(relays)]
    with process(command, log, environ=environ) as started:
        found = _once_ready(started, rows, log)
        yield Serving(
            proxy_url=f"http://127.0.0.1:{found.port}",
            console_url=f"http://127.0.0.1:{found.console_port}",
            data=data,
            pid=started.pid,
            log=log,
        )


def _once_ready(process: subprocess.Popen[bytes], data: Path, log: Path) -> Instance:
    """The description of `process` once both of its ports answer as that instance.

    Another Taximeter may have the ports that this one wants: to take it for ours would send the
    traffic of a demo to real providers.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        found = instance.find(data)
        if found and found.pid == process.pid and is_ready(found):
            return found
        time.sleep(POLL_S)
    raise LaunchError(f"taximeter serve failed to start\n{_end_of(log)}")


def is_ready(served: Instance) -> bool:
    """Whether both ports answer that they are ready, and that they are `served`."""
    try:
        answers = [
            get_json(f"http://127.0.0.1:{port}{READY}")
            for port in (served.port, served.console_port)
        ]
    except (OSError, ValueError):
        return False
    return all(answer.get("instance") == served.instance for answer in answers)


@contextmanager
def process(
    command: list[str],
    log: Path,
    *,
    first_line: bool = False,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[subprocess.Popen[bytes]]:
    """A child process, stopped when the block ends: by SIGTERM, then by SIGKILL.

    It has a session of its own, so that Ctrl-C reaches only us and everything stops in order.  With
    `first_line` its standard output can be read, else it goes to the log.
    """
    with (
        log.open("ab") as written,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=_environment() | dict(environ),
            stdout=subprocess.PIPE if first_line else written,
            stderr=written,
            start_new_session=True,
        ) as started,
    ):
        try:
            yield started
        finally:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(started.pid, signal.SIGKILL)  # including its own children


def _environment() -> dict[str, str]:
    """Our environment, without variables that configure the product."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TAXIMETER_", "OTEL_"))}
    return kept | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-LOG_SHOWN_LINES:])
