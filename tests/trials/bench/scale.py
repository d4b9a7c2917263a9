"""`python -m trials.bench.scale`: memory of many idle streams; each has its head, and waits."""

import argparse
import asyncio
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from proxy.serving.child import module
from trials.bench import load
from trials.bench.contenders import Taximeter
from trials.bench.launching import Started, Upstream, printing_its_port
from trials.bench.measuring import memory_bytes

RELAYS = 2
HOLD_MS = 600_000
CONNECTING_MAX = 200  # connections opened at once


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
    parser.add_argument("--streams", type=int, default=10_000, help="that are idle")
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sys.stdout.write(idle_streams(options.streams) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
