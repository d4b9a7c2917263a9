"""A ClickHouse that is down for an hour while calls go on."""

import asyncio
import time

from trials.faults.audit import AuditResult
from trials.faults.bulk import Bulk, check_rollup, check_sums, one_row, settled_sums
from trials.faults.world import Served, World

SECONDS_PER_ROUND = 72.0
CALLS_PER_S = 25.0
SAMPLE_S = 5.0
# Before the outage: one call in twenty is audited (`metering.audit_sample`), and the first of them
# makes the meter load its tokenizer, some 75 MiB, which is no part of what an outage costs.
FIRST_CALLS = 200
MEMORY_MAX = 64 * 1024 * 1024  # by which an outage may let the meter grow
ROW_BYTES_MAX = 8 * 1024  # on disk, for each waiting call


async def run(world: World, rounds: int) -> list[AuditResult]:
    """An outage of `rounds` times 72 s: the default of 50 rounds is an hour."""
    seconds = SECONDS_PER_ROUND * rounds
    result = AuditResult(fault=f"ClickHouse down for {seconds / 60:.0f} min under load")
    with world.serve("outage") as served:
        one = await one_row(served, "outage", calls=FIRST_CALLS)
        world.server.fault("refuse", seconds=seconds)
        bulk = Bulk(
            proxy_url=served.served.proxy_url, team="outage", connections=4, per_s=CALLS_PER_S
        )
        stop = asyncio.Event()
        making = asyncio.create_task(bulk.make(10**9, stop))
        grown, disk = await _watch(served, seconds)
        stop.set()
        await making
        began = time.monotonic()
        rollup = await settled_sums(served, bulk.team, bulk.begun)
        took = time.monotonic() - began
        found = await world.sums(bulk.team)
        check_sums(result, bulk, found, one)
        check_rollup(result, found, rollup)
        result.check(grown < MEMORY_MAX, f"the meter grew by {grown / 2**20:.1f} MiB meanwhile")
        result.check(
            disk < bulk.begun * ROW_BYTES_MAX, f"{disk / 2**20:.1f} MiB waited on disk at most"
        )
        result.check(await world.in_order(bulk.team), "rows came in the order of their calls")
        result.notes.append(f"caught up within {took:.1f} s of the end")
    return [result]


async def _watch(served: Served, seconds: float) -> tuple[int, int]:
    """The largest growth of the meter and of the journals until the server is back."""
    end, before, grown, disk = time.monotonic() + seconds, served.memory("meter"), 0, 0
    while time.monotonic() < end:
        await asyncio.sleep(SAMPLE_S)
        grown = max(grown, served.memory("meter") - before)
        disk = max(disk, served.disk())
    return grown, disk
