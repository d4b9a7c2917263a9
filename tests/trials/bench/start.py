"""Measures what a start costs: until proxy and console respond, and CPU time of all processes.

    python -m trials.bench.start [--runs 5] [--json]

`serve` in an empty directory, stopped once both respond; then `run -- true`.  The least of all runs
counts, since other work on the machine only ever adds.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from evaluation.standin.processes import ROOT, free_port
from proxy.commands import terminal
from proxy.commands.terminal import Column

POLL_S = 0.005
ANSWER_S = 10.0
TAXIMETER = (sys.executable, "-P", "-m", "proxy")
COLUMNS = (Column("what", "what"), Column("seconds", "s", number=True))


def responds(port: int) -> bool:
    """Whether something on this port answers a request, with whatever."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), ANSWER_S) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return bool(connection.recv(1))
    return False


def processor_s() -> float:
    """CPU time of all processes that ended, with their own children."""
    times = os.times()
    return times.children_user + times.children_system


def serve(data: Path) -> Mapping[str, float]:
    """Start `serve`, wait for both ports in turn, and stop it."""
    ports = {"proxy ready": free_port(), "console ready": free_port()}
    proxy, console = map(str, ports.values())
    command = [*TAXIMETER, "serve", "--data", str(data), "--port", proxy, "--console-port", console]
    before, began, measured = processor_s(), time.monotonic(), {}
    with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL) as process:
        for name, port in ports.items():
            while not responds(port):
                if process.poll() is not None:
                    raise RuntimeError("taximeter serve ended")
                time.sleep(POLL_S)
            measured[name] = time.monotonic() - began
        process.send_signal(signal.SIGTERM)
    return measured | {"CPU of serve, start and stop": processor_s() - before}


def run(_: Path) -> Mapping[str, float]:
    """Meter a command that does nothing."""
    before, began = processor_s(), time.monotonic()
    command = [*TAXIMETER, "run", "--", "true"]
    subprocess.run(command, env=environment(), check=True, stderr=subprocess.DEVNULL)
    return {
        "run -- true": time.monotonic() - began,
        "CPU of run -- true": processor_s() - before,
    }


def environment() -> dict[str, str]:
    """With this checkout's packages, compiled as they are after the first start."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {"PYTHONPATH": str(ROOT), **kept}


def least(measure: Callable[[Path], Mapping[str, float]], runs: int) -> dict[str, float]:
    """The least of each figure; a first run, which compiles, does not count."""
    found = []
    for _ in range(runs + 1):
        with TemporaryDirectory() as data:
            found.append(measure(Path(data)))
    return {name: min(each[name] for each in found[1:]) for name in found[0]}


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m trials.bench.start", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="starts of each kind (5)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    figures = least(serve, arguments.runs) | least(run, arguments.runs)
    if arguments.json:
        terminal.emit({name: round(seconds, 3) for name, seconds in figures.items()})
    else:
        shown = [{"what": name, "seconds": f"{each:.2f}"} for name, each in figures.items()]
        terminal.show(COLUMNS, shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
