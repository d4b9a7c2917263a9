"""`taximeter reprice`: reprices stored calls by the tariffs that are installed now.

Asks the running meter, which owns the embedded store; without one, opens the store.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.evidence import EvidenceTable
from exporters.clickhouse.store import Store
from exporters.record import TransientError
from pricing.cause import parse
from pricing.money import amount, difference
from proxy.commands import audited, questions, terminal
from proxy.commands.arguments import add_common
from proxy.commands.console_client import request
from proxy.commands.stored import stored_configuration
from proxy.commands.terminal import Column, Exit, count
from proxy.console.audit_api import ChangeMade
from proxy.console.reprice_api import PATH
from proxy.evidence.evidence import Corrected, Evidence
from proxy.query.answer import instant_text
from proxy.query.asked import PERIOD_ALONE, Mistake
from proxy.query.csv_rows import csv_text
from proxy.query.language import Defaults, Stretch, stretch
from proxy.repricing.differences import GROUPED_BY
from proxy.repricing.run import RepriceOrder, Repricing
from proxy.serving.instance import TakenError, claimed
from proxy.settings.config import Config
from proxy.settings.places import store_dsn
from proxy.settings.retention import table_days

SILENCE_S = 300.0  # longest wait between two pages; one takes well below a second
GROUPS_SHOWN = 20  # of each kind; --json shows all
REASONS_SHOWN = 8  # of the new prices
COLUMNS: Sequence[Column] = (
    Column("old", "old", money=True),
    Column("new", "new", money=True),
    Column("difference", "difference", money=True),
    Column("changed", "calls changed", number=True),
    Column("newly_priced", "newly priced", number=True),
    Column("no_longer_priced", "no longer priced", number=True),
)

Result = Mapping[str, Any]  # what `Repricing.run` returns
Progressed = Callable[[int, int], None]  # calls done, calls in all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    questions.add_question(parser, PERIOD_ALONE)
    help = "directory of tariffs that override the installed ones"
    parser.add_argument("--tariffs", default="", metavar="DIR", help=help)
    parser.add_argument("--dry-run", action="store_true", help="show differences, write nothing")
    parser.add_argument("--yes", action="store_true", help="write without asking")


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    try:
        form = questions.form(arguments)
        wanted = order(period(arguments), arguments.tariffs)
        choice = Choice(dry_run=arguments.dry_run, yes=arguments.yes, form=form)
        return reprice(stored_configuration(arguments), wanted, choice)
    except ValueError as error:  # an invalid time, or tariffs that do not load
        terminal.say(f"reprice: {error}", sys.stderr)
        return Exit.MISTAKE


def period(arguments: argparse.Namespace) -> Stretch:
    """The period that was asked for.  Raises Mistake; there is no default."""
    _, asked = questions.question(arguments, PERIOD_ALONE)
    found = stretch(asked, datetime.now(UTC), Defaults(since=""))
    if found.since is None:
        raise Mistake("the period has no beginning", "give --since TIME or --month", "since")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What to do with the differences."""

    dry_run: bool = False
    yes: bool = False
    form: str = "table"


def reprice(config: Config, order: RepriceOrder, choice: Choice) -> Exit:
    """Show the differences and, if confirmed, write them.  Raises ValueError for a mistake."""
    try:
        found = _run(config, order)
        if choice.form == "table":
            _show(found)
        if not found["changed"] or choice.dry_run:
            return _done(found, choice)
        if not choice.yes and not (choice.form == "table" and _confirmed(found)):
            terminal.say("Nothing was written.  Use --yes to write.", sys.stderr)
            return _done(found, choice, Exit.MISTAKE)
        write = msgspec.structs.replace(
            order, write=True, book=found["book"], until=found["until"], since=found["since"]
        )
        written = _run(config, write)
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot reprice the calls: {error}", sys.stderr)
        return Exit.FAILED
    if choice.form == "table":
        terminal.say(f"Wrote {count(written['written'])} corrections.  The old prices are kept.")
        _put_into_force(config, order)
    return _done(written, choice)


def _put_into_force(config: Config, order: RepriceOrder) -> None:
    """Say what prices calls from now on, if these tariffs came with the command."""
    if not order.tariffs:
        return
    if config.metering.tariffs is None or str(config.metering.tariffs.resolve()) != order.tariffs:
        what = f'set [metering] tariffs = "{order.tariffs}" in the configuration, and '
    else:
        what = ""
    terminal.say(
        "New calls are priced by these tariffs once the meter has loaded them: "
        f"{what}send SIGHUP to `taximeter serve`, or restart it."
    )


def _done(found: Result, choice: Choice, code: Exit = Exit.OK) -> Exit:
    if choice.form == "json":
        terminal.emit(found)
    elif choice.form == "csv":
        kinds = ((kind, group) for kind in GROUPED_BY for group in found["by"][kind])
        sys.stdout.write(csv_text(_flat(kind, group) for kind, group in kinds))
    return code


