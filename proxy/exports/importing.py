"""Reads an export back into a store: the rows with their prices, and what was said.

Content is written before its row, and rows that are there already are left out: an import that was
killed is repeated, and adds what is missing.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

import msgspec

from exporters.clickhouse.conversations import CALL, REFUSAL
from exporters.clickhouse.reports import Asks
from exporters.content import Content
from exporters.record import Batch, Record
from proxy.exports.directory import LINES, DirectoryError, Manifest, whole
from proxy.exports.line import Line, content_of_line, place_of, record_of

BATCH = 500  # lines of one INSERT
_TABLES = {CALL: "calls", REFUSAL: "refusals"}


class WritesRows(Protocol):
    """`exporters.clickhouse.clickhouse.ClickHouse`."""

    async def open(self) -> None: ...

    async def export(self, batch: Batch[Record]) -> None: ...


class WritesContent(Protocol):
    """`exporters.clickhouse.contents.Contents`."""

    async def export(self, batch: Batch[Content]) -> None: ...


class Imported(msgspec.Struct):
    """What an import did: lines added, and lines whose rows were there."""

    added: int = 0
    there: int = 0
    contents: int = 0


async def imported(
    path: Path, rows: WritesRows, contents: WritesContent, store: Asks
) -> tuple[Manifest, Imported]:
    """Write the export in `path` to a store.

    Raises DirectoryError for an export that is not whole or not as its manifest says, OSError, and
    what the writers raise.
    """
    manifest = whole(path)
    await rows.open()
    done, first = Imported(), 0
    for lines in _batches(path / LINES):
        known = await _there(store, lines)
        new = [line for line in lines if (line["call_id"], line["source"]) not in known]
        records = [_checked(line, path) for line in new]
        said = [
            content
            for line, record in zip(new, records, strict=True)
            if (content := content_of_line(line, record)) is not None
        ]
        token = f"import-{manifest.digests[LINES][:16]}:{first}-{first + len(lines) - 1}"
        await contents.export(Batch(token, tuple(said)))
        await rows.export(Batch(token, tuple(records)))
        done.added += len(new)
        done.there += len(lines) - len(new)
        done.contents += len(said)
        first += len(lines)
    return manifest, done


def _batches(path: Path) -> Iterator[list[Line]]:
    with path.open("rb") as file:
        while lines := [place_of(data.rstrip(b"\n"))[1] for data in islice(file, BATCH)]:
            yield lines


def _checked(line: Line, path: Path) -> Record:
    try:
        return record_of(line)
    except (ValueError, KeyError, TypeError) as error:
        raise DirectoryError(f"{path / LINES}: {error}") from error


async def _there(store: Asks, lines: list[Line]) -> set[tuple[str, str]]:
    """Ids and sources of the rows that are stored already."""
    found: set[tuple[str, str]] = set()
    for kind in {line["kind"] for line in lines}:
        ours = [line for line in lines if line["kind"] == kind]
        rows = await store.ask(
            f"SELECT t.call_id AS call_id, t.source AS source FROM {_TABLES.get(kind, 'sockets')}"
            " AS t WHERE t.ts >= fromUnixTimestamp64Micro({first:Int64}, 'UTC')"
            " AND t.ts <= fromUnixTimestamp64Micro({last:Int64}, 'UTC')"
            " AND t.call_id IN {ids:Array(UUID)}",
            {
                "first": min(line["ts_us"] for line in ours),
                "last": max(line["ts_us"] for line in ours),
                "ids": [line["call_id"] for line in ours],
            },
        )
        found |= {(str(row["call_id"]), str(row["source"])) for row in rows}
    return found
