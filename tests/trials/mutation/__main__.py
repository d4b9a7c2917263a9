"""`python -m trials.mutation`: changes the code that prices calls, and sees whether tests notice.

Each mutant is a module with one operator, number or condition changed.  A mutant that no test
notices is a fact that no test states, unless the change has no effect: those are listed in
`equivalent.toml`, each with the reason.  `scope.toml` says which modules are changed, and which
tests are run for each.  A run that is stopped goes on where it was; `--fresh` begins anew.
"""

import argparse
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from trials.mutation import running
from trials.mutation.mutants import Change, Mutant, mutants
from trials.mutation.remembered import Memory

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
FILE = ROOT / "build" / "mutation" / "verdicts.jsonl"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the mutants of one module."""

    module: str
    noticed: int
    equivalent: int
    survivors: tuple[Mutant, ...]
    disproved: tuple[Change, ...]  # listed as equivalent, but noticed or no longer there

    @property
    def line(self) -> str:
        """One line of the report."""
        mutants = self.noticed + self.equivalent + len(self.survivors)
        return (
            f"{self.module} mutants={mutants} killed={self.noticed} "
            f"equivalent={self.equivalent} survived={len(self.survivors)}"
        )


def scope() -> Mapping[str, Sequence[str]]:
    """The test files of each module, by their paths."""
    text = (HERE / "scope.toml").read_text(encoding="utf-8")
    return {
        module: [f"tests/test_{name}.py" for name in names]
        for group in tomllib.loads(text)["group"]
        for module in group["modules"]
        for names in [group["tests"]]
    }


def equivalents() -> frozenset[Change]:
    """The changes that are known to have no effect."""
    entries = tomllib.loads((HERE / "equivalent.toml").read_text(encoding="utf-8"))["equivalent"]
    return frozenset(
        Change(entry["module"], entry["within"], entry["before"], entry["after"])
        for entry in entries
        if entry["because"]
    )


def check(module: str, tests: Sequence[str], memory: Memory, progress: Progress) -> Outcome:
    """Try every mutant of a module.  Raises ValueError if its tests fail without a change."""
    found = mutants(module, (ROOT / module).read_text(encoding="utf-8"))
    task = progress.add_task(module, total=len(found))
    unseen = [mutant for mutant in found if memory.recall(mutant, tests) is None]
    if unseen and (failing := running.verdict(ROOT, tests, None).noticed_by):
        raise ValueError(f"{failing} fails without any change")
    survivors: list[Mutant] = []
    noticed: list[Mutant] = []
    for mutant in found:
        verdict = memory.recall(mutant, tests)
        if verdict is None:
            verdict = running.verdict(ROOT, tests, mutant)
            memory.keep(mutant, tests, verdict)
        (noticed if verdict.noticed_by else survivors).append(mutant)
        progress.advance(task)
    listed = {change for change in equivalents() if change.module == module}
    quiet = {mutant.change for mutant in survivors}
    return Outcome(
        module=module,
        noticed=len(noticed),
        equivalent=sum(mutant.change in listed for mutant in survivors),
        survivors=tuple(mutant for mutant in survivors if mutant.change not in listed),
        disproved=tuple(sorted(listed - quiet | {m.change for m in noticed} & listed)),
    )


def outcomes(wanted: Sequence[str], memory: Memory) -> Iterator[Outcome]:
    """The outcome of each module in the scope, or of those wanted."""
    with Progress(console=Console(stderr=True), refresh_per_second=2) as progress:
        for module, tests in scope().items():
            if not wanted or any(name in module for name in wanted):
                yield check(module, tests, memory, progress)


def main() -> int:
    """Exit code 1 if a mutant survives, or if one listed as equivalent does not."""
    parser = argparse.ArgumentParser(prog="trials.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="parts of paths, such as pricing/steps")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs found")
    arguments = parser.parse_args()
    if arguments.fresh:
        FILE.unlink(missing_ok=True)
    running.prepare()
    done = []
    for outcome in outcomes(arguments.modules, Memory(ROOT, FILE)):
        done.append(outcome)
        sys.stdout.write(f"{outcome.line}\n")
        for mutant in outcome.survivors:
            sys.stdout.write(f"survived: line {mutant.line} of {mutant.change}\n")
        for change in outcome.disproved:
            sys.stdout.write(f"not equivalent, or gone: {change}\n")
        sys.stdout.flush()
    counts = {
        "mutants": sum(o.noticed + o.equivalent + len(o.survivors) for o in done),
        "killed": sum(o.noticed for o in done),
        "equivalent": sum(o.equivalent for o in done),
        "survived": sum(len(o.survivors) for o in done),
        "disproved": sum(len(o.disproved) for o in done),
    }
    sys.stdout.write(" ".join(f"{name}={count}" for name, count in counts.items()) + "\n")
    return 1 if counts["survived"] or counts["disproved"] or not done else 0


if __name__ == "__main__":
    sys.exit(main())
