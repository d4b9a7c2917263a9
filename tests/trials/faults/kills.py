"""`kill -9` of relays, meter and supervisor at random moments, with hundreds of calls in flight."""

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from functools import partial
from random import Random

from evaluation.standin import processes
from trials.faults.audit import AuditResult, agreeing, compare, dispatched, settled
from trials.faults.callers import Callers, Stream
from trials.faults.collectors import Collector, check_spans
from trials.faults.stores import audit
from trials.faults.world import Served, World

STREAMS = (Stream(tokens=6, seconds=0.5), Stream(tokens=8, seconds=1.5), Stream(seconds=0.0))
STEADY_S = 5.5  # a process that dies sooner is restarted after longer and longer delays
# Who dies, round by round: (process, slot).
VICTIMS: tuple[tuple[tuple[str, int | None], ...], ...] = (
    (("relay", 0),),
    (("meter", None),),
    (("relay", 1),),
    (("relay", 0),),
    (("meter", None), ("relay", 1)),
)


async def kill_9(world: World, rounds: int, calls: int = 200) -> list[AuditResult]:
    """Kill relays, the meter and both in turn, in one `taximeter serve` with two relays."""
    result, collector = (
        AuditResult(fault="kill -9 of relay, meter, both", rounds=rounds),
        Collector(),
    )
    async with collector.listening():
        with world.serve("kills", relays=2, tables=collector.table) as served:
            rows = await _rounds(served, result, rounds, calls, "kill")
            await check_spans(result, collector, rows)
    return [result]


async def kill_9_embedded(world: World, rounds: int, calls: int = 100) -> list[AuditResult]:
    """The same with chDB embedded in the meter: the engine dies with it."""
    rounds = max(1, rounds // 5)
    result = AuditResult(fault="kill -9, store embedded in the meter", rounds=rounds)
    with world.serve("embedded", relays=2, embedded=True) as served:
        await _rounds(served, result, rounds, calls, "chdb")
    return [result]


async def kill_9_supervisor(world: World, rounds: int, calls: int = 200) -> list[AuditResult]:
    """Kill the supervisor alone, whose relays then finish their calls; then everything at once."""
    rounds = max(1, rounds // 10)
    alone = AuditResult(fault="kill -9 of the supervisor alone", rounds=rounds)
    every = AuditResult(fault="kill -9 of supervisor, relays and meter", rounds=rounds)
    for result, whole in ((alone, False), (every, True)):
        port, slowest = 0, 0.0
        for number in range(rounds):
            again = await _without_supervisor(world, result, calls, number, port, whole=whole)
            port, slowest = again.port, max(slowest, again.took_s)
        result.notes.append(f"longest time until it served again: {slowest:.1f} s")
    return [alone, every]


@dataclass(frozen=True, slots=True)
class Again:
    """A `taximeter serve` that took over from a dead one, and after how many seconds."""

    port: int
    took_s: float


async def _without_supervisor(
    world: World, result: AuditResult, calls: int, number: int, port: int, *, whole: bool
) -> Again:
    """One round: kill, restart on the same data and port, audit."""
    name, random = "every" if whole else "alone", Random(number)
    with world.serve(name, relays=2, port=port) as served:
        callers = Callers(served.served.proxy_url, f"{name}{number}")
        making = asyncio.create_task(callers.make(calls, STREAMS, random))
        await asyncio.sleep(random.uniform(0.5, 1.5) if whole else 0.6)  # all were dispatched
        below = served.processes("relay") + served.processes("meter")
        for pid in (served.served.pid, *(below if whole else ())):
            os.kill(pid, signal.SIGKILL)
        await making
    began = time.monotonic()
    with world.serve(name, relays=2, port=served.port) as again:
        took = time.monotonic() - began
        await audit(result, again, callers, cuts=whole)
    return Again(served.port, took)


async def _rounds(
    served: Served, result: AuditResult, rounds: int, calls: int, name: str
) -> list[processes.Row]:
    """Returns all rows."""
    random, slowest, groups = Random(7), {"relay": 0.0, "meter": 0.0}, []
    began: dict[tuple[str, int | None], float] = {}
    for number in range(rounds):
        victims = VICTIMS[number % len(VICTIMS)]
        steady = max(began.get(victim, 0.0) + STEADY_S for victim in victims)
        await asyncio.sleep(max(0.0, steady - time.monotonic()))
        callers = Callers(served.served.proxy_url, f"{name}{number}")
        groups.append(callers)
        making = asyncio.create_task(callers.make(calls, STREAMS, random))
        await asyncio.sleep(random.uniform(0.05, 1.6))
        dead = {victim: served.kill(*victim) for victim in victims}
        for (part, slot), pids in dead.items():
            took = await served.restarted(part, slot, pids)
            slowest[part] = max(slowest[part], took)
            began[part, slot] = time.monotonic()
        await making
    answers, every = served.world.answers(), []
    for number, callers in enumerate(groups):
        answered = dispatched(answers, callers.group)
        rows = await settled(partial(served.rows, callers.group), len(answered))
        rollup = None
        if not served.embedded:
            rollup = await agreeing(partial(served.world.rollup, callers.group), rows)
        relay_died = any(part == "relay" for part, _ in VICTIMS[number % len(VICTIMS)])
        compare(result, callers.seen, answered, rows, rollup, cuts=relay_died)
        _only_the_dead_relays_calls_were_cut(result, rows)
        every += rows
    processes.clear_journal(served.world.provider)
    times = ", ".join(f"{part} {took:.2f} s" for part, took in slowest.items())
    result.notes.append(f"longest time until a dead one was restarted: {times}")
    return every


def _only_the_dead_relays_calls_were_cut(result: AuditResult, rows: list[processes.Row]) -> None:
    """Check that the death of a relay cuts only its own calls."""
    cut = {str(row["source"]).partition(":")[0] for row in rows if row["outcome"] == "interrupted"}
    if len(cut) > 1:
        result.wrong += 1
        result.notes.append(f"calls of {len(cut)} relays were cut in one round: {sorted(cut)}")
