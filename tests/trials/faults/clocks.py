"""A clock that is set back an hour, a leap day, and the end of summer time.

libfaketime sets the clock (Debian: apt-get install faketime); without it those faults are skipped.
The summer time is one of our own that ends during the run.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from trials.faults.audit import AuditResult
from trials.faults.callers import Callers, Stream
from trials.faults.stores import audit
from trials.faults.world import World

LIBRARIES = tuple(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
SHORT = Stream(tokens=6, seconds=0.3)
BEFORE_MIDNIGHT_S = 4  # to which the clock is set before a day ends
STEP_S = 12.0  # from the start of `taximeter serve` to the end of summer time


async def run(world: World, rounds: int) -> list[AuditResult]:
    """Run all three."""
    faults = (("clock set back an hour, meter killed", _set_back), ("a leap day", _leap_day))
    results = []
    for name, fault in faults:
        if LIBRARIES:
            results.append(await fault(world, name))
        else:
            note = "libfaketime is not installed"
            results.append(AuditResult(fault=name, skipped=True, notes=[note]))
    return [*results, await _summer_ends(world, "summer time ends")]


async def _leap_day(world: World, name: str) -> AuditResult:
    """29 February begins and ends while calls are made; each row is stored under its own day."""
    result = AuditResult(fault=name)
    clock = world.folder / "leap.offset"
    clock.write_text("+0")
    with world.serve("leap", variables=_faked(clock)) as served:
        callers = Callers(served.served.proxy_url, "leap")
        for day in (28, 29):
            midnight = datetime(2028, 2, day, tzinfo=UTC) + timedelta(days=1)
            offset = midnight - datetime.now(UTC) - timedelta(seconds=BEFORE_MIDNIGHT_S)
            clock.write_text(f"{offset.total_seconds():+.0f}")
            for _ in range(BEFORE_MIDNIGHT_S):
                await _load(callers)
        await audit(result, served, callers)
        days = {str(row["ts"])[:10] for row in await served.rows(callers.group)}
    wanted = {"2028-02-28", "2028-02-29", "2028-03-01"}
    result.check(days == wanted, f"rows of {', '.join(sorted(days))}")
    return result


async def _set_back(world: World, name: str) -> AuditResult:
    """Writers that start later still sort later, so no call is skipped or metered twice."""
    result = AuditResult(fault=name)
    clock = world.folder / "clock.offset"
    clock.write_text("+0")
    with world.serve("clock", variables=_faked(clock)) as served:
        callers = Callers(served.served.proxy_url, "clock")
        await _load(callers)
        clock.write_text("-3600")
        await _load(callers)
        for part in ("meter", "relay", "meter"):
            victims = served.kill(part)
            await served.restarted(part, None, victims)
            await asyncio.sleep(5)  # to count as steady, so that the next start is not delayed
            await _load(callers)
        await audit(result, served, callers)
        rows = await served.rows(callers.group)
        negative = sum(int(row["duration_us"]) < 0 for row in rows)
        result.check(not negative, "no duration is negative")
        times = sorted(str(row["ts"]) for row in rows)
        result.notes.append(f"rows from {times[0]} to {times[-1]}")
    return result


async def _summer_ends(world: World, name: str) -> AuditResult:
    """Local time falls back an hour while calls are made; rows and hours stay in UTC."""
    result = AuditResult(fault=name)
    began = datetime.now(UTC)
    zone = summer_time_until(began + timedelta(seconds=STEP_S))
    with world.serve("summer", variables={"TZ": zone}) as served:
        callers = Callers(served.served.proxy_url, "summer")
        while datetime.now(UTC) < began + timedelta(seconds=STEP_S + 5):
            await _load(callers)
        await audit(result, served, callers)
        times = sorted(str(row["ts"]) for row in await served.rows(callers.group))
    span = datetime.fromisoformat(times[-1]) - datetime.fromisoformat(times[0])
    inside = datetime.fromisoformat(times[0]) > began and datetime.now(UTC) - began > span
    result.check(inside, f"rows from {times[0]} to {times[-1]}, as the calls were made")
    return result


def summer_time_until(end: datetime) -> str:
    """A POSIX value of TZ with a rule by which summer time, an hour ahead, ends at `end`."""
    local = end + timedelta(hours=1)  # the rule is stated in summer time
    return f"WINTER0SUMMER-1,0/0,{local.timetuple().tm_yday - 1}/{local:%H:%M:%S}"


def _faked(clock: Path) -> dict[str, str]:
    """Variables that let a process read its wall clock, and no other, from a file."""
    return {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


async def _load(callers: Callers) -> None:
    stop = asyncio.Event()
    making = asyncio.create_task(callers.keep_on(25, SHORT, stop))
    await asyncio.sleep(1.5)
    stop.set()
    await making
