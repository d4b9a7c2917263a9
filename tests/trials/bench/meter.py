"""`python -m trials.bench.meter`: how fast the meter is, on one core with the engine.

A journal that a relay wrote is metered, priced and stored by a fresh `taximeter serve`: of plain
calls, of streams, and of plain calls whose spans go to a collector as well.  Then calls come at a
steady rate, and rows are counted meanwhile: how many are missing is by how much the meter is late.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from aiohttp import web

from evaluation.standin import processes
from proxy.serving.child import module
from trials.bench import load
from trials.bench.contenders import Taximeter
from trials.bench.launching import Started, Upstream, printing_its_port
from trials.bench.measuring import CONNECTIONS, STREAM, processor_s

ROWS_S = 300.0  # for the meter to finish
POLL_S = 1.0  # between two looks, each of which costs the meter a query
PROMPT = b"tell me more " * 140  # 1.8 kB
BODY = b'{"model": "gpt-4o", "stream": %b, "messages": [{"role": "user", "content": "%b"}]}'
PACED_S = 20.0
PACED_CONNECTIONS = 64


def backlog(calls: int, *, streamed: bool, otlp: bool = False) -> str:
    """How fast calls become rows, from the journal to the embedded store."""
    kind = "streams of 80 chunks" if streamed else "plain calls"
    with TemporaryDirectory(prefix="taximeter-meter-") as name:
        data = Path(name) / "data"
        with _upstream() as upstream, _relay(upstream, data) as started:
            made = asyncio.run(_calls(started, calls, streamed=streamed))
        with _collector() if otlp else _nothing() as endpoint, _alone(0):
            settings = f'[otlp]\nendpoint = "{endpoint}"\n' if otlp else ""
            with processes.serve(Path(name), {}, settings=settings) as served:
                pid = _meter_of(served.pid)
                used, began, first = processor_s(pid), time.monotonic(), _rows(served)
                _until(served, made, began)
                while otlp and _spans(served) < made:
                    time.sleep(POLL_S / 10)
                seconds, cpu_s = time.monotonic() - began, processor_s(pid) - used
    done = made - first
    return (
        f"{done:,} {kind} metered, priced and stored{', with spans' if otlp else ''} in "
        f"{seconds:.1f} s: {done / seconds:,.0f}/s, "
        f"{cpu_s / done * 1e3:.2f} ms of CPU for each ({done / cpu_s:,.0f}/s of CPU)"
    )


def late(per_s: float, *, streamed: bool) -> str:
    """By how much rows are late while calls come at a rate; the meter has a core of its own."""
    kind = "streams" if streamed else "plain calls"
    with (
        TemporaryDirectory(prefix="taximeter-meter-") as name,
        _upstream() as upstream,
        processes.serve(Path(name), {"openai": upstream.url + "/openai"}) as served,
        _alone(-1),
    ):
        os.sched_setaffinity(_meter_of(served.pid), {0})
        missing, made = asyncio.run(_paced(served, per_s, streamed=streamed))
    return (
        f"{made / PACED_S:,.0f} {kind}/s of {per_s:,.0f} for {PACED_S:.0f} s: "
        f"rows at most {max(missing) * PACED_S / made:.1f} s late"
    )


async def _paced(
    served: processes.Serving, per_s: float, *, streamed: bool
) -> tuple[list[int], int]:
    """The rows that were missing at each look, and how many calls were made."""
    url = f"{served.proxy_url}/openai/v1/chat/completions"
    request = load.ask(url, BODY % (_json(streamed), PROMPT), STREAM if streamed else {})
    callers = await load.Callers.connect(request, PACED_CONNECTIONS)
    missing = [0]

    async def look() -> None:
        while True:
            await asyncio.sleep(POLL_S)
            made = callers.calls
            missing.append(made - await asyncio.to_thread(_rows, served))

    looking = asyncio.create_task(look())
    made = len(await callers.paced(per_s, PACED_S))
    looking.cancel()
    callers.close()
    return missing, made


async def _calls(started: Started, count: int, *, streamed: bool) -> int:
    request = load.ask(started.url, BODY % (_json(streamed), PROMPT), STREAM if streamed else {})
    callers = await load.Callers.connect(request, CONNECTIONS)
    callers.start()
    while callers.calls < count:
        await asyncio.sleep(0.05)
    await callers.stop()
    callers.close()
    return callers.calls


def _json(value: bool) -> bytes:
    return b"true" if value else b"false"


def _until(served: processes.Serving, made: int, began: float) -> None:
    while (rows := _rows(served)) < made:
        if time.monotonic() - began > ROWS_S:
            raise TimeoutError(f"{rows:,} of {made:,} rows after {ROWS_S:g} s")
        time.sleep(POLL_S)


def _rows(served: processes.Serving) -> int:
    rows = processes.get_json(f"{served.console_url}/api/spend?since=1h&by=provider")
    return sum(int(row["calls"]) for row in rows)


def _spans(served: processes.Serving) -> int:
    """How many the collector has taken."""
    parts = processes.get_json(f"{served.console_url}/api/health")["parts"]
    return int(parts["otel"]["delivered"])


def _meter_of(pid: int) -> int:
    """The meter process of the supervisor `pid`."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if "meter_process" in Path(f"/proc/{child}/cmdline").read_text():
            return int(child)
    raise ProcessLookupError(f"{pid} has no meter")


@contextmanager
def _alone(core: int) -> Iterator[None]:
    """On one core, with everything that is started meanwhile: the first (0) or the last (-1)."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[core]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _upstream() -> Iterator[Upstream]:
    with printing_its_port([*module("trials.bench.upstream")]) as (_, port):
        yield Upstream(port=port)


@contextmanager
def _relay(upstream: Upstream, folder: Path) -> Iterator[Started]:
    with contextmanager(Taximeter())(upstream, folder) as started:
        yield started


@contextmanager
def _nothing() -> Iterator[str]:
    yield ""


@contextmanager
def _collector() -> Iterator[str]:
    """Takes spans and looks at none of them, on a thread of this process."""
    loop = asyncio.new_event_loop()

    async def taken(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(content_type="application/x-protobuf")

    async def start() -> tuple[web.AppRunner, int]:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/{path:.*}", taken)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port := processes.free_port())
        await site.start()
        return runner, port

    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner, port = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trials.bench.meter", description=__doc__)
    parser.add_argument("--calls", type=int, default=30_000, help="of the backlog; 0: none")
    parser.add_argument("--rate", type=float, default=1_500, help="plain calls a second; 0: none")
    options = parser.parse_args()
    if options.calls:
        sys.stdout.write(backlog(options.calls, streamed=False) + "\n")
        sys.stdout.write(backlog(options.calls // 4, streamed=True) + "\n")
        sys.stdout.write(backlog(options.calls, streamed=False, otlp=True) + "\n")
    if options.rate:
        sys.stdout.write(late(options.rate, streamed=False) + "\n")
        sys.stdout.write(late(options.rate / 4, streamed=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
