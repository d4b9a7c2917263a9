"""Reads routing tables and arrivals from CSV files, strictly: a wrong cell is named.

A table's kind shows in its columns, whatever its file is called.  *Pairs*: a strong and a weak
model, right or wrong on each prompt (`strong_correct`, `weak_correct`; optional `set`, `subject`,
`item`, `prompt_chars`).  *Calls*: a row for each prompt and model (`item`, `model`; optional
`subject`, `score`, `cost_usd`, `input_tokens`, `output_tokens`).  *Arrivals*: `TIMESTAMP`,
`ContextTokens`, `GeneratedTokens`, as in AzurePublicDataset.
"""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from evaluation.statistics.clusters import Floats

ROWS_MAX = 2_000_000  # of one file
PAIRS, CALLS, ARRIVALS = "pairs", "calls", "arrivals"
REQUIRED: Mapping[str, tuple[str, ...]] = {
    PAIRS: ("strong_correct", "weak_correct"),
    CALLS: ("item", "model"),
    ARRIVALS: ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
}
OPTIONAL: Mapping[str, tuple[str, ...]] = {
    PAIRS: ("set", "subject", "item", "prompt_chars"),
    CALLS: ("subject", "score", "cost_usd", "input_tokens", "output_tokens"),
    ARRIVALS: (),
}

Cell = str | int | float | Decimal | datetime


class TableError(ValueError):
    """A file that cannot be used; the message names the file, the line and what is wrong."""


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of one file that are known here, cell by cell; other columns are left out."""

    file: str
    kind: str
    rows: int
    columns: Mapping[str, list[Cell]] = field(repr=False)

    @property
    def missing(self) -> list[str]:
        """Optional columns that are not there: what needs them is null."""
        return [name for name in OPTIONAL[self.kind] if name not in self.columns]

    def texts(self, title: str, rows: Sequence[int]) -> list[str] | None:
        """Some rows of a column; None if the table has no such column."""
        cells = self.columns.get(title)
        return None if cells is None else [str(cells[at]) for at in rows]

    def numbers(self, title: str, rows: Sequence[int]) -> Floats | None:
        """The same as floats."""
        cells = self.columns.get(title)
        return None if cells is None else np.asarray([cells[at] for at in rows], np.float64)

    def labels(self, rows: Sequence[int]) -> list[str | None] | None:
        """The cluster of each row: its subject, if it has one."""
        subjects = self.texts("subject", rows)
        return None if subjects is None else [name.strip() or None for name in subjects]


def read_tables(directory: Path) -> tuple[list[Table], list[str]]:
    """The tables in the CSV files of a directory, by name, and the files of no known kind.

    Raises TableError where the directory is not there, has no table, or a table is damaged.
    """
    if not directory.is_dir():
        raise TableError(f"{directory}: no such directory; pass the one that has the CSV files")
    tables, unknown = [], []
    for path in sorted(directory.glob("*.csv")):
        table = read_table(path)
        if table is None:
            unknown.append(path.name)
        else:
            tables.append(table)
    if not tables:
        wanted = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in REQUIRED.items())
        raise TableError(f"{directory}: no routing table here; CSV columns needed: {wanted}")
    return tables, unknown


def read_table(path: Path) -> Table | None:
    """One file; None if its columns are of no known kind.  Raises TableError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(path.name, csv.reader(file, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path.name}: not a CSV file in UTF-8: {error}") from error


def _read(name: str, lines: "csv._reader") -> Table | None:  # type: ignore[name-defined]  # a name of the stubs
    header = [title.strip() for title in next(lines, [])]
    if not header:
        raise TableError(f"{name}: empty file; the first line must name the columns")
    if len(set(header)) < len(header):
        raise TableError(f"{name}: a column is there twice: {', '.join(header)}")
    kind = _kind(header)
    if kind is None:
        return None
    lost = [title for title in REQUIRED[kind] if title not in header]
    if lost:
        raise TableError(f"{name}: missing column {', '.join(lost)}")
    known = {title: at for at, title in enumerate(header) if title in CELLS[kind]}
    columns: dict[str, list[Cell]] = {title: [] for title in known}
    rows = 0
    for cells in filter(None, lines):  # a blank line is no row
        rows += 1
        if rows > ROWS_MAX:
            raise TableError(f"{name}: more than {ROWS_MAX:,} rows; split the file")
        if len(cells) != len(header):
            raise TableError(
                f"{name}:{lines.line_num}: {len(cells)} cells where the header has {len(header)}"
            )
        for title, at in known.items():
            try:
                columns[title].append(CELLS[kind][title](cells[at]))
            except (ValueError, InvalidOperation) as error:
                told = f"{title} is {cells[at]!r}, which is not {WANTED[CELLS[kind][title]]}"
                raise TableError(f"{name}:{lines.line_num}: {told}") from error
    return Table(name, kind, rows, columns)


def _kind(header: list[str]) -> str | None:
    if {"strong_correct", "weak_correct"} & set(header):
        return PAIRS
    if "model" in header and {"item", "score", "cost_usd"} & set(header):
        return CALLS
    return ARRIVALS if "TIMESTAMP" in header else None


def _named(text: str) -> str:
    if not text.strip():
        raise ValueError
    return text


def _flag(text: str) -> float:
    if text.strip() not in ("0", "1", "0.0", "1.0"):
        raise ValueError
    return float(text)


def _score(text: str) -> float:
    number = float(text)
    if not -1 <= number <= 1:  # RouterArena takes points off for wrong moves
        raise ValueError
    return number


def _money(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite() or number < 0:
        raise ValueError
    return number


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError
    return int(text)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


WANTED: Mapping[Callable[[str], Cell], str] = {
    str: "text",
    _named: "a name",
    _flag: "0 or 1",
    _score: "a number from -1 to 1",
    _money: "an amount in USD, 0 or more",
    _count: "a whole number, 0 or more",
    _instant: "a time such as 2023-11-16 18:17:03.97",
}
CELLS: Mapping[str, Mapping[str, Callable[[str], Cell]]] = {
    PAIRS: {
        "set": str,
        "subject": str,
        "item": str,
        "prompt_chars": _count,
        "strong_correct": _flag,
        "weak_correct": _flag,
    },
    CALLS: {
        "item": _named,
        "model": _named,
        "subject": str,
        "score": _score,
        "cost_usd": _money,
        "input_tokens": _count,
        "output_tokens": _count,
    },
    ARRIVALS: {"TIMESTAMP": _instant, "ContextTokens": _count, "GeneratedTokens": _count},
}


def by_value(names: Iterable[str]) -> list[tuple[str, list[int]]]:
    """The positions of each name, in order of name."""
    found: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        found.setdefault(name, []).append(at)
    return sorted(found.items())
