"""Two machines, each with a `taximeter serve`, that share one ClickHouse."""

import asyncio
from functools import partial
from random import Random

from evaluation.standin import processes
from trials.faults.audit import AuditResult, agreeing, compare, dispatched, settled
from trials.faults.callers import Callers, Stream
from trials.faults.world import World

STREAMS = (Stream(tokens=6, seconds=0.5), Stream(seconds=0.0))


async def run(world: World, rounds: int) -> list[AuditResult]:
    """Both start at the same time and share a group of calls; then one meter is killed."""
    result = AuditResult(fault="two taximeter serve on one ClickHouse")
    with world.serve("left") as left, world.serve("right") as right:
        callers = [Callers(one.served.proxy_url, f"pair{n}") for n, one in enumerate((left, right))]
        making = asyncio.gather(*(one.make(300, STREAMS, Random(3)) for one in callers))
        await asyncio.sleep(0.6)
        world.server.fault("commit_then_drop", count=2)
        right.kill("meter")
        await making
        answers = world.answers()
        for one in callers:
            answered = dispatched(answers, one.group)
            rows = await settled(partial(world.rows, one.group), len(answered))
            rollup = await agreeing(partial(world.rollup, one.group), rows)
            compare(result, one.seen, answered, rows, rollup)
    processes.clear_journal(world.provider)
    return [result]
