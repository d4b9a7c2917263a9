"""`python -m trials.bench.instructions`: how many instructions a relay takes for a call.

Unlike CPU time they are the same however busy the machine is, so a step of a percent shows.  They
are those in user mode, as callgrind (apt-get install valgrind) counts them, without
those of timers, which run more often for each call where calls are slow.  Other work on the machine
still makes turns of the loop smaller and connections idle for too long, so the best window counts.
"""

import argparse
import asyncio
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from trials.bench import load
from trials.bench.contenders import Taximeter
from trials.bench.measuring import (
    CONNECTIONS,
    SCENARIOS,
    Scenario,
    make_certificate,
    requested,
    served,
)

VALGRIND = ("valgrind", "--tool=callgrind", "--instr-atstart=no", "--dump-instr=no")
WARM_UP = 1_000  # calls, after which every table has what repeats
WINDOWS = 3
_TOTAL = re.compile(r"^ *([\d,]+) .*PROGRAM TOTALS", re.MULTILINE)
_TIMERS = re.compile(r"^ *([\d,]+) .*:uv__run_timers ", re.MULTILINE)


def measure(scenario: Scenario, calls: int, folder: Path) -> tuple[float, Path]:
    """Instructions for each call in the best of `WINDOWS`, and its profile."""
    certificate = make_certificate(folder) if scenario.tls else None
    profile = folder / "callgrind.out"
    data = folder / "data"
    data.mkdir()
    under = (*VALGRIND, f"--callgrind-out-file={profile}")
    with served(certificate) as upstream:
        run = contextmanager(Taximeter(under=under))
        with run(upstream, data) as started:
            done = asyncio.run(_windows(started.url, scenario, calls, started.pids[0]))
    each = {profile.with_suffix(f".out.{n}"): count for n, count in enumerate(done, 1)}
    counted = [(_counted(one) / count, one) for one, count in each.items()]
    return min(counted)


def _counted(profile: Path) -> int:
    """All instructions of a profile but those of timers."""
    command = ["callgrind_annotate", "--inclusive=yes", "--threshold=100", str(profile)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    total, timers = (
        int(found[1].replace(",", "")) if (found := one.search(text)) else 0
        for one in (_TOTAL, _TIMERS)
    )
    return total - timers


async def _windows(url: str, scenario: Scenario, calls: int, pid: int) -> list[int]:
    """How many calls there were in each."""
    callers = await load.Callers.connect(requested(url, scenario), scenario.connections)
    await _run(callers, WARM_UP)
    _control("-i", "on", pid)
    await _run(callers, CONNECTIONS)
    _control("-z", pid)
    done = []
    for _ in range(WINDOWS):
        before = callers.calls
        await _run(callers, calls)
        done.append(callers.calls - before)
        _control("-d", pid)
    callers.close()
    return done


async def _run(callers: load.Callers, calls: int) -> None:
    until = callers.calls + calls
    callers.start()
    while callers.calls < until:
        await asyncio.sleep(0.02)
    await callers.stop()


def _control(*arguments: str | int) -> None:
    """Tell callgrind.  Raises CalledProcessError."""
    subprocess.run(["callgrind_control", *map(str, arguments)], check=True, capture_output=True)


def main() -> int:
    """Returns the exit code."""
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(
        prog="python -m trials.bench.instructions", description=__doc__
    )
    parser.add_argument("--only", action="append", choices=names, default=[])
    parser.add_argument("--calls", type=int, default=500, help="in a window")
    parser.add_argument("--keep", type=Path, help="a folder for the profiles")
    options = parser.parse_args()
    for scenario in SCENARIOS:
        if scenario.name not in (options.only or names[:1]):
            continue
        with TemporaryDirectory(prefix="taximeter-instructions-") as name:
            count, profile = measure(scenario, options.calls, Path(name))
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                profile.rename(options.keep / scenario.name.replace(" ", "-"))
        sys.stdout.write(f"{scenario.name}: {count:,.0f} instructions for each\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
