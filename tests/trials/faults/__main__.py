"""`python -m trials.faults`: injects faults for a quarter of an hour and prints what was lost."""

import argparse
import asyncio
import signal
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from evaluation.standin import processes
from support import clickhouse, hangup
from trials.faults import (
    clocks,
    collectors,
    contents,
    disks,
    kills,
    outage,
    pairs,
    signals,
    soak,
    stores,
    streams,
)
from trials.faults.audit import AuditResult
from trials.faults.world import World

Family = Callable[[World, int], Coroutine[None, None, list[AuditResult]]]

FAMILIES: dict[str, Family] = {
    "kill": kills.kill_9,
    "kill-embedded": kills.kill_9_embedded,
    "kill-supervisor": kills.kill_9_supervisor,
    "signals": signals.run,
    "store": stores.run,
    "journal-limit": stores.limit,
    "collector": collectors.run,
    "disk": disks.run,
    "clock": clocks.run,
    "pair": pairs.run,
    "streams": streams.run,
    "content": contents.run,
}
ON_DEMAND: dict[str, Family] = {"soak": soak.run, "outage": outage.run}  # each takes an hour


def run(names: list[str], rounds: int, say: Callable[[str], None]) -> list[AuditResult]:
    """Run these families one after another."""
    results: list[AuditResult] = []
    with tempfile.TemporaryDirectory(prefix="taximeter-faults-") as name:
        folder = Path(name)
        with (
            processes.stand_in(folder / "stand-in.log") as (provider, _),
            clickhouse.running(folder / "clickhouse") as server,
        ):
            world = World(folder=folder, provider=provider, server=server)
            for family in names:
                say(f"{family} …")
                try:
                    found = asyncio.run((FAMILIES | ON_DEMAND)[family](world, rounds))
                except Exception as failure:  # noqa: BLE001 — one family must not stop the others
                    found = [
                        AuditResult(fault=family, wrong=1, notes=[f"stopped early: {failure!r}"])
                    ]
                for result in found:
                    say(f"  {result.fault}: {'ok' if result.ok else f'FAILED {result}'}")
                results += found
    return results


COLUMNS = ("rounds", "calls", "cut", "lost", "doubled", "wrong", "errors")


def cells(one: AuditResult) -> list[str]:
    """One row of the table, without its first column."""
    if one.skipped:
        return ["skipped"] + [""] * (len(COLUMNS) - 1)
    return [f"{getattr(one, name):,}" for name in COLUMNS]


def table(results: list[AuditResult]) -> Table:
    """The results for a terminal."""
    shown = Table("fault", box=box.SIMPLE_HEAD)
    for title in COLUMNS:
        shown.add_column(title, justify="right")
    for one in results:
        shown.add_row(one.fault, *cells(one), style="" if one.ok else "red")
    return shown


def markdown(results: list[AuditResult]) -> str:
    """The results for docs/reliability.md, with the notes on each."""
    lines = [" | ".join(("", "fault", *COLUMNS, "")).strip(), "|---|" + "--:|" * len(COLUMNS)]
    lines += [f"| {one.fault} | {' | '.join(cells(one))} |" for one in results]
    notes = [f"- {one.fault}: {'; '.join(one.notes)}" for one in results if one.notes]
    return "\n".join([*lines, "", *notes])


def main() -> int:
    """Returns the exit code: 1 if a call was lost, doubled or wrong, or a caller saw an error."""
    parser = argparse.ArgumentParser(prog="python -m trials.faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="of kill -9; others scale with it")
    families = [*FAMILIES, *ON_DEMAND]
    parser.add_argument("--only", action="append", choices=families, help="can be repeated")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON array")
    form.add_argument("--markdown", action="store_true", help="as in docs/reliability.md")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that children are stopped too
    hangup.reset_in_children()
    terminal, errors = Console(), Console(stderr=True)
    results = run(options.only or list(FAMILIES), options.rounds, errors.print)
    if options.json:
        print(msgspec.json.encode(results).decode())
    elif options.markdown:
        print(markdown(results))
    else:
        terminal.print(table(results))
        for one in results:
            for note in one.notes:
                terminal.print(f"{one.fault}: {note}", markup=False, highlight=False)
    return 0 if all(one.ok for one in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
