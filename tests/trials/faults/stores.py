"""A ClickHouse that refuses, hangs, fails, does not answer, or rejects one row for good."""

import asyncio
import json
import time

from evaluation.standin import processes
from trials.faults.audit import AuditResult, agreeing, compare, dispatched, settled
from trials.faults.callers import Callers, Stream
from trials.faults.webhooks import WebhookServer, complaints, once_a_minute, webhook
from trials.faults.world import Served, World

SHORT = Stream(tokens=6, seconds=0.3)
CALLS_PER_S = 25
# Name, and what the server does: see `support.clickhouse_server.Fault`.
FAULTS: tuple[tuple[str, dict[str, object]], ...] = (
    ("ClickHouse refuses connections", {"kind": "refuse", "seconds": 5.0}),
    ("ClickHouse hangs", {"kind": "hang", "seconds": 30.0, "count": 2}),
    ("ClickHouse answers 503", {"kind": "status", "code": 503, "count": 4}),
    ("ClickHouse drops before it works", {"kind": "drop_before", "count": 4}),
    ("ClickHouse commits, then drops", {"kind": "commit_then_drop", "count": 4}),
)
MEMORY_MAX = 64 * 1024 * 1024  # by which an outage may let the meter grow
LIMIT = 200_000  # bytes of each journal
OVER = 256 * 1024  # beyond the limit: the records of one slice of metering
QUIET_S = 4.0  # without it, until an alert ends
TOLD = {"frames_dropped", "journal_nearly_full"}  # of a full journal, at least
CANNOT_PARSE = 27  # ClickHouse's code for a row that it cannot parse


async def run(world: World, rounds: int) -> list[AuditResult]:
    """Inject each fault under load, in one `taximeter serve`."""
    results = []
    with world.serve("store") as served:
        await _warm(served)
        for name, fault in FAULTS:
            results.append(await _under_load(served, name, fault))
        results.append(await _down_for_long(served, 4.0 + min(rounds, 50) / 4))
        results.append(await _poison(served))
    return results


async def _under_load(served: Served, name: str, fault: dict[str, object]) -> AuditResult:
    result = AuditResult(fault=name)
    callers, stop = Callers(served.served.proxy_url, str(fault["kind"])), asyncio.Event()
    making = asyncio.create_task(callers.keep_on(CALLS_PER_S, SHORT, stop))
    await asyncio.sleep(1)
    served.world.server.fault(**fault)  # type: ignore[arg-type]  # kind is among them
    await asyncio.sleep(6)
    stop.set()
    await making
    await audit(result, served, callers)
    result.check(bool(served.health()["clickhouse"]["ok"]), "recovered")
    return result


async def _down_for_long(served: Served, seconds: float) -> AuditResult:
    """Check that rows wait on disk and not in memory."""
    result = AuditResult(fault=f"ClickHouse down for {seconds:.0f} s under load")
    memory = served.memory("meter")
    served.world.server.fault("refuse", seconds=seconds)
    callers, stop = Callers(served.served.proxy_url, "down"), asyncio.Event()
    making = asyncio.create_task(callers.keep_on(2 * CALLS_PER_S, SHORT, stop))
    await asyncio.sleep(seconds - 1)
    grown, waiting = served.memory("meter") - memory, served.disk()
    stop.set()
    await making
    began = time.monotonic()
    await audit(result, served, callers)
    took = time.monotonic() - began
    result.check(
        await served.world.in_order(callers.group), "rows came in the order of their calls"
    )
    result.check(grown < MEMORY_MAX, f"the meter grew by {grown / 2**20:.1f} MiB meanwhile")
    result.notes.append(f"{waiting / 1024:,.0f} KiB waited on disk, caught up within {took:.1f} s")
    return result


async def _poison(served: Served) -> AuditResult:
    """A row that is rejected for good is set aside with its reason; those after it arrive."""
    result = AuditResult(fault="one poison row")
    served.world.server.fault("exception", code=CANNOT_PARSE, count=1)
    callers = Callers(served.served.proxy_url, "poison")
    stop = asyncio.Event()
    await _one(callers)
    deadline = time.monotonic() + 20
    aside = served.data / "state" / "clickhouse.aside.jsonl"
    while not aside.exists() and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    making = asyncio.create_task(callers.keep_on(CALLS_PER_S, SHORT, stop))
    await asyncio.sleep(2)
    stop.set()
    await making
    kept = [json.loads(line) for line in aside.read_text().splitlines()]
    answered = dispatched(served.world.answers(), callers.group)
    apart = {line["record"]["tags"]["ticket"] for line in kept}
    rows = await settled(lambda: served.rows(callers.group), len(answered) - len(apart))
    compare(result, callers.seen, {t: a for t, a in answered.items() if t not in apart}, rows)
    processes.clear_journal(served.world.provider)
    result.check(len(kept) == 1 and "27" in kept[0]["reason"], "it is kept with its reason")
    result.check(served.health()["clickhouse"]["set_aside"] == 1, "/api/health counts it")
    return result


