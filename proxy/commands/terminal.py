"""Output of commands: a table in a terminal, plain text in a pipe, JSON with --json.

Values come from callers and providers, so control characters never reach the terminal.
"""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TextIO

import msgspec

from pricing.money import UNKNOWN, aligned

GAP = 2  # between two columns
MARGIN = 40  # characters of text in a line at least
FOLDED = 24  # characters of a text that should stand in one line


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
    shed: int = 0  # left out where the terminal is too narrow, the highest first; 0: never

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
    """A table as wide as the terminal: names are folded, numbers are whole or not there at all."""
    # Imported where somebody looks: most starts are of `serve`, and of commands in a pipe.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(file=to, highlight=False)
    kept = fitting(columns, cells, console.width)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, GAP, 0, 0))
    for at in kept:
        column = columns[at]
        table.add_column(
            "\n".join(_folded(column.title, _widest(column, at, cells))),
            justify="right" if column.right else "left",
            no_wrap=column.right,
            overflow="fold",
        )
    for line in cells:
        table.add_row(*(Text(line[at]) for at in kept))
    console.print(table)
    if hidden := [column.title for at, column in enumerate(columns) if at not in kept]:
        console.print(f"Not shown in {console.width} columns: {', '.join(hidden)} (see --json).")


def fitting(columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int) -> Sequence[int]:
    """Which columns to show in a terminal of `width`: all, or all but those to leave out first."""
    kept = list(range(len(columns)))
    while True:
        needed = sum(_widest(columns[at], at, cells) + GAP for at in kept) - GAP
        sheddable = [at for at in kept if columns[at].shed]
        if needed <= width or not sheddable:
            return kept
        kept.remove(max(sheddable, key=lambda at: (columns[at].shed, at)))


def _widest(column: Column, at: int, cells: Sequence[Sequence[str]]) -> int:
    """The width that a column needs: a number's whole, a text's up to where it is folded."""
    word = max(map(len, column.title.split()), default=0)  # a column of numbers needs no title
    widest = max((len(line[at]) for line in cells), default=0)
    return max(word, widest if column.right else min(widest, FOLDED))


def _folded(title: str, width: int) -> list[str]:
    """A title in lines of at most `width`, of whole words."""
    lines: list[str] = []
    for word in title.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def say(text: str, to: TextIO | None = None) -> None:
    """Print text; `to` is standard output by default."""
    stream = to or sys.stdout
    print("\n".join(map(printable, text.split("\n"))), file=stream, flush=True)


def wrapped(text: str, to: TextIO | None = None, *, indent: int = 2) -> None:
    """Print a line; in a terminal, its continuations are indented."""
    stream = to or sys.stdout
    if not stream.isatty():
        say(text, stream)
        return
    width = shutil.get_terminal_size().columns
    folded = textwrap.wrap(
        printable(text),
        max(width, MARGIN),
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
        break_long_words=False,  # an address that is cut cannot be clicked
    )
    print("\n".join(folded), file=stream, flush=True)


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