def _run(config: Config, order: RepriceOrder) -> Result:
    with _bar() as progressed:
        found = _from_meter(config, order, progressed)
        if found is not None:
            return found
        if order.write:
            audited.write(config, ChangeMade("reprice", "calls", after=order))
        try:
            with claimed(config.data):  # one process grows the tree
                return asyncio.run(_directly(config, order, progressed))
        except TakenError as error:
            raise OSError(str(error)) from None


def _from_meter(config: Config, order: RepriceOrder, progressed: Progressed) -> Result | None:
    """The running meter's response; None if none is running."""
    data = msgspec.json.encode(order)
    with request(config, PATH, method="POST", timeout_s=SILENCE_S, data=data) as answer:
        if answer is None:
            return None
        for text in answer:
            line = msgspec.json.decode(text)
            if "result" in line:
                result: Result = line["result"]
                return result
            if "error" in line:
                raise (ValueError if line["mistake"] else OSError)(line["error"])
            progressed(line["done"], line["calls"])
    raise OSError("the meter stopped; what it wrote is complete, so run the command again")


async def _directly(config: Config, order: RepriceOrder, progressed: Progressed) -> Result:
    async def report(done: int, calls: int) -> None:
        progressed(done, calls)

    dsn, database = store_dsn(config), config.store.database
    clickhouse = ClickHouse(dsn, database=database, ttl_days=table_days(config)[0])
    store = Store(dsn, database=database)
    leaves = EvidenceTable(dsn, database=database)
    try:
        await clickhouse.open()
        if not order.write:  # nor begin a tree of evidence
            return await Repricing(config, store, clickhouse).run(order, report)
        corrects = Corrected(clickhouse.correct, Evidence(config, leaves))
        return await Repricing(config, store, corrects).run(order, report)
    finally:
        await leaves.close()
        await store.close()
        await clickhouse.close()


@contextmanager
def _bar() -> Iterator[Progressed]:
    """A progress bar on standard error, if that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    hidden = not sys.stderr.isatty()
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        disable=hidden,
    ) as progress:
        task = progress.add_task("repricing", total=None)
        yield lambda done, calls: progress.update(task, completed=done, total=calls)


def _confirmed(found: Result) -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    terminal.say(f"Write {count(found['changed'])} corrections?  The old prices are kept.")
    return input("Type yes: ").strip().lower() == "yes"


def _show(found: Result) -> None:
    """Print the differences."""
    since, until = (str(found[key])[:16] + "Z" for key in ("since", "until"))
    terminal.say(f"{since} to {until}, tariffs {found['book']}: {count(found['calls'])} calls.")
    if found["kept"]:
        terminal.say(f"{count(found['kept'])} have a price that does not come from a tariff.")
    if found["unreadable"]:
        terminal.say(f"{count(found['unreadable'])} cannot be repriced: unreadable receipts.")
    if not found["changed"]:
        terminal.say("No price changed.")
        return
    for kind in GROUPED_BY:
        groups = found["by"][kind]
        terminal.say("")
        rows = [_cells(group, str(group[kind]) or "(none)") for group in groups[:GROUPS_SHOWN]]
        if len(groups) > 1:
            rows.append(_cells(found, "all"))
        terminal.show((Column("name", kind), *COLUMNS), rows)
        if len(groups) > GROUPS_SHOWN:
            terminal.say(f"and {len(groups) - GROUPS_SHOWN:,} more (use --json to see all)")
    _show_reasons(found["reasons"])
    terminal.say("")


def _show_reasons(reasons: Mapping[str, int]) -> None:
    """Print why new prices are not exact, or nothing."""
    for text, calls in list(reasons.items())[:REASONS_SHOWN]:
        terminal.say(f"  {count(calls)} because {text}: {parse(text).reason.sentence}")
    if len(reasons) > REASONS_SHOWN:
        terminal.say(f"and {len(reasons) - REASONS_SHOWN:,} more reasons (use --json to see all)")


def _cells(group: Result, name: str) -> dict[str, str]:
    return {
        "name": name,
        "old": amount(group["old_usd"], group["old_status"]),
        "new": amount(group["new_usd"], group["new_status"]),
        "difference": difference(group["difference_usd"], group["difference_status"]),
        **{key: count(group[key]) for key in ("changed", "newly_priced", "no_longer_priced")},
    }


def _flat(kind: str, group: Result) -> dict[str, object]:
    """A group as a row among those of other kinds."""
    sums = {name: value for name, value in group.items() if name != kind}
    return {"by": kind, "name": group[kind], **sums}


def order(period: Stretch, tariffs: str) -> RepriceOrder:
    """The order for these arguments; the directory is absolute, as the meter will open it."""
    return RepriceOrder(
        since=instant_text(period.since) or "",
        until=instant_text(period.until) or "",
        tariffs=str(Path(tariffs).resolve()) if tariffs else "",
    )
