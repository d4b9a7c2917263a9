"""`taximeter reconcile`: compares what was metered with what the provider bills.

The bill comes from the provider's usage and cost API, or from files that the user downloaded; the
rows from the running console, or without one from the store.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from exporters.clickhouse.store import Row, Store
from exporters.record import TransientError
from pricing.money import amount
from pricing.money import difference as signed
from proxy.commands import questions, stored, terminal
from proxy.commands.arguments import add_common
from proxy.commands.console_client import ask
from proxy.commands.terminal import Column, Exit
from proxy.console.invoice_api import PATH, metered_of
from proxy.invoices.answer import COLUMNS, document, flat
from proxy.invoices.causes import Cause
from proxy.invoices.compare import Comparison, Told, compare
from proxy.invoices.fetching import fetched
from proxy.invoices.metered import metered_rows
from proxy.invoices.overlay import overlay
from proxy.invoices.providers import BILLERS, biller
from proxy.invoices.statement import Statement, StatementError
from proxy.query.asked import Accepted, Mistake
from proxy.query.csv_rows import csv_text
from proxy.query.language import Defaults, stretch
from proxy.settings.bills import InvoiceOptions
from proxy.settings.config import Config
from proxy.settings.places import has_store, store_dsn

DAY = timedelta(days=1)
RECONCILE = Accepted(("since", "until", "month", "format"))
FILE_BYTES_MAX = 512 * 1024 * 1024
WORST = 10  # lines shown that are not explained
ENVIRONMENT = "env:"
MONEY: Sequence[Column] = (
    Column("metered", "metered", money=True),
    Column("billed", "billed", money=True),
    Column("difference", "difference", money=True),
    Column("unexplained", "unexplained", money=True),
)
Document = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    help = f"who sent the bill: {', '.join(BILLERS)}"
    parser.add_argument("--provider", required=True, metavar="NAME", help=help)
    questions.add_question(parser, RECONCILE)
    help = "a bill that you downloaded, instead of asking the provider; may be given several times"
    parser.add_argument("--file", action="append", type=Path, metavar="FILE", help=help)
    help = "write discounts that hold every day as tariffs to lay over the shipped ones"
    parser.add_argument("--write-overlay", type=Path, metavar="FILE", help=help)


def main(arguments: argparse.Namespace) -> int:
    """Run the command.  FAILED: a day is not explained to within 0.1 %, or somebody is away."""
    try:
        form = questions.form(arguments)
        biller(arguments.provider)
        first, last = _days(arguments)
        config = stored.stored_configuration(arguments)
        return reconcile(config, arguments, (first, last), form)
    except ValueError as error:
        terminal.say(f"reconcile: {error}", sys.stderr)
        return Exit.MISTAKE


def _days(arguments: argparse.Namespace) -> tuple[date, date]:
    """The first and the last day (UTC).  Raises Mistake for a period that is not whole days."""
    _, asked = questions.question(arguments, RECONCILE)
    period = stretch(asked, datetime.now(UTC), Defaults(since=""))
    if period.since is None:
        raise Mistake("no period was given", "give --month, or --since and --until", "month")
    until = period.until or datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for name, at in (("since", period.since), ("until", until)):
        if (at.hour, at.minute, at.second, at.microsecond) != (0, 0, 0, 0):
            hint = "bills have whole days (UTC): give dates, such as 2026-11-01"
            raise Mistake(f"{name} is within a day", hint, name)
    if until <= period.since:
        raise Mistake("the period has no whole day", "give an earlier --since", "since")
    return period.since.date(), (until - DAY).date()


def reconcile(
    config: Config, arguments: argparse.Namespace, days: tuple[date, date], form: str
) -> Exit:
    """Compare and print.  Raises ValueError for a bill that is not understood."""
    provider: str = arguments.provider
    options = config.invoices.get(provider) or InvoiceOptions(name=provider)
    try:
        statement = _statement(options, arguments.file or [], days)
        rows = _rows(config, provider, days)
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot reconcile: {error}", sys.stderr)
        return Exit.FAILED
    found = compare(metered_rows(rows), statement, *days, Told(options.models, options.keys))
    shown = document(provider, *days, found)
    if form == "json":
        terminal.emit(shown)
    elif form == "csv":
        sys.stdout.write(csv_text(map(flat, shown["lines"]), COLUMNS))
    else:
        _show(shown)
    if arguments.write_overlay:
        _write_overlay(arguments.write_overlay, provider, found, days)
    explained = all(day["explained"] for day in shown["days"])
    return Exit.OK if explained else Exit.FAILED


def _statement(options: InvoiceOptions, files: list[Path], days: tuple[date, date]) -> Statement:
    """The bill, from files or from the API.  Raises StatementError and OSError."""
    of = biller(options.name)
    found = Statement()
    if files:
        for path in files:
            if path.stat().st_size > FILE_BYTES_MAX:
                raise StatementError(f"{path} has more than {FILE_BYTES_MAX // 2**20} MB")
            try:
                found += of.read(path.read_text(encoding="utf-8-sig", errors="replace"))
            except StatementError as error:
                raise StatementError(f"{path}: {error}; expected {of.what}") from None
    else:
        key = _key(options)
        by_key = bool(options.keys)
        pages = fetched(options.name, key, days, base_url=options.base_url, by_key=by_key)
        for page in asyncio.run(pages):
            found += of.read(page)
    if not found.within(*days).billed:
        text = f"the bill has no amounts from {days[0]} to {days[1]}"
        raise StatementError(f"{text}; it is of other days, or has usage without costs")
    return found


def _key(options: InvoiceOptions) -> str:
    """The key for the API.  Raises StatementError if there is none."""
    variable = biller(options.name).variable
    if not variable:
        what = biller(options.name).what
        raise StatementError(f"give --file: {options.name} has no API for its {what}")
    given = options.key
    if given.startswith(ENVIRONMENT):
        variable, given = given.removeprefix(ENVIRONMENT), ""
    key = given or os.environ.get(variable, "")
    if not key:
        hint = f"set {variable}, or invoices.{options.name}.key, or give --file"
        raise StatementError(f"there is no key for the API of {options.name}; {hint}")
    return key


def _rows(config: Config, provider: str, days: tuple[date, date]) -> list[Row]:
    """What was metered, and a day more on either side: a bill may have other days than ours."""
    since = datetime(days[0].year, days[0].month, days[0].day, tzinfo=UTC) - DAY
    until = datetime(days[1].year, days[1].month, days[1].day, tzinfo=UTC) + 2 * DAY
    ends = {"since": since.isoformat(), "until": until.isoformat(), "provider": provider}
    found: list[Row] | None = ask(config, PATH, ends)
    return asyncio.run(_from_store(config, provider, since, until)) if found is None else found


async def _from_store(config: Config, provider: str, since: datetime, until: datetime) -> list[Row]:
    if not has_store(config):  # this data directory was never served from
        return []
    store = Store(store_dsn(config), database=config.store.database)
    try:
        return await metered_of(store, provider, since, until)
    finally:
        await store.close()


def _write_overlay(path: Path, provider: str, found: Comparison, days: tuple[date, date]) -> None:
    source = f"the bill of {provider} from {days[0]} to {days[1]}"
    text = overlay(provider, found.cells, source, datetime.now(UTC).date())
    if text is None:
        terminal.say("No discount holds for a model on every day: no tariffs written.", sys.stderr)
        return
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    terminal.say(
        f"Wrote {path}.  Check it against your contract; then: taximeter check, taximeter reprice"
        f" --tariffs {path.parent} --dry-run",
        sys.stderr,
    )


def _show(shown: Document) -> None:
    """Print days, causes, and what nothing explains."""
    rows = [{"day": day["day"], **_cells(day)} for day in shown["days"]]
    rows.append({"day": "all", **_cells(shown["total"])})
    share = Column("share", "of bill", number=True)
    terminal.show((Column("day", "day (UTC)"), *MONEY, share), rows)
    terminal.say("")
    for text in _said(shown):
        terminal.wrapped(text)
    worst = [one for one in shown["lines"] if Decimal(one["unexplained_usd"])]
    worst.sort(key=lambda one: -abs(Decimal(one["unexplained_usd"])))
    if worst:
        terminal.say("\nNot explained, the largest first:")
        columns = (Column("day", "day"), Column("model", "model"), Column("item", "item"), *MONEY)
        terminal.show(columns, [{**one, **_cells(one)} for one in worst[:WORST]])
        if len(worst) > WORST:
            terminal.say(f"and {len(worst) - WORST:,} more (use --json to see all)")


def _cells(sums: Document) -> dict[str, str]:
    share = sums.get("unexplained_share")
    return {
        "metered": amount(sums["metered_usd"]),
        "billed": amount(sums["billed_usd"]),
        "difference": signed(sums["difference_usd"]),
        "unexplained": amount(sums["unexplained_usd"]),
        "share": "" if share is None else f"{Decimal(share):.2%}",
    }


def _said(shown: Document) -> Iterator[str]:
    """The causes and notes in sentences."""
    causes = {cause.text: cause for cause in Cause}
    for name, usd in shown["total"]["causes"].items():
        yield f"{signed(usd)} {name}: {causes[name].sentence}"
    if shown["shift_h"]:
        yield f"The bill's days begin {shown['shift_h']:+d} h from midnight UTC."
    for one in shown["factors"]:
        item = f", {one['item']}" if one["item"] else ""
        yield f"{one['model']}{item}: the bill's price is {one['factor']} times ours."
    if left_out := shown["not_compared"]:
        total = sum((Decimal(one["usd"]) for one in left_out), Decimal(0))
        yield f"{signed(total)} not compared, as it is not for calls (tax, support, refunds)."
    for note in shown["notes"]:
        yield f"Note: {note}."
    missed = sum(not day["explained"] for day in shown["days"])
    if missed:
        days = f"{missed} of {len(shown['days'])} days"
        yield f"On {days} more than 0.1 % of the bill is unexplained."
    else:
        yield "Every day is explained to within 0.1 % of its bill."
