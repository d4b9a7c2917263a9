"""`python -m trials.fuzz`: reads a million damaged calls with every parser.

Responses of the stand-in in every dialect, and recordings if there are any next to the checkout,
are damaged at random.  Nothing may raise, take more than two seconds of CPU time, fill the memory,
or be read differently in other pieces.  A finding names the seed and the number that reproduce it:
`--seed S --only N` shows the call and the whole error.
"""

import argparse
import json
import os
import random
import resource
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from trials.fuzz import calls, checks

MUTATIONS = 1_000_000
CHUNK = 500  # damaged calls in one task of a process
MEMORY_BYTES_MAX = 1024 * 1024 * 1024  # peak of one process
FINDINGS_MAX = 20  # printed, one of each kind
NICENESS = 5


@dataclass(frozen=True, slots=True)
class OddReading:
    """A call that broke a rule; `kind` says where, so that one of each kind is shown."""

    number: int
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome of a chunk."""

    count: int
    findings: tuple[OddReading, ...]
    slowest_s: float
    memory_bytes: int  # peak of the process so far


def run(seed: int, numbers: Sequence[int]) -> Done:
    """Check the damaged calls of these numbers."""
    findings, slowest_s = [], 0.0
    for number in numbers:
        start = time.process_time()
        try:
            checks.check(seed, number)
        except (Exception, checks.TooSlow) as error:  # noqa: BLE001 - any is a finding
            findings.append(
                OddReading(number, _kind(error), f"{type(error).__name__}: {error}"[:500])
            )
        slowest_s = max(slowest_s, time.process_time() - start)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Done(len(numbers), tuple(findings), slowest_s, memory)


def _kind(error: BaseException) -> str:
    """Where an error was raised, or in which fields readings differ."""
    if isinstance(error, checks.Disagreement):
        return str(error).partition(":")[0]
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {last.filename.rpartition('/')[2]}:{last.lineno}"


def every_chunk(seed: int, mutations: int, jobs: int) -> Iterator[Done]:
    """The outcomes of the chunks, in order."""
    chunks = [range(at, min(at + CHUNK, mutations)) for at in range(0, mutations, CHUNK)]
    with ProcessPoolExecutor(jobs, initializer=os.nice, initargs=(NICENESS,)) as pool:
        yield from pool.map(run, repeat(seed), chunks)


def main() -> int:
    """Returns the exit code: 1 if there are findings."""
    parser = argparse.ArgumentParser(prog="python -m trials.fuzz", description=__doc__)
    parser.add_argument("--mutations", type=int, default=MUTATIONS, help="damaged calls to make")
    parser.add_argument("--seed", type=int, default=None, help="of the random numbers")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument(
        "--only", type=int, metavar="N", help="run only call number N and show its whole error"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if arguments.seed is None else arguments.seed
    if arguments.only is not None:
        return _replay(seed, arguments.only)
    start = time.monotonic()
    done = _with_progress(seed, arguments.mutations, arguments.jobs)
    seconds = time.monotonic() - start
    found = [finding for one in done for finding in one.findings]
    about = {
        "mutations": sum(one.count for one in done),
        "calls": len(calls.every()),
        "seed": seed,
        "seconds": round(seconds, 1),
        "per_second": round(arguments.mutations / seconds),
        "slowest_s": round(max((one.slowest_s for one in done), default=0.0), 3),
        "memory_mb": max((one.memory_bytes for one in done), default=0) >> 20,
        "findings": len(found),
    }
    small = all(one.memory_bytes <= MEMORY_BYTES_MAX for one in done)
    if arguments.json:
        sys.stdout.write(json.dumps(about) + "\n")
    else:
        sys.stdout.write(" ".join(f"{name}={value}" for name, value in about.items()) + "\n")
    _show(found, seed)
    if not small:
        sys.stderr.write(f"a process used more than {MEMORY_BYTES_MAX >> 20} MB\n")
    return 0 if small and not found else 1


def _with_progress(seed: int, mutations: int, jobs: int) -> list[Done]:
    columns = (BarColumn(), TextColumn("{task.completed:,.0f}/{task.total:,.0f}"))
    rate = TextColumn("{task.fields[rate]:,.0f}/s  findings {task.fields[findings]}")
    done: list[Done] = []
    start = time.monotonic()
    with Progress(
        *columns, rate, TimeRemainingColumn(), console=Console(stderr=True), refresh_per_second=2
    ) as progress:
        task = progress.add_task("", total=mutations, rate=0.0, findings=0)
        for one in every_chunk(seed, mutations, jobs):
            done.append(one)
            made = sum(each.count for each in done)
            findings = sum(len(each.findings) for each in done)
            rate_now = made / (time.monotonic() - start)
            progress.update(task, completed=made, rate=rate_now, findings=findings)
    return done


def _show(found: Sequence[OddReading], seed: int) -> None:
    kinds: dict[str, list[OddReading]] = {}
    for finding in found:
        kinds.setdefault(finding.kind, []).append(finding)
    for kind, alike in [*kinds.items()][:FINDINGS_MAX]:
        first = alike[0]
        sys.stderr.write(
            f"{len(alike)} x {kind}\n  {first.message}\n"
            f"  reproduce: python -m trials.fuzz --seed {seed} --only {first.number}\n"
        )


def _replay(seed: int, number: int) -> int:
    call = checks.case(seed, number)
    sys.stdout.write(f"{call}\n")
    checks.check(seed, number)
    sys.stdout.write("No findings.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
