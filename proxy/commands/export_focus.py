"""`taximeter export focus`: the bill in the columns of FOCUS 1.3, as CSV or Parquet."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, TextIO
from urllib.parse import urlencode

import msgspec

from exporters.clickhouse.file_writer import Target, copy_text, write_parquet
from exporters.clickhouse.s3_object import PREFIX, S3Object
from exporters.clickhouse.store import Store
from exporters.record import TransientError
from pricing.money import amount
from proxy.commands import audited, questions, stored, terminal
from proxy.commands.console_client import SILENCE_S, request
from proxy.commands.export_target import needs_engine, target, within
from proxy.commands.terminal import Exit, count
from proxy.console.audit_api import ChangeMade
from proxy.console.export_api import FOCUS, FOCUS_PATH
from proxy.exports.focus import COLUMNS, cells, rows, structure
from proxy.exports.focus_days import Day, days, question_of, read_days
from proxy.query.asked import Asked, Mistake
from proxy.query.csv_rows import csv_text
from proxy.settings.config import Config
from proxy.settings.places import has_store, store_dsn

HELP = "Write the bill in the columns of FOCUS 1.3, a row per day (UTC) and SKU."
CSV, PARQUET = ".csv", ".parquet"


class Written(msgspec.Struct):
    """What was written, and what is not in it."""

    rows: int = 0
    billed_usd: Decimal = Decimal(0)
    unknown_calls: int = 0  # whose cost is unknown: absent
    partial_calls: int = 0  # of which the rows have a lower bound
    not_billed_calls: int = 0  # which have no charge
    rows_without_list_price: int = 0
    files: list[str] = []


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action's arguments."""
    questions.add_question(parser, FOCUS)
    help = f"a file ending in {CSV} or {PARQUET}, or a directory for both (default: CSV printed)"
    parser.add_argument("--output", metavar="PATH", help=f"{help}; here, or as {PREFIX}BUCKET/KEY")


def main(arguments: argparse.Namespace) -> int:
    """Run the action.  Raises ValueError for a question that is not understood."""
    form = questions.form(arguments)
    pairs, asked = questions.question(arguments, FOCUS)
    wanted = days(asked, datetime.now(UTC))
    files = _files(arguments.output, wanted)
    config = stored.stored_configuration(arguments)
    try:
        with TemporaryDirectory(prefix="taximeter-") as scratch:
            lines = Path(scratch) / "focus.jsonl"
            done = _gather(config, (pairs, asked), wanted, lines)
            for to in files:
                if isinstance(to, Path):
                    _write_here(lines, to, Path(scratch))
                else:
                    _send(lines, to, Path(scratch))
            if not files:
                _print(lines, form)
    except (TransientError, OSError, HTTPException) as error:
        terminal.say(f"Cannot export: {error or type(error).__name__}", sys.stderr)
        return Exit.FAILED
    done.files = [str(to) for to in files]
    if files and form == "json":
        terminal.emit(done)
    else:
        for text in _said(done):
            terminal.say(text, None if files else sys.stderr)
    return Exit.OK


def _files(output: str | None, wanted: Sequence[date]) -> list[Target]:
    """What to write: nothing, one file, or both in a directory.  Raises Mistake."""
    if output is None:
        return []
    to = target(output)
    ending = _ending(to)
    if ending == PARQUET:
        needs_engine("Parquet")
    if ending in (CSV, PARQUET):
        return [to]
    if ending and not (isinstance(to, Path) and to.is_dir()):
        hint = f"end it with {CSV} or {PARQUET}, or give a directory for both"
        raise Mistake(f"{to} has no known ending", hint, "output")
    needs_engine("Parquet")
    name = f"focus-{wanted[0]:%Y-%m}" if wanted else "focus"
    return [within(to, f"{name}{one}") for one in (CSV, PARQUET)]


def _ending(to: Target) -> str:
    return PurePosixPath(str(to)).suffix


def _write_here(lines: Path, to: Path, scratch: Path) -> None:
    """Write the rows as a file; nobody takes a part for the whole."""
    to.parent.mkdir(parents=True, exist_ok=True)
    new = to.with_name(f"{to.name}.new")
    if _ending(to) == PARQUET:
        write_parquet(lines, structure(), new, scratch)
    else:
        _write_csv(lines, new)
    new.replace(to)


def _send(lines: Path, to: S3Object, scratch: Path) -> None:
    """The same to S3, where a file is there once it is whole."""
    if _ending(to) == PARQUET:
        write_parquet(lines, structure(), to, scratch)
        return
    _write_csv(lines, scratch / CSV)
    copy_text(scratch / CSV, to, scratch)


def _gather(
    config: Config,
    question: tuple[questions.Pairs, Asked],
    wanted: list[date],
    to: Path,
) -> Written:
    """Write the rows as lines of JSON."""
    done = Written()
    with to.open("w", encoding="utf-8") as file:

        def take(day: Day) -> None:
            for row in rows(day.lines, day.day):
                done.rows += 1
                done.billed_usd += row["BilledCost"]
                done.rows_without_list_price += row["ListCost"] is None
                file.write(json.dumps(cells(row)) + "\n")
            done.unknown_calls += int(str(day.absent["unknown"]))
            done.partial_calls += int(str(day.absent["partial"]))
            done.not_billed_calls += int(str(day.absent["not_billed"]))

        pairs, asked = question
        if not wanted:
            return done
        change = question_of(wanted, pairs)
        query = [*change.asked, ("since", change.since), ("until", change.until), ("tz", "UTC")]
        path = f"{FOCUS_PATH}?{urlencode(query)}"
        with request(config, path, method="GET", timeout_s=SILENCE_S) as answer:
            if answer is not None:
                for line in answer:
                    take(msgspec.json.decode(line, type=Day))
                return done
        if not has_store(config):  # this data directory was never served from
            return done
        audited.write(config, ChangeMade("export", "focus", after=change))
        asyncio.run(_from_store(config, asked, wanted, take))
        return done


async def _from_store(
    config: Config, asked: Asked, wanted: list[date], take: Callable[[Day], None]
) -> None:
    store = Store(store_dsn(config), database=config.store.database)
    try:
        async for day in read_days(store, wanted, asked.filters):
            take(day)
    finally:
        await store.close()


def _read(lines: Path) -> Iterator[dict[str, Any]]:
    with lines.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _write_csv(lines: Path, to: Path) -> None:
    with to.open("w", encoding="utf-8", newline="") as file:
        _print_csv(lines, file)


def _print_csv(lines: Path, to: TextIO) -> None:
    """A header, and a line for each row as it is read."""
    to.write(csv_text([], list(COLUMNS)))
    for row in _read(lines):
        to.write(csv_text([row], list(COLUMNS)).partition("\n")[2])


def _print(lines: Path, form: str) -> None:
    if form != "json":
        _print_csv(lines, sys.stdout)
        return
    for row in _read(lines):
        terminal.emit(row)


def _said(done: Written) -> Iterator[str]:
    yield f"{count(done.rows)} rows, {amount(done.billed_usd)} billed."
    for text, number in (
        ("Calls that are absent, as their cost is unknown", done.unknown_calls),
        ("Calls whose cost is a lower bound (x_CostStatus)", done.partial_calls),
        ("Rows without ListCost, as no list price is known", done.rows_without_list_price),
    ):
        if number:
            yield f"{text}: {count(number)}."
