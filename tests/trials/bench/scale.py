"""`python -m trials.bench.scale`: memory of many idle streams, and how fast the meter is.

Idle streams: each has its response head and waits.  The meter: a journal that a relay wrote is
metered, priced and stored by a fresh `taximeter serve` on one core, engine included.
"""

import argparse
import asyncio
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from evaluation.standin import processes
from proxy.serving.child import module
from trials.bench import load
from trials.bench.contenders import Taximeter
from trials.bench.launching import Started, Upstream, printing_its_port
from trials.bench.measuring import CONNECTIONS, STREAM, memory_bytes, processor_s

RELAYS = 2
HOLD_MS = 600_000
CONNECTING_MAX = 200  # connections opened at once
ROWS_S = 300.0  # for the meter to finish
POLL_S = 1.0  # between two looks, each of which costs the meter a query
PROMPT = b"tell me more " * 140  # 1.8 kB


def idle_streams(count: int) -> str:
    """What `count` streams cost that wait for their next event."""
    with TemporaryDirectory(prefix="taximeter-scale-") as name, _relays(Path(name)) as started:
        before = sum(map(memory_bytes, started.pids))
        after = asyncio.run(_hold(started, count))
    return (
        f"{count:,} idle streams over {RELAYS} relays: {after / 1e6:.0f} MB, "
        f"{(after - before) / count / 1e3:.1f} kB for each"
    )


async def _hold(started: Started, count: int) -> int:
    """Bytes of all relays while so many streams wait."""
    request = load.ask(started.url, b"{}", {"x-chunks": "1", "x-pace-ms": str(HOLD_MS)})
    turns = asyncio.Semaphore(CONNECTING_MAX)

    async def one() -> asyncio.StreamWriter:
        async with turns:
            reader, writer = await asyncio.open_connection(request.host, request.port)
            writer.write(request.data)
            await reader.readuntil(load.HEAD_END)
        return writer

    writers = await asyncio.gather(*(one() for _ in range(count)))
    used = sum(map(memory_bytes, started.pids))
    for writer in writers:
        writer.close()
    return used


def meter(calls: int, *, streamed: bool) -> str:
    """How fast calls become rows, from the journal to the embedded store."""
    kind = "streams of 80 chunks" if streamed else "plain calls"
    with TemporaryDirectory(prefix="taximeter-scale-") as name:
        data = Path(name) / "data"
        with _relays(data, 1) as started:
            made = asyncio.run(_calls(started, calls, streamed=streamed))
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        began = time.monotonic()
        with processes.serve(Path(name), {}) as served:
            used = _meter_s(served.pid)
            began, first = time.monotonic(), _rows(served)
            while (rows := _rows(served)) < made:
                if time.monotonic() - began > ROWS_S:
                    raise TimeoutError(f"{rows:,} of {made:,} rows after {ROWS_S:g} s")
                time.sleep(POLL_S)
            seconds, cpu_s = time.monotonic() - began, _meter_s(served.pid) - used
    done = made - first
    return (
        f"{done:,} {kind} metered, priced and stored in {seconds:.1f} s: {done / seconds:,.0f}/s, "
        f"{cpu_s / done * 1e3:.2f} ms of CPU for each ({done / cpu_s:,.0f}/s of CPU)"
    )


async def _calls(started: Started, count: int, *, streamed: bool) -> int:
    body = b'{"model": "gpt-4o", "stream": %b, "messages": [{"role": "user", "content": "%b"}]}'
    data = body % (b"true" if streamed else b"false", PROMPT)
    request = load.ask(started.url, data, STREAM if streamed else {})
    callers = await load.Callers.connect(request, CONNECTIONS)
    callers.start()
    while callers.calls < count:
        await asyncio.sleep(0.05)
    await callers.stop()
    callers.close()
    return callers.calls


def _rows(served: processes.Serving) -> int:
    rows = processes.get_json(f"{served.console_url}/api/spend?since=1h&by=provider")
    return sum(int(row["calls"]) for row in rows)


def _meter_s(pid: int) -> float:
    """CPU seconds so far of the meter process of the supervisor `pid`."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(
        processor_s(int(child))
        for child in children
        if "meter_process" in Path(f"/proc/{child}/cmdline").read_text()
    )


@contextmanager
def _relays(folder: Path, count: int = RELAYS) -> Iterator[Started]:
    run = contextmanager(Taximeter(count))
    with (
        printing_its_port([*module("trials.bench.upstream")]) as (_, port),
        run(Upstream(port=port), folder) as started,
    ):
        yield started


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trials.bench.scale", description=__doc__)
    parser.add_argument("--streams", type=int, default=10_000, help="that are idle; 0: none")
    parser.add_argument("--calls", type=int, default=30_000, help="for the meter; 0: none")
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.streams:
        sys.stdout.write(idle_streams(options.streams) + "\n")
    if options.calls:
        sys.stdout.write(meter(options.calls, streamed=False) + "\n")
        sys.stdout.write(meter(options.calls // 4, streamed=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
