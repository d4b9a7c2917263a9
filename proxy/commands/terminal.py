"""Output of commands: a table in a terminal, plain text in a pipe, JSON with --json.

Values come from callers and providers, so control characters never reach the terminal.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TextIO

import msgspec

from pricing.money import UNKNOWN, aligned


class Exit(IntEnum):
    """The exit codes of commands."""

    OK = 0
    FAILED = 1  # something did not start, did not respond, or had to be killed
    MISTAKE = 2  # invalid arguments, configuration or input; nothing was done
    TAKEN = 3  # the port or the data directory is in use
    UNPRICED = 4  # done, but some price is unknown


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its key in the rows, and its title."""

    key: str
    title: str
    number: bool = False  # right-aligned
    money: bool = False  # a number whose decimal points are below each other

    @property
    def right(self) -> bool:
        return self.number or self.money


def show(
    columns: Sequence[Column], rows: Iterable[Mapping[str, str]], to: TextIO | None = None
) -> None:
    """Print a table; `to` is standard output by default."""
    stream = to or sys.stdout
    cells = [[printable(row.get(column.key, "")) for column in columns] for row in rows]
    for at, column in enumerate(columns):
        if column.money:
            points = aligned([line[at] for line in cells])
            for line, text in zip(cells, points, strict=True):
                line[at] = text
    if stream.isatty():
        _show_table(columns, cells, stream)
        return
    widths = [
        max(len(column.title), *(len(line[at]) for line in cells), 0)
        for at, column in enumerate(columns)
    ]
    for line in [[column.title for column in columns], *cells]:
        padded = (
            text.rjust(width) if column.right else text.ljust(width)
            for text, width, column in zip(line, widths, columns, strict=True)
        )
        print("  ".join(padded).rstrip(), file=stream)


def _show_table(columns: Sequence[Column], cells: Sequence[Sequence[str]], to: TextIO) -> None:
    # Imported where somebody looks: most starts are of `serve`, and of commands in a pipe.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left")
    for line in cells:
        table.add_row(*map(Text, line))
    Console(file=to).print(table)


def say(text: str, to: TextIO | None = None) -> None:
    """Print text; `to` is standard output by default."""
    stream = to or sys.stdout
    print("\n".join(map(printable, text.split("\n"))), file=stream, flush=True)


def emit(document: object, to: TextIO | None = None) -> None:
    """Print one line of JSON; `to` is standard output by default."""
    print(msgspec.json.encode(document).decode(), file=to or sys.stdout, flush=True)


def printable(text: str) -> str:
    """`text` with control characters escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def count(number: object) -> str:
    """A whole number with thousands separators; None is unknown."""
    return f"{number:,}" if isinstance(number, int) else UNKNOWN


def seconds(microseconds: object) -> str:
    """A duration in ms or s; "-" for None, which did not happen."""
    if not isinstance(microseconds, int):
        return "-"
    return f"{microseconds / 1e6:.2f} s" if microseconds >= 1e6 else f"{microseconds / 1e3:.0f} ms"
