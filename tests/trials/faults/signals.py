"""SIGTERM, once and twice, and SIGHUP while calls are in flight."""

import asyncio
import os
import signal
import socket
import time
from random import Random

from trials.faults.audit import AuditResult
from trials.faults.callers import Callers, Stream
from trials.faults.stores import audit
from trials.faults.world import Served, World

DRAIN_S = 30
LONG = Stream(tokens=12, seconds=6.0)
ENDLESS = Stream(tokens=60, seconds=60.0)
STOP_S = 8.0  # for relays and meter to end once the last call is over
HURRIED_S = 15.0


async def run(world: World, rounds: int) -> list[AuditResult]:
    """Run all three."""
    return [
        await _term(world),
        await _term_twice(world),
        await _hangup(world, max(1, rounds // 10)),
    ]


async def _term(world: World) -> AuditResult:
    """New callers are refused at once, open streams finish, rows arrive, the exit code is 0."""
    result = AuditResult(fault="SIGTERM with long streams")
    with world.serve("term", relays=2, settings=f"drain_timeout_s = {DRAIN_S}") as served:
        callers = Callers(served.served.proxy_url, "term")
        making = asyncio.create_task(callers.make(20, [LONG], Random(1)))
        await asyncio.sleep(2)
        began = time.monotonic()
        os.kill(served.served.pid, signal.SIGTERM)
        await asyncio.sleep(0.5)
        result.check(not _accepts(served), "new callers are refused within 0.5 s")
        await making
        ended = time.monotonic()
        code = await _exit_code(served.served.pid, STOP_S)
        result.check(code == 0, f"exit code {code}")
        took = time.monotonic() - ended
        result.check(took < STOP_S, f"exited {took:.1f} s after the last stream ended")
        result.notes.append(f"{ended - began:.1f} s of open streams finished")
    await audit(result, served, callers)
    return result


async def _term_twice(world: World) -> AuditResult:
    """The second SIGTERM cuts open calls, and their rows say so."""
    result = AuditResult(fault="second SIGTERM hurries")
    with world.serve("hurry", relays=2, settings=f"drain_timeout_s = {DRAIN_S}") as served:
        callers = Callers(served.served.proxy_url, "hurry")
        making = asyncio.create_task(callers.make(20, [ENDLESS], Random(1)))
        await asyncio.sleep(2)
        os.kill(served.served.pid, signal.SIGTERM)
        await asyncio.sleep(1)
        began = time.monotonic()
        os.kill(served.served.pid, signal.SIGTERM)
        code = await _exit_code(served.served.pid, HURRIED_S)
        await making
        took = time.monotonic() - began
        result.check(took < HURRIED_S, f"exited {took:.1f} s after it, exit code {code}")
    await audit(result, served, callers, cuts=True)
    return result


async def _hangup(world: World, rounds: int) -> AuditResult:
    """Every process is replaced under load, and no caller notices."""
    result = AuditResult(fault="SIGHUP rolling restart under load", rounds=rounds)
    with world.serve("hangup", relays=2) as served:
        callers, stop = Callers(served.served.proxy_url, "hangup"), asyncio.Event()
        making = asyncio.create_task(callers.keep_on(40, Stream(tokens=6, seconds=0.6), stop))
        for number in range(rounds):
            before = {*served.processes("relay"), *served.processes("meter")}
            os.kill(served.served.pid, signal.SIGHUP)
            await _replaced(served, number + 1)
            kept = before & {*served.processes("meter")}
            result.check(not kept, f"SIGHUP {number + 1}: every relay and the meter were replaced")
        stop.set()
        await making
        await audit(result, served, callers)
    return result


async def _replaced(served: Served, times: int, timeout_s: float = 60.0) -> None:
    """Wait until the supervisor logs it; until then it ignores another SIGHUP."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if served.served.log.read_text().count("Everything was replaced") == times:
            return
        await asyncio.sleep(0.1)
    raise TimeoutError("SIGHUP did not replace every process")


def _accepts(served: Served) -> bool:
    port = int(served.served.proxy_url.rpartition(":")[2])
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


async def _exit_code(pid: int, timeout_s: float) -> int | None:
    """The exit code of a child, which others can still wait for; None if it is running."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        ended = os.waitid(os.P_PID, pid, flags)  # noqa: ASYNC222 — with WNOHANG it does not wait
        if ended is not None:
            return ended.si_status
        await asyncio.sleep(0.05)
    return None
