"""A million calls, as fast as this machine meters them: none is missing, and nothing grows."""

import asyncio
import time
from dataclasses import dataclass

from rich.progress import Progress

from exporters.clickhouse.store import Store
from trials.faults.audit import AuditResult
from trials.faults.bulk import Bulk, check_rollup, check_sums, one_row, settled_sums
from trials.faults.lag import lag_since
from trials.faults.world import Served, World, sums

CALLS_PER_ROUND = 20_000
CONNECTIONS = 8  # of each kind
SAMPLE_S = 2.0
BACKLOG_BYTES = 48 * 1024 * 1024  # of journals; without a limit the relay would outrun the meter
GROWTH_MAX = 0.1  # of its size, in the second half; less counts as flat
JUDGED_CALLS = 500_000  # with fewer, caches still fill: growth is reported, not judged
QUARTERS, FLOORS = 4, 10  # parts of the run, and of its second half
FILES_MAX = 64  # descriptors that may vary
STREAMED_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: calls so far, bytes of memory, descriptors, bytes of the journals."""

    calls: int
    relay: int
    meter: int
    files: int
    disk: int


async def run(world: World, rounds: int) -> list[AuditResult]:
    """Make `rounds` times 20,000 calls."""
    calls = rounds * CALLS_PER_ROUND
    result = AuditResult(fault=f"soak of {calls:,} calls")
    with world.serve("soak", embedded=True, batch_age_s=1.0) as served:
        kinds = await _kinds(served)
        lag, began = served.loop_lag(), time.monotonic()
        samples = await _make(served, kinds, calls)
        took, lag_told = time.monotonic() - began, lag_since(lag, served.loop_lag())
        behind = time.monotonic()
        rollups = [await settled_sums(served, bulk.team, bulk.begun) for bulk, _ in kinds]
        result.notes.append(f"the last row came {time.monotonic() - behind:.1f} s after its call")
    store = Store(f"chdb://{served.data / 'chdb'}")  # nobody else has it open now
    for (bulk, one), rollup in zip(kinds, rollups, strict=True):
        found = await sums(store, bulk.team)
        check_sums(result, bulk, found, one)
        check_rollup(result, found, rollup)
    await store.close()
    result.notes.append(f"{result.calls / took:.0f} calls/s for {took / 60:.0f} min")
    result.notes.append(lag_told)
    _check_growth(result, samples)
    return [result]


async def _kinds(served: Served) -> list[tuple[Bulk, dict[str, object]]]:
    """Whole answers and streams, each kind with the row of one such call."""
    kinds = []
    for team, streamed in (("whole", False), ("streamed", True)):
        one = await one_row(served, team, streamed=streamed)
        bulk = Bulk(
            proxy_url=served.served.proxy_url,
            team=team,
            connections=CONNECTIONS,
            streamed=streamed,
        )
        kinds.append((bulk, one))
    return kinds


async def _make(
    served: Served, kinds: list[tuple[Bulk, dict[str, object]]], calls: int
) -> list[Sample]:
    """Make all calls, and sample the processes every few seconds."""
    whole, streamed = (bulk for bulk, _ in kinds)
    stop, samples = asyncio.Event(), list[Sample]()
    share = round(calls * STREAMED_SHARE)
    making = asyncio.gather(whole.make(calls - share, stop), streamed.make(share, stop))
    with Progress() as progress:
        task = progress.add_task("calls", total=calls)
        while not making.done():
            made = whole.begun + streamed.begun
            progress.update(task, completed=made)
            memory = served.memory("relay"), served.memory("meter")
            samples.append(Sample(made, *memory, served.files("relay"), served.disk()))
            for bulk in (whole, streamed):
                bulk.go.set() if samples[-1].disk < BACKLOG_BYTES else bulk.go.clear()
            await asyncio.wait({making}, timeout=SAMPLE_S)
    making.result()
    return samples


def _check_growth(result: AuditResult, samples: list[Sample]) -> None:
    """Judge the minimum that a process holds: a merge of the engine takes 100 MiB and returns them.

    In the first half pools, caches and the allocator reach their size.
    """
    half = samples[len(samples) // 2 :]
    for part in ("relay", "meter"):
        floors = [_floor(piece, part) for piece in _pieces(samples, QUARTERS)]
        points = [(piece[0].calls, _floor(piece, part)) for piece in _pieces(half, FLOORS)]
        slope = _slope(points)
        grown = slope * (half[-1].calls - half[0].calls)
        told = ", ".join(f"{floor / 2**20:.0f}" for floor in floors)
        most = max(getattr(one, part) for one in samples)
        result.check(
            samples[-1].calls < JUDGED_CALLS or grown < GROWTH_MAX * floors[-1],
            f"{part}: at least {told} MiB in the quarters, {most / 2**20:.0f} at most,"
            f" {slope:+.2f} bytes for each call in the second half",
        )
    files = [one.files for one in half]
    result.check(max(files) - min(files) < FILES_MAX, f"{min(files)} to {max(files)} descriptors")
    disk = max(one.disk for one in samples)
    result.notes.append(f"{disk / 2**20:.0f} MiB of journals at most")


def _pieces(samples: list[Sample], count: int) -> list[list[Sample]]:
    size = max(1, len(samples) // count)
    return [samples[at : at + size] for at in range(0, len(samples) - size + 1, size)][:count]


def _floor(samples: list[Sample], part: str) -> int:
    return min(int(getattr(one, part)) for one in samples)


def _slope(points: list[tuple[int, int]]) -> float:
    """Slope by least squares."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
