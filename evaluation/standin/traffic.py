"""Sends the calls of the workload to a proxy in front of the stand-in provider.

`python -m evaluation.standin.traffic http://127.0.0.1:4000` does so until it is stopped.
"""

import argparse
import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import aiohttp
import msgspec

from evaluation.standin.workload import Planned, batch, plan
from proxy.commands.numbers import count, positive

IN_FLIGHT_MAX = 256  # at this limit the traffic waits and falls below its rate
TIMEOUT_S = 120.0
FINISH_S = 5.0  # for calls in flight when the command ends; others are cancelled
BATCHES = "/anthropic/v1/messages/batches"
BATCH_POLLS_MAX = 10  # the stand-in says at the second one that a batch has ended
BATCH_POLL_S = 0.5


@dataclass(slots=True)
class TrafficTotals:
    """How the calls ended, as seen by the application."""

    calls: int = 0
    by_status: Counter[int] = field(default_factory=Counter)  # 0: broken or abandoned
    response_bytes: int = 0
    batch_items: int = 0  # whose results were downloaded; each is a row of its own


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
    batch_every_s: float | None = None,
) -> TrafficTotals:
    """Send `rate` calls per second to the proxy, for `seconds` or until there were `calls`.

    `speed` divides all times of the stand-in.  `stop` ends the traffic early.  Calls in flight at
    the end have `finish_s` seconds to finish, then they are cancelled.  With `batch_every_s` there
    is a batch in between so often, whose calls are beyond `rate` and `calls`.
    """
    stop, tally, slots = stop or asyncio.Event(), TrafficTotals(), asyncio.Semaphore(IN_FLIGHT_MAX)
    running: set[asyncio.Task[None]] = set()
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        batches = _Batches(session, base_url + BATCHES, tally)
        between = set[asyncio.Task[None]]()
        if batch_every_s is not None:
            between.add(asyncio.create_task(batches.make(batch_every_s, Random(seed))))
        async for planned in _due(plan(seed, speed), rate, seconds, calls, Random(seed)):
            await slots.acquire()
            if stop.is_set():
                break
            task = asyncio.create_task(_call(session, base_url, planned, tally, slots))
            running.add(task)
            task.add_done_callback(running.discard)
        for batching in between:
            batching.cancel()
        await asyncio.gather(*between, return_exceptions=True)
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
    """Each planned call when it is due: a Poisson process, as of independent users."""
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
    tally: TrafficTotals,
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
        pass  # broken streams are part of the workload, and counted under 0
    finally:
        slots.release()
        tally.by_status[status] += 1


@dataclass(slots=True)
class _Batches:
    """Sends, polls and downloads batches, one after the other."""

    session: aiohttp.ClientSession
    url: str
    tally: TrafficTotals

    async def make(self, every_s: float, random: Random) -> None:
        """One after every pause of `every_s` seconds, until cancelled."""
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):  # counted under 0, as others are
                await self._one(*batch(random))
            await asyncio.sleep(every_s)

    async def _one(self, headers: Mapping[str, str], body: object) -> None:
        made = msgspec.json.decode(await self._ask("POST", "", headers, body))["id"]
        for _ in range(BATCH_POLLS_MAX):
            await asyncio.sleep(BATCH_POLL_S)
            if b'"ended"' in await self._ask("GET", f"/{made}", headers):
                results = await self._ask("GET", f"/{made}/results", headers)
                self.tally.batch_items += results.count(b"\n")
                return

    async def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: object = None
    ) -> bytes:
        self.tally.calls += 1
        status = 0
        try:
            asked = self.session.request(method, self.url + path, json=body, headers=headers)
            async with asked as response:
                response.raise_for_status()
                data = await response.read()
                status = response.status
                return data
        finally:
            self.tally.by_status[status] += 1


async def _until_stopped(options: argparse.Namespace) -> TrafficTotals:
    """Send traffic until all calls are made, or until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await run(
        options.url,
        rate=options.rate,
        calls=options.calls,
        seed=options.seed,
        speed=options.speed,
        stop=stop,
        finish_s=FINISH_S,
        batch_every_s=options.batch_every,
    )


def main() -> None:
    """Send traffic, then print the totals as one line of JSON."""
    parser = argparse.ArgumentParser(prog="evaluation.standin.traffic", description=__doc__)
    add = parser.add_argument
    add("url", help="URL of the proxy, such as http://127.0.0.1:4000")
    add("--rate", type=positive, default=10.0, metavar="N", help="calls per second (default: 10)")
    add("--calls", type=count, metavar="N", help="number of calls (default: unlimited)")
    add("--seed", type=int, default=1, metavar="N", help="seed of the workload (default: 1)")
    add(
        "--speed", type=positive, default=1.0, metavar="N", help="divisor of all times (default: 1)"
    )
    help = "seconds between two batches (default: none are made)"
    add("--batch-every", type=positive, metavar="S", help=help)
    tally = asyncio.run(_until_stopped(parser.parse_args()))
    print(msgspec.json.encode(tally).decode(), flush=True)


if __name__ == "__main__":
    main()
