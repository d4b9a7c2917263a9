"""`taximeter report`: calls, tokens and cost, by group.

Queries the running console, whose process owns the embedded store; without one, opens the store.
"""

import argparse
import asyncio
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from exporters.clickhouse.notes import notes, success_notes
from exporters.clickhouse.query import Query
from exporters.clickhouse.report_sql import OTHER
from exporters.clickhouse.reports import NOTHING, columns
from exporters.clickhouse.reports import report as reported
from exporters.clickhouse.store import Row, Store
from exporters.record import TransientError
from pricing.money import calls
from proxy.commands import fare, fixed_costs, questions, stored, terminal, token_audit
from proxy.commands.arguments import add_common
from proxy.commands.console_client import ask
from proxy.commands.terminal import Column, Exit
from proxy.metering.book import tariff_book
from proxy.metering.unpriced import REPRICE, Hint, unpriced
from proxy.query.answer import document, shown_columns
from proxy.query.csv_rows import csv_text
from proxy.query.language import REPORT, Defaults, report_query
from proxy.settings.config import Config
from proxy.settings.places import has_store, store_dsn

OPTIONAL = ("p95", "p50", "list", "doubts", "output", "input")  # left out first to last, for room
DOUBTFUL = ("inexact_calls", "unpriced_calls")
NOT_OF_PERIOD = ("by", "limit", "order", "measure")
BETWEEN = 2  # spaces between two columns


class Answer(msgspec.Struct):
    """What `proxy.query.answer.document` makes."""

    since: str | None
    until: str
    tz: str
    by: list[str]
    rows: list[Row]
    total: Row
    notes: list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    questions.add_question(parser, REPORT, Defaults())
    help = "compare the tokens that providers report with our own count of a sample instead"
    parser.add_argument("--audit", action="store_true", help=help)
    help = "what fixed costs come to, spread over calls, instead (see docs/invoice.md)"
    parser.add_argument("--amortised", action="store_true", help=help)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    try:
        form = questions.form(arguments)
        if arguments.audit:
            return token_audit.report(arguments, form)
        if arguments.amortised:
            return fixed_costs.report(arguments, form)
        pairs, asked = questions.question(arguments, REPORT)
        query = report_query(asked, datetime.now(UTC), Defaults())
        return report(stored.stored_configuration(arguments), query, pairs, form)
    except ValueError as error:
        terminal.say(f"report: {error}", sys.stderr)
        return Exit.MISTAKE


def report(config: Config, query: Query, pairs: questions.Pairs, form: str) -> Exit:
    """Print one row per group.  Raises ValueError for a question that has too long an answer."""
    try:
        found = ask(config, "/api/report", pairs)
        hints: list[Hint] = []
        if found is None:
            found, hints = asyncio.run(_from_store(config, query))
        elif form == "table" and any(
            found["total"][n] for n in ("inexact_calls", "unpriced_calls")
        ):
            period = [(name, text) for name, text in pairs if name not in NOT_OF_PERIOD]
            hints = msgspec.convert(ask(config, "/api/unpriced", period) or [], list[Hint])
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot read the calls: {error}", sys.stderr)
        return Exit.FAILED
    answer = msgspec.convert(found, Answer)
    if form == "json":
        terminal.emit(answer.rows)
    elif form == "csv":
        text = csv_text(answer.rows, shown_columns(columns(query), answer.rows))
        sys.stdout.write(text)
    else:
        _show(answer, config)
        _advise(hints)
    for note in answer.notes:
        terminal.say(
            f"Note: {note}{'' if note.endswith('?') else '.'}",
            sys.stderr if form != "table" else None,
        )
    return Exit.OK


def _show(answer: Answer, config: Config) -> None:
    """Print the table; that there are no calls only if nothing else explains it."""
    if not answer.total["calls"]:
        if not answer.notes:
            period = f"between {answer.since} and {answer.until}"
            terminal.say(
                f"No calls {period} in {(config.store.dsn and 'the store') or config.data}."
            )
        return
    groups = [Column(name, name) for name in answer.by]
    shown = answer.rows
    if len(groups) > 1:  # a row for each group and day, whether there was a call or not
        shown = [row for row in shown if row["calls"]]
    rows = [fare.cells({**row, **_named(row, answer.by)}) for row in shown]
    if len(rows) > 1:
        rows.append(fare.cells(answer.total) | dict.fromkeys(answer.by, "") | {answer.by[0]: "all"})
    succeeded = fare.SUCCESS if "successes" in answer.total else ()
    chosen, left_out = fitting((*groups, *fare.MONEY, *succeeded), rows)
    terminal.show(chosen, rows)
    if left_out:
        terminal.say(f"Not shown: {', '.join(left_out)} (see --csv).")
        if why := fare.cells(answer.total)["doubts"]:
            terminal.say(f"Calls not exact: {why}.")


def _named(row: Row, by: Sequence[str]) -> Row:
    """What the groups are called in a table."""
    if row.get(OTHER):
        return {name: "(other)" for name in by if row.get(name) is None}
    return {name: "(none)" for name in by if row.get(name) == ""}


def fitting(
    wanted: Sequence[Column], rows: Sequence[dict[str, str]]
) -> tuple[list[Column], list[str]]:
    """The columns that say something, as many as fit a terminal; and the titles of the others."""
    said = [
        one
        for one in wanted
        if one.key not in OPTIONAL or any(row.get(one.key, "-") not in ("", "-") for row in rows)
    ]
    if not sys.stdout.isatty():
        return said, []
    room, left_out = shutil.get_terminal_size().columns, list[str]()
    for key in OPTIONAL:
        if _width(said, rows) <= room:
            break
        left_out += [one.title for one in said if one.key == key]
        said = [one for one in said if one.key != key]
    return said, left_out


def _width(columns: Sequence[Column], rows: Sequence[dict[str, str]]) -> int:
    widths = (max(len(c.title), *(len(row.get(c.key, "")) for row in rows)) for c in columns)
    return sum(widths) + BETWEEN * (len(columns) - 1)


def _advise(hints: Sequence[Hint]) -> None:
    """Name what prices the models that have no price."""
    for hint in hints:
        terminal.say(f"{calls(hint.calls)}: {hint}")
    if hints:
        terminal.say(f"Then, to restate the calls: {REPRICE}")


async def _from_store(config: Config, query: Query) -> tuple[Row, list[Hint]]:
    """The answer without a running meter."""
    waiting = list(stored.not_stored(config))
    if not has_store(config):  # this data directory was never served from
        return document(query, NOTHING, waiting), []
    store = Store(store_dsn(config), database=config.store.database)
    try:
        found = await reported(store, query)
        said = [*await notes(store, query), *success_notes(query, found), *waiting]
        hints = await unpriced(store, tariff_book(config), query.since, query.until, query.filters)
        return document(query, found, said), hints
    finally:
        await store.close()
