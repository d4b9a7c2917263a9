"""Evidence as files, for a check on another machine: leaves and rows of each tree, and heads.

`leaves.jsonl` and `rows.jsonl` have a line `tree` before the leaves and the rows of each tree;
both are in the order of leaf numbers, rows without a leaf last.  `heads.jsonl` has the heads.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from exporters.evidence.checking import LeafLine, RowLine
from exporters.evidence.head import Head
from proxy.evidence import heads

LEAVES, ROWS, HEADS = "leaves.jsonl", "rows.jsonl", "heads.jsonl"


class TreeLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="tree"):
    """What follows is of this tree.  `is_current`: it still grows."""

    tree: str
    size: int
    is_current: bool = False


class EndLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="end"):
    """Nothing was cut off."""

    trees: int


AnyLine = TreeLine | LeafLine | RowLine | EndLine
_decoder = msgspec.json.Decoder(AnyLine)
_encoder = msgspec.json.Encoder()


def encode(lines: Iterable[AnyLine]) -> bytes:
    """As JSON lines."""
    return b"".join(_encoder.encode(line) + b"\n" for line in lines)


def decode(line: bytes | str) -> AnyLine:
    """One line.  Raises ValueError for anything else."""
    try:
        found: AnyLine = _decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a line of evidence ({error}): {line[:60]!r}") from None
    return found


def write(lines: Iterable[AnyLine], kept: Iterable[Head], to: Path) -> int:
    """Write the files into a directory; returns how many leaves.  Raises OSError."""
    count = 0
    with _new(to / LEAVES) as leaves, _new(to / ROWS) as rows:
        for line in lines:
            data = encode((line,))
            if not isinstance(line, RowLine):
                leaves.write(data)
            if not isinstance(line, LeafLine):
                rows.write(data)
            count += isinstance(line, LeafLine)
    with _new(to / HEADS) as file:
        file.write(b"".join(_encoder.encode(head) + b"\n" for head in kept))
    return count


def read(directory: Path, damaged: list[str]) -> Iterator[AnyLine]:
    """The lines of an export, each leaf followed by its rows.  Raises OSError.

    Lines that are none are left out, and named in `damaged`.
    """
    with open(directory / LEAVES, "rb") as leaves, open(directory / ROWS, "rb") as rows:
        yield from merged(_whole(leaves, LEAVES, damaged), _whole(rows, ROWS, damaged))


def merged(leaves: Iterable[AnyLine], rows: Iterable[AnyLine]) -> Iterator[AnyLine]:
    """Both in the order in which `exporters.evidence.checking.Check` takes them.

    A row whose leaf does not come next is given where it is found, and so is seen as added.
    """
    waiting = iter(rows)
    row = next(waiting, None)
    for leaf in leaves:
        if isinstance(leaf, LeafLine):
            yield leaf
            while isinstance(row, RowLine) and row.number is not None and row.number <= leaf.number:
                yield row
                row = next(waiting, None)
            continue
        while isinstance(row, RowLine):  # what is left of the tree before
            yield row
            row = next(waiting, None)
        row = next(waiting, None)  # past its own line about the next tree
        yield leaf
    while row is not None:
        if isinstance(row, RowLine):
            yield row
        row = next(waiting, None)


def _whole(lines: Iterable[bytes], name: str, damaged: list[str]) -> Iterator[AnyLine]:
    for number, line in enumerate(lines, 1):
        try:
            yield decode(line)
        except ValueError:
            damaged.append(f"{name}, line {number}")


def heads_of(directory: Path) -> list[Head]:
    """The heads of an export.  Raises OSError."""
    return heads.read(directory / HEADS)


def _new(path: Path) -> BinaryIO:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    return os.fdopen(fd, "wb")
