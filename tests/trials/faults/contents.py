"""Content capture under faults: rows stay exact, content is there once, losses are counted.

`kill -9` of the meter with calls in flight, and a store that is down while hardly any content may
wait.
"""

import asyncio
import time
from random import Random

from evaluation.standin import processes
from exporters.clickhouse.store import Row, Store
from exporters.record import TransientError
from trials.faults.audit import AuditResult, settled
from trials.faults.callers import Callers, Stream
from trials.faults.stores import audit
from trials.faults.world import Served, World

STREAMS = (Stream(tokens=6, seconds=0.5), Stream(tokens=8, seconds=1.0))
CAPTURE = "[content]\ncapture = true\n"
DOWN_S = 6.0
WAIT_S = 20.0  # for content to arrive


async def run(world: World, rounds: int) -> list[AuditResult]:
    """Both faults."""
    return [await killed(world, max(1, rounds // 5)), await no_room(world)]


async def killed(world: World, rounds: int, calls: int = 100) -> AuditResult:
    """The meter dies at random moments; each call's content is read once, and is its own."""
    result = AuditResult(fault="kill -9 of the meter, content captured", rounds=rounds)
    random = Random(11)
    with world.serve("content", tables=CAPTURE) as served:
        for number in range(rounds):
            callers = Callers(served.served.proxy_url, f"said{number}")
            making = asyncio.create_task(callers.make(calls, STREAMS, random))
            await asyncio.sleep(random.uniform(0.3, 1.2))
            await served.restarted("meter", None, served.kill("meter"))
            await making
            await audit(result, served, callers)
            kept = await _contents(world, callers.group, calls)
            tickets = {f"ticket {seen.ticket}" for seen in callers.seen}
            said = {str(one["request"]).split('"content":"')[1].split('"')[0] for one in kept}
            result.check(said == tickets, f"{len(kept)} of {calls} calls have their content")
    return result


async def no_room(world: World, calls: int = 60) -> AuditResult:
    """The store is down and little content may wait: every row arrives, drops are counted."""
    result = AuditResult(fault="store down, no room for content", rounds=1)
    tables = f"{CAPTURE}journal_bytes_max = 20_000\n"
    with world.serve("room", tables=tables) as served:
        warm = Callers(served.served.proxy_url, "noroomwarm")
        await warm.make(1, STREAMS, Random(1))
        await audit(result, served, warm)
        world.server.fault("refuse", seconds=DOWN_S)
        callers = Callers(served.served.proxy_url, "noroom")
        await callers.make(calls, STREAMS, Random(2))
        await asyncio.sleep(DOWN_S)
        await audit(result, served, callers)
        content = _content(served)
        kept = await _contents(world, "noroom", int(content["captured"]) - 1)
        result.check(0 < content["dropped"] < calls, f"{content['dropped']} drops are counted")
        result.check(
            len(kept) == content["captured"] - 1, f"the {len(kept)} that were not are there"
        )
    return result


def _content(served: Served) -> dict[str, int]:
    found: dict[str, int] = served.health()["content"]
    return found


async def _contents(world: World, group: str, wanted: int) -> list[Row]:
    """What the console would show of each call of a group, once so many have something."""
    store = Store(world.dsn)
    deadline = time.monotonic() + WAIT_S
    try:
        while True:
            rows = await settled(lambda: world.rows(group), wanted)
            found = [row for one in rows if (row := await _one(store, str(one["call_id"])))]
            if len(found) >= wanted or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.2)
    finally:
        await store.close()


async def _one(store: Store, call_id: str) -> processes.Row | None:
    try:
        return await store.content(call_id)
    except TransientError:
        return None
