"""`taximeter price`: call documents in, charges out, line by line."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from pricing import TariffBook
from pricing.cause import parse
from pricing.money import amount
from proxy.commands import terminal
from proxy.commands.arguments import add_common, configuration
from proxy.commands.terminal import Column, Exit
from proxy.metering import documents
from proxy.metering.book import tariff_book
from proxy.settings.config import Config

LINE: Sequence[Column] = (
    Column("meter", "meter"),
    Column("quantity", "quantity", number=True),
    Column("price", "list price", number=True),
    Column("factors", "factors"),
    Column("usd", "USD", number=True),
    Column("source", "source"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    parser.add_argument("files", nargs="*", metavar="FILE", help="- is standard input")
    parser.add_argument("--explain", action="store_true", help="a receipt for people")


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(arguments)
    return price(arguments.files, config, tariff_book(config), explain=arguments.explain)


def price(files: Sequence[str], config: Config, book: TariffBook, *, explain: bool) -> Exit:
    """Print a line of JSON, or a receipt, for each document.  "-" is standard input.

    A line that is no call document is reported on standard error; the others are priced.
    """
    code = Exit.OK
    for where, text in _lines(files):
        try:
            charge = documents.price_document(documents.parse(text), book, config)
        except ValueError as error:
            terminal.say(f"{where}: {error}", sys.stderr)
            code = Exit.MISTAKE
            continue
        if explain:
            _receipt(charge)
        else:
            terminal.emit(charge)
        if charge["usd"] is None and code is Exit.OK:
            code = Exit.UNPRICED
    return code


def _lines(files: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """(place, document): one a line, or the whole file where it is a single one.

    Raises OSError if a file cannot be read.
    """
    for name in files or ("-",):
        if name == "-":
            yield from _documents("stdin", sys.stdin.buffer)
            continue
        with Path(name).open("rb") as file:
            yield from _documents(name, file)


def _documents(name: str, lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Lines of JSON one by one; a document that spans several lines as one."""
    numbered = ((at, line) for at, line in enumerate(lines, 1) if line.strip())
    for at, line in numbered:
        if line.strip() == b"{":
            yield name, line + b"".join(rest for _, rest in numbered)
        else:
            yield f"{name}:{at}", line


def _receipt(charge: Mapping[str, object]) -> None:
    name = charge["id"] or "call"
    terminal.say(f"{name}: {_cost(charge)} ({charge['status']})")
    lines = charge["lines"]
    if isinstance(lines, list) and lines:
        terminal.show(LINE, [_cells(line) for line in lines])
    if (charge["list_usd"], charge["list_status"]) != (charge["usd"], charge["status"]):
        listed = amount(charge["list_usd"], str(charge["list_status"]), whole=True)
        terminal.say(f"  at list price: {listed} ({charge['list_status']})")
    reasons = charge["reasons"]
    for reason in reasons if isinstance(reasons, list) else ():
        terminal.say(f"  because {reason}\n    {parse(reason).reason.sentence}")
    terminal.say(f"  tariff {charge['tariff']}\n" if charge["tariff"] else "")


def _cells(line: Mapping[str, object]) -> dict[str, str]:
    factors = line["factors"]
    return {
        **{key: str(line[key]) for key in ("meter", "quantity", "usd", "source")},
        "price": f"{line['rate']} per {Decimal(str(line['per'])):,f}",
        "factors": ", ".join(f"{name} x{value}" for name, value in factors.items())
        if isinstance(factors, dict)
        else "",
    }


def _cost(charge: Mapping[str, object]) -> str:
    usd = charge["usd"]
    return amount(None if usd is None else str(usd), str(charge["status"]), whole=True)
