"""A disk that is full, read-only or missing: calls continue, and what was not kept is counted."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trials.faults.audit import AuditResult
from trials.faults.callers import Callers, Stream
from trials.faults.stores import audit
from trials.faults.world import Served, World

SHORT = Stream(tokens=6, seconds=0.3)
CALLS_PER_S = 25
FAULT_S = 4.0
TMPFS_BYTES = 4 * 1024 * 1024
Change = Callable[[Served], None]
NO_GROWTH: tuple[Change, Change] = (
    lambda served: served.limit_files(64),
    lambda served: served.limit_files(-1),
)


async def run(world: World, rounds: int) -> list[AuditResult]:
    """Run each fault in a `taximeter serve` of its own."""
    results = [await broken(world, "files", "no file may grow (RLIMIT_FSIZE)", *NO_GROWTH)]
    if not _may_mount(world.folder):
        names = ("disk full (tmpfs)", "journal read-only (mount)")
        skipped = [
            AuditResult(fault=name, skipped=True, notes=["not allowed to mount"]) for name in names
        ]
        return [*results, *skipped, await _removed(world)]
    with _tmpfs(world.folder / "full" / "data"):
        results.append(await broken(world, "full", "disk full (tmpfs)", _fill, _free))
    results.append(await broken(world, "readonly", "journal read-only (mount)", _forbid, _allow))
    return [*results, await _removed(world)]


async def broken(world: World, name: str, fault: str, begin: Change, end: Change) -> AuditResult:
    """Make calls before, during and after; none fails, and the last ones are metered completely."""
    result = AuditResult(fault=fault)
    with world.serve(name, journal="segment_age_max_s = 1.0") as served:
        for phase in ("before", "during", "after"):
            callers = Callers(served.served.proxy_url, f"{name}{phase}")
            if phase == "during":
                begin(served)
            await _load(callers)
            if phase == "during":
                dropped = served.health().get("meter", {}).get("journal", {})
                end(served)
                await asyncio.sleep(1.5)
                result.notes.append(
                    f"{dropped.get('frames_dropped')} frames dropped, "
                    f"{dropped.get('write_errors')} write errors counted"
                )
            await audit(result, served, callers, totals=phase != "during")
    return result


async def _removed(world: World) -> AuditResult:
    """Delete the directory of the relays' journals while calls are in flight."""
    result = AuditResult(fault="journal directory removed")
    with world.serve("removed", relays=2) as served:
        callers = Callers(served.served.proxy_url, "removed")
        loading = asyncio.create_task(_load(callers))
        await asyncio.sleep(FAULT_S / 2)
        shutil.rmtree(served.data / "calls")
        await loading
        await audit(result, served, callers, totals=False)
        after = Callers(served.served.proxy_url, "removedafter")
        await _load(after)
        await audit(result, served, after)
        result.notes.append("afterwards calls are metered completely again")
    return result


async def _load(callers: Callers) -> None:
    stop = asyncio.Event()
    making: Awaitable[None] = asyncio.create_task(callers.keep_on(CALLS_PER_S, SHORT, stop))
    await asyncio.sleep(FAULT_S)
    stop.set()
    await making


def _fill(served: Served) -> None:
    """Fill the disk."""
    with suppress(OSError), (served.data / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def _free(served: Served) -> None:
    (served.data / "filler").unlink()


def _forbid(served: Served) -> None:
    """From now on no file below `calls` can be created or opened for writing."""
    calls = str(served.data / "calls")
    subprocess.run(["mount", "--bind", calls, calls], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", calls], check=True)


def _allow(served: Served) -> None:
    subprocess.run(["umount", "--lazy", str(served.data / "calls")], check=True)


@contextmanager
def _tmpfs(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES},mode=700", "tmpfs", str(folder)]
    subprocess.run(command, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def _may_mount(folder: Path) -> bool:
    """Whether this process may mount; in containers it often may not."""
    if os.geteuid() != 0:
        return False
    try:
        with _tmpfs(folder / "probe"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
