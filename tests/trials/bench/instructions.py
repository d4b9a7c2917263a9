"""`python -m trials.bench.instructions`: how many instructions a relay takes for a call.

Unlike CPU time they are the same however busy the machine is, so a step of a percent shows.  They
are those in user mode, as callgrind (apt-get install valgrind) counts them.  Timers run more often for each call than they do elsewhere, since valgrind makes calls slow.
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
_TOTAL = re.compile(r"^(?:summary|totals): (\d+)$", re.MULTILINE)


def measure(scenario: Scenario, calls: int, folder: Path) -> tuple[float, Path]:
    """Instructions for each of so many calls, and the profile for callgrind_annotate."""
    certificate = make_certificate(folder) if scenario.tls else None
    profile = folder / "callgrind.out"
    data = folder / "data"
    data.mkdir()
    under = (*VALGRIND, f"--callgrind-out-file={profile}")
    with served(certificate) as upstream:
        run = contextmanager(Taximeter(under=under))
        with run(upstream, data) as started:
            done = asyncio.run(_calls(started.url, scenario, calls, started.pids[0]))
    found = sorted(folder.glob("callgrind.out*"))
    totals = [int(_TOTAL.findall(one.read_text())[0]) for one in found if one.stat().st_size]
    return max(totals) / done, max(found, key=lambda one: one.stat().st_size)


async def _calls(url: str, scenario: Scenario, calls: int, pid: int) -> int:
    callers = await load.Callers.connect(requested(url, scenario), scenario.connections)
    await _run(callers, WARM_UP)
    _control("-i", "on", pid)
    await _run(callers, CONNECTIONS)
    _control("-z", pid)
    before = callers.calls
    await _run(callers, calls)
    done = callers.calls - before
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
    parser = argparse.ArgumentParser(prog="python -m trials.bench.instructions", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, default=[])
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--keep", type=Path, help="a folder for the profiles, which it must not have")
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
