"""Makes the calls of `evaluation.workload` against a proxy in front of the stand-in provider."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from random import Random

import aiohttp

from evaluation.workload import Planned, plan

IN_FLIGHT_MAX = 256  # beyond it the traffic waits, and offers less than its rate
TIMEOUT_S = 120.0


@dataclass(slots=True)
class Tally:
    """How the calls ended, as the application saw it."""

    calls: int = 0
    by_status: Counter[int] = field(default_factory=Counter)  # 0: broken or left
    response_bytes: int = 0


async def run(
    base_url: str,
    *,
    rate: float,
    seconds: float | None = None,
    calls: int | None = None,
    seed: int = 1,
    speed: float = 1.0,
    stop: asyncio.Event | None = None,
    finish_s: float = TIMEOUT_S,
) -> Tally:
    """Make `rate` calls a second against the proxy for `seconds`, or so many `calls`.

    `speed` divides all times of the stand-in.  `stop` ends the traffic early.  Calls that are in
    flight at the end have `finish_s` to finish, then they are left.
    """
    stop, tally, slots = stop or asyncio.Event(), Tally(), asyncio.Semaphore(IN_FLIGHT_MAX)
    running: set[asyncio.Task[None]] = set()
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        async for planned in _due(plan(seed, speed), rate, seconds, calls, Random(seed)):
            await slots.acquire()
            if stop.is_set():
                break
            task = asyncio.create_task(_call(session, base_url, planned, tally, slots))
            running.add(task)
            task.add_done_callback(running.discard)
        if running:
            _, late = await asyncio.wait(running, timeout=finish_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
    return tally


async def _due(
    planned: Iterator[Planned],
    rate: float,
    seconds: float | None,
    calls: int | None,
    random: Random,
) -> AsyncIterator[Planned]:
    """Each planned call when it is due: a Poisson process, as independent users make it."""
    start, due = time.monotonic(), 0.0
    for made, one in enumerate(planned):
        due += random.expovariate(rate)
        if (seconds is not None and due > seconds) or (calls is not None and made >= calls):
            return
        await asyncio.sleep(max(0.0, start + due - time.monotonic()))
        yield one


async def _call(
    session: aiohttp.ClientSession,
    base_url: str,
    planned: Planned,
    tally: Tally,
    slots: asyncio.Semaphore,
) -> None:
    tally.calls += 1
    status = 0
    try:
        async with session.post(
            base_url + planned.path, json=planned.body, headers=planned.headers
        ) as response:
            seen = 0
            async for chunk in response.content.iter_any():
                seen += len(chunk)
                tally.response_bytes += len(chunk)
                if planned.leave_after_bytes is not None and seen >= planned.leave_after_bytes:
                    response.close()
                    break
            else:
                status = response.status
    except (aiohttp.ClientError, TimeoutError):
        pass  # broken streams are part of the plan, and counted under 0
    finally:
        slots.release()
        tally.by_status[status] += 1
