"""Thousands of slow streams at once, then some minutes of traffic: does anything grow?"""

import asyncio
import resource
import time
from dataclasses import dataclass
from random import Random

from evaluation.faults.audit import Result
from evaluation.faults.callers import Callers, Stream
from evaluation.faults.stores import audit
from evaluation.faults.world import Served, World

STREAMS_AT_ONCE = 10_000
DESCRIPTORS_EACH = (
    3  # of a stream: caller's end here; both ends in the relay, another in the provider
)
SOAK_PER_S = 60
SAMPLE_S = 2.0
WARM_S = 30.0  # until caches, pools and the allocator have their size
TICK_S = 0.01
IDLE_S = 35.0  # idle connections to the provider are looked through every 15 s


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: seconds since the start, calls made so far, resident bytes, descriptors."""

    at_s: float
    calls: int
    relay: int
    meter: int
    files: int


async def run(world: World, rounds: int) -> list[Result]:
    """`rounds` is the length of the soak: four seconds each."""
    return [await _at_once(world), await _soak(world, seconds=4.0 * rounds)]


async def _at_once(world: World) -> Result:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    count = min(STREAMS_AT_ONCE, limit // DESCRIPTORS_EACH)
    result = Result(fault=f"{count:,} slow streams at once")
    with world.serve("many", relays=3) as served:
        before = served.memory("relay")
        callers = Callers(served.served.proxy_url, "many")
        making = asyncio.create_task(
            callers.make(count, [Stream(tokens=10, seconds=60.0)], Random(5))
        )
        await asyncio.sleep(30)
        each = (served.memory("relay") - before) / count
        delays = await _delays(served, seconds=5.0)
        await making
        await audit(result, served, callers)
        result.notes.append(f"{each / 1024:.1f} KiB of relay memory for each stream")
        result.notes.append(_percentiles("a tiny request to the relay meanwhile", delays))
        await asyncio.sleep(IDLE_S)
        left = served.files("relay")
        result.check(left < 2 * 64, f"{left} descriptors {IDLE_S:.0f} s after the last one")
    return result


async def _soak(world: World, seconds: float) -> Result:
    result = Result(fault=f"soak of {seconds:.0f} s")
    with world.serve("soak", relays=1) as served:
        callers, stop = Callers(served.served.proxy_url, "soak"), asyncio.Event()
        making = asyncio.create_task(
            callers.keep_on(SOAK_PER_S, Stream(tokens=20, seconds=0.5), stop)
        )
        began, samples, delays = time.monotonic(), [], []
        while (at_s := time.monotonic() - began) < seconds:
            memory = served.memory("relay"), served.memory("meter")
            samples.append(Sample(at_s, len(callers.seen), *memory, served.files("relay")))
            delays += await _delays(served, seconds=SAMPLE_S)
        stop.set()
        await making
        await audit(result, served, callers)
    steady = [one for one in samples if one.at_s > WARM_S] or samples
    for part in ("relay", "meter"):
        slope = _slope([(one.calls, getattr(one, part)) for one in steady])
        result.notes.append(f"{part}: {slope:+.0f} bytes for each call")
    result.check(steady[-1].files <= steady[0].files + 64, "descriptors do not grow")
    result.notes.append(f"{result.calls / seconds:.0f} calls/s")
    result.notes.append(_percentiles("a tiny request to the relay meanwhile", delays))
    return result


async def _delays(served: Served, seconds: float) -> list[float]:
    """How long the relay's loop makes a request wait that needs no provider: seconds each."""
    host, _, port = served.served.proxy_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    delays, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        writer.write(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        delays.append(time.monotonic() - start)
        await asyncio.sleep(TICK_S)
    writer.close()
    return delays


def _percentiles(what: str, delays: list[float]) -> str:
    ordered = sorted(delays)
    p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    return f"{what}: p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms"


def _slope(points: list[tuple[int, int]]) -> float:
    """Least squares."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
