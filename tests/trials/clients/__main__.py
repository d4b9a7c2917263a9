"""`python -m trials.clients`: runs real SDKs and agents against the stand-in provider.

Each runs once directly and once through Taximeter.  The stand-in must receive the same bytes, the
client must get the same result, and the rows must match the responses.  The first run installs the
clients into a cache directory; those that cannot be installed are skipped, with the reason.
`--write` puts what was measured into the table of docs/clients.md.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import msgspec
from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from evaluation.standin import processes
from trials.clients import installing, running
from trials.clients.listed import CLIENTS, Client
from trials.clients.running import ClientResult

CACHE = Path.home() / ".cache" / "taximeter-clients"
PAGE = Path(__file__).parents[3] / "docs" / "clients.md"


def results(clients: Sequence[Client], cache: Path) -> Iterator[ClientResult]:
    """The result of each client, as soon as it is known."""
    providers = {client.provider for client in clients}
    with tempfile.TemporaryDirectory(prefix="taximeter-clients-") as folder:
        data = Path(folder)
        with (
            processes.stand_in(data / "stand-in.log") as (upstream, _),
            processes.serve(
                data, dict.fromkeys(providers, upstream), settings=processes.FAST_ROWS
            ) as served,
        ):
            for client in clients:
                try:
                    ready = running.prepare(running.CALLS / client.script, client.packages, cache)
                except installing.InstallError as failure:
                    yield ClientResult(name=client.name, skipped=str(failure))
                else:
                    yield running.run(client, ready, upstream, served)


def table(found: Sequence[ClientResult]) -> Table:
    """The results for a terminal."""
    shown = Table("client", "version", box=box.SIMPLE_HEAD)
    shown.add_column("calls", justify="right")
    shown.add_column("same bytes")
    shown.add_column("row right")
    for result in found:
        shown.add_row(result.name, *cells(result))
    return shown


def cells(result: ClientResult) -> tuple[str, str, str, str]:
    """One row of the table, without its first column."""
    last = ("skipped", result.skipped)
    if not result.skipped:
        last = ("no" if result.changed else "yes", "no" if result.wrong else "yes")
    return (result.version, str(result.calls), *last)


def renewed(text: str, found: Sequence[ClientResult]) -> str:
    """The page, with what was measured of these clients behind name and setting of each."""
    measured = {result.name: cells(result) for result in found}
    lines = text.splitlines()
    for at, line in enumerate(lines):
        name, *others = line.strip("|").split(" | ")
        if (name := name.strip()) in measured:
            lines[at] = f"| {' | '.join((name, others[0], *measured[name]))} |"
    return "\n".join(lines) + "\n"


def main() -> int:
    """Returns the exit code: 1 if a client noticed a difference or a row is wrong."""
    parser = argparse.ArgumentParser(prog="python -m trials.clients", description=__doc__)
    help = "run only clients whose name contains NAME; can be repeated"
    parser.add_argument("--only", action="append", metavar="NAME", help=help)
    parser.add_argument("--cache", type=Path, default=CACHE, help="directory for installed clients")
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    parser.add_argument("--write", action="store_true", help=f"renew the table of {PAGE.name}")
    arguments = parser.parse_args()
    names = [name.lower() for name in arguments.only or [""]]
    chosen = [one for one in CLIENTS if any(name in one.name.lower() for name in names)]
    if not chosen:
        parser.error(f"unknown client; choose from: {', '.join(one.name for one in CLIENTS)}")
    found = _with_progress(chosen, arguments.cache)
    if arguments.json:
        sys.stdout.write(msgspec.json.encode([asdict(result) for result in found]).decode() + "\n")
    else:
        _print(found)
    if arguments.write:
        PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    return 0 if all(result.right or result.skipped for result in found) else 1


def _with_progress(chosen: Sequence[Client], cache: Path) -> list[ClientResult]:
    columns = (SpinnerColumn(), TextColumn("{task.completed}/{task.total} {task.description}"))
    found: list[ClientResult] = []
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(chosen[0].name, total=len(chosen))
        for number, result in enumerate(results(chosen, cache), 1):
            found.append(result)
            following = chosen[number].name if number < len(chosen) else ""
            progress.update(task, advance=1, description=following)
    return found


def _print(found: Sequence[ClientResult]) -> None:
    console = Console()
    console.print(table(found))
    for result in found:
        for fault in (*result.changed, *result.wrong):
            console.print(f"{result.name}: {fault}", markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