async def limit(world: World, rounds: int) -> list[AuditResult]:
    """The limit is reached while the store is down: drops are reported, calls continue."""
    result = AuditResult(fault="journal.total_bytes_max reached")
    journal = f"total_bytes_max = {LIMIT}\nsegment_bytes_max = 40_000\nsegment_age_max_s = 1.0"
    async with webhook() as told:
        tables = f'[alerts]\nwebhook = "{told.url}"\nquiet_s = {QUIET_S}\n'
        tables += "[metering]\naudit_sample = 0\n"  # the stand-in's counts are made up
        with world.serve("limit", journal=journal, tables=tables) as served:
            await _warm(served)
            served.world.server.fault("refuse", seconds=14.0)
            callers, stop = Callers(served.served.proxy_url, "limit"), asyncio.Event()
            making = asyncio.create_task(callers.keep_on(50, Stream(tokens=40, seconds=0.5), stop))
            await asyncio.sleep(12)
            disk = served.disk()
            lost = served.health()["meter"]["journal"]
            _firing(result, served, told)
            await asyncio.sleep(12)
            stop.set()
            await making
            await audit(result, served, callers, totals=False)
            result.check(disk < 2 * (LIMIT + OVER), f"{disk / 1024:.0f} KiB on disk at most")
            result.check(
                lost["frames_dropped"] > 0, f"/api/health counts {lost['frames_dropped']} drops"
            )
            after = Callers(served.served.proxy_url, "room")
            await asyncio.sleep(3)
            await _one(after)
            await audit(result, served, after)
            result.notes.append("afterwards calls are metered completely again")
            result.check(served.disk() < LIMIT, "metered bytes are deleted from disk")
            await _over(result, served, told)
    return [result]


def _firing(result: AuditResult, served: Served, told: WebhookServer) -> None:
    """Check that console and webhook name what is full and what is lost while it lasts."""
    shown = {alert["name"] for alert in served.alerts()["firing"]}
    result.check(shown >= TOLD, f"/api/alerts shows {', '.join(sorted(shown))}")
    began = {title.split()[0] for title, said in told.told.items() if said == ["firing"]}
    result.check(began >= TOLD, f"the webhook was notified of {', '.join(sorted(told.told))}")


async def _over(result: AuditResult, served: Served, told: WebhookServer) -> None:
    """Check that each alert has ended, the loss was reported once, and the log was quiet.

    A journal may be nearly full again while the waiting rows are sent.
    """
    deadline = time.monotonic() + 10 * QUIET_S
    while not told.over() and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    turns = all(said == ["firing", "resolved"] * (len(said) // 2) for said in told.told.values())
    once = turns and len(told.told["frames_dropped"]) == 2
    result.check(once, "each was resolved" if once else f"told: {dict(told.told)}")
    result.check(not served.alerts()["firing"], "/api/alerts shows none now")
    for name, times in complaints(served.served.log).items():
        result.check(once_a_minute(times), f"{len(times)} lines in the log of {name}")


async def _warm(served: Served) -> None:
    """Make one call and wait for its row, so that the schema exists."""
    callers = Callers(served.served.proxy_url, "warm")
    await _one(callers)
    await settled(lambda: served.rows(callers.group), 1)


async def _one(callers: Callers) -> None:
    stop = asyncio.Event()
    making = asyncio.create_task(callers.keep_on(1, SHORT, stop))
    await asyncio.sleep(0.05)
    stop.set()
    await making


async def audit(
    result: AuditResult,
    served: Served,
    callers: Callers,
    *,
    totals: bool = True,
    cuts: bool = False,
) -> None:
    """Wait for the rows of these calls and compare them; `totals` and `cuts` as in `compare`."""
    answered = dispatched(served.world.answers(), callers.group)
    rows = await settled(lambda: served.rows(callers.group), len(answered))
    rollup = await agreeing(lambda: served.world.rollup(callers.group), rows)
    compare(result, callers.seen, answered, rows, rollup, totals=totals, cuts=cuts)
    processes.clear_journal(served.world.provider)
