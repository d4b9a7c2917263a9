"""Thousands of slow streams at once: every one of them gets through."""

import asyncio
import resource
import time
from random import Random

from trials.faults.audit import AuditResult
from trials.faults.callers import Callers, Stream
from trials.faults.lag import lag_since
from trials.faults.stores import audit
from trials.faults.world import Served, World

STREAMS_AT_ONCE = 10_000
RELAYS = 3  # a stream takes two descriptors of its relay; many systems allow 20,000
SPARE = 500  # descriptors for everything else, in callers and provider
SLOW = Stream(tokens=10, seconds=60.0)
BEGUN_S = 45.0  # by then all have started
POLL_S = 0.5
AMID_S = 10.0  # after all have started, and before the first one ends
IDLE_S = 35.0  # idle connections to the provider are closed every 15 s
LEFT_MAX = 64  # descriptors of an idle relay


async def run(world: World, rounds: int) -> list[AuditResult]:
    """Run it."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    count = min(STREAMS_AT_ONCE, limit - SPARE)
    result = AuditResult(fault=f"{count:,} slow streams at once")
    with world.serve("many", relays=RELAYS) as served:
        memory, before = served.memory("relay"), served.loop_lag()
        callers = Callers(served.served.proxy_url, "many")
        making = asyncio.create_task(callers.make(count, [SLOW], Random(5)))
        at_once = await _open_at_once(served, count)
        begun = served.loop_lag()
        await asyncio.sleep(AMID_S)
        each = (served.memory("relay") - memory) / count
        await making
        result.check(at_once >= count, f"{at_once:,} calls were open at the same time")
        result.notes.append(f"{each / 1024:.1f} KiB of relay memory for each stream")
        result.notes.append(f"while all began: {lag_since(before, begun)}")
        result.notes.append(f"while all streamed: {lag_since(begun, served.loop_lag())}")
        await audit(result, served, callers)
        await asyncio.sleep(IDLE_S)
        left = served.files("relay")
        result.check(
            left < RELAYS * LEFT_MAX, f"{left} descriptors {IDLE_S:.0f} s after the last one"
        )
    return [result]


async def _open_at_once(served: Served, count: int) -> int:
    """The most calls that were open at the same time, until there are `count`."""
    deadline, most = time.monotonic() + BEGUN_S, 0
    while most < count and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)
        most = max(most, await asyncio.to_thread(served.open_calls))
    return most
