"""Measures what evidence costs the meter: CPU time per call for its leaf, beside all other work.

    python -m trials.bench.evidence_cost [--calls 5000] [--batch 1000] [--json]

A meter reads and prices calls and writes their records, which then go to an embedded store batch by
batch, followed by their leaves.  CPU time is that of the process with all threads of the store.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import process_time

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.evidence import EvidenceTable
from exporters.evidence.leaves import sealed
from exporters.record import Lot, Record, decode
from pricing import TariffBook
from proxy.commands import terminal
from proxy.commands.terminal import Column
from proxy.evidence.evidence import Evidence
from proxy.exchange import Kind
from proxy.journal.follower import Follower
from proxy.metering.recorder import Recorder
from proxy.metering.records import Metering
from proxy.settings.config import Config, JournalOptions, Provider
from proxy.settings.places import Places, store_dsn
from trials.bench.content_cost import CALLS_A_ROUND, put

KIND = "small JSON call"
COLUMNS = (Column("part", "part"), Column("ms", "ms per call", number=True))
PARTS = ("metering", "rows to the store", "leaves: hashing", "leaves: all")


async def records(folder: Path, book: TariffBook) -> tuple[float, list[Record]]:
    """CPU milliseconds per call to meter a round of calls, and their records."""
    config = Config(
        data=folder,
        journal=JournalOptions(fsync="never"),
        providers={"openai": Provider(name="openai")},
    )
    (folder / "state").mkdir(parents=True)
    metering = Metering(config, book, lambda provider, items, source: set(items))
    meter = Recorder(config, metering.records)
    put(folder / "calls", KIND, 0)
    began = process_time()
    await meter.drain()
    took = process_time() - began
    meter.close()
    follower = Follower(Places(folder).records, {})
    found = [
        decode(frame.payload)
        for writer in follower.scan()
        for frame in follower.poll(writer)
        if frame.kind == Kind.RECORD
    ]
    return 1000 * took / CALLS_A_ROUND, found


async def measured(calls: int, batch: int) -> dict[str, float]:
    """The median of each part, in milliseconds per call."""
    book = TariffBook.load()
    spent: dict[str, list[float]] = {part: [] for part in PARTS}
    with tempfile.TemporaryDirectory() as root:
        config = Config(data=Path(root) / "data")
        (config.data / "state").mkdir(parents=True)
        rows = ClickHouse(store_dsn(config))
        table = EvidenceTable(store_dsn(config))
        await rows.open()
        evidence = Evidence(config, table)
        made: list[Record] = []
        while len(made) < batch:
            took, found = await records(Path(root) / f"round-{len(made)}", book)
            spent["metering"].append(took)
            made += found
        for number in range(1 + max(1, calls // batch)):
            lot = Lot(f"w:{number + 1}:0-{batch}", tuple(made[:batch]))
            times = [process_time()]
            await rows.export(lot)
            times.append(process_time())
            sealed("call", lot.records)
            times.append(process_time())
            await evidence.add("clickhouse", lot.token, {"call": lot.records})
            times.append(process_time())
            for part, first, end in zip(PARTS[1:], times, times[1:], strict=False):
                spent[part].append(1000 * (end - first) / batch)
        await rows.close()
        await table.close()
    return {part: statistics.median(values[1:] or values) for part, values in spent.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(
        prog="python -m trials.bench.evidence_cost", description=__doc__
    )
    parser.add_argument("--calls", type=int, default=5_000, help="in all (5000)")
    parser.add_argument("--batch", type=int, default=1_000, help="calls of one insert (1000)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    found = asyncio.run(measured(arguments.calls, arguments.batch))
    if arguments.json:
        terminal.emit(found)
    else:
        terminal.show(COLUMNS, [{"part": part, "ms": f"{ms:.4f}"} for part, ms in found.items()])
    return 0


if __name__ == "__main__":
    sys.exit(main())
