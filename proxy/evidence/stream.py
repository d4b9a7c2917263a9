"""Reads a tree from the store, leaf by leaf with its row, for whoever checks or exports it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from exporters.clickhouse import evidence_sql
from exporters.clickhouse.dimensions import Bound
from exporters.clickhouse.evidence_sql import LeafRange
from exporters.clickhouse.store import Row
from exporters.evidence.checking import LeafLine, Line, RowLine
from exporters.evidence.forms import FORMS, TABLES
from exporters.evidence.leaf import Leaf

STEP = 10_000  # leaves of one query
CONTENT_STEP = 500  # the same for captured content, which may be 200 KiB for each call
DAY_US = 86_400_000_000


class Answers(Protocol):
    """The query of `exporters.clickhouse.store.Store` that is needed here."""

    async def ask(self, sql: str, parameters: Mapping[str, object]) -> list[Row]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Which tree, up to which leaf, and which of its rows: those from `since_us` on."""

    tree: str
    size: int
    since_us: int = 0
    numbers: frozenset[int] | None = None  # only these leaves' rows; None: all


async def sealed_lines(store: Answers, what: Reading) -> AsyncIterator[Sequence[Line]]:
    """Every leaf in order, each followed by its rows.  Raises TransientError.

    Entries of the audit log are read whatever their age, since they explain deletions.
    """
    for part in evidence_sql.ranges(what.tree, what.size, STEP):
        leaves = await _leaves(store, part, what)
        rows: dict[int, list[RowLine]] = {}
        for kind in TABLES:
            wanted = [one for one in leaves if one.is_checked and one.leaf.kind == kind]
            step = CONTENT_STEP if kind == "content" else STEP
            for first in range(0, len(wanted), step):
                await _rows(store, what.tree, wanted[first : first + step], rows)
        lines: list[Line] = []
        for leaf in leaves:
            lines.append(leaf)
            lines += rows.get(leaf.number, ())
        yield lines


async def added_lines(
    store: Answers, since_us: int, node: str, settle: Callable[[], Awaitable[None]]
) -> AsyncIterator[Sequence[Line]]:
    """Rows from then on that have no leaf, and second rows of one id.

    `settle` returns once rows that were just written have their leaves, if they ever will.
    """
    for kind in TABLES:
        for found in await _ask(store, evidence_sql.days(kind, since_us)):
            first = max(since_us, int(str(found["day"])) * DAY_US)
            until = (int(str(found["day"])) + 1) * DAY_US
            question = evidence_sql.without_leaf(kind, first, until, node)
            if rows := await _ask(store, question):
                await settle()
                again = await _ask(store, question)
                if lines := [_added(kind, one) for one in again if one in rows]:
                    yield lines


async def leaf_numbers(store: Answers, tree: str, call_id: str) -> list[int]:
    """The numbers of the leaves about one call, whatever their kind."""
    rows = await _ask(store, evidence_sql.of_call(tree, call_id))
    return [int(str(row["number"])) for row in rows]


async def trees(store: Answers) -> dict[str, int]:
    """The trees of the store and their sizes."""
    rows = await _ask(store, evidence_sql.trees())
    return {str(row["tree"]): int(str(row["size"])) for row in rows}


async def at_once() -> None:
    """For `added_lines` while nothing is being written."""
    await asyncio.sleep(0)


async def _leaves(store: Answers, part: LeafRange, what: Reading) -> list[LeafLine]:
    nonces = {row["number"]: row["nonce"] for row in await _ask(store, evidence_sql.nonces(part))}
    erased = {
        row["number"]: row["deletion"] for row in await _ask(store, evidence_sql.erased(part))
    }
    lines = []
    for row in await _ask(store, evidence_sql.leaves(part)):
        number = int(str(row.pop("number")))
        leaf = Leaf(**row)  # type: ignore[arg-type]
        recent = leaf.ts_us >= what.since_us or leaf.kind == "audit"
        lines.append(
            LeafLine(
                number=number,
                leaf=leaf,
                nonce=str(nonces.get(number, "")),
                deletion=str(erased.get(number, "")),
                is_checked=recent and (what.numbers is None or number in what.numbers),
            )
        )
    return lines


async def _rows(
    store: Answers, tree: str, wanted: Sequence[LeafLine], into: dict[int, list[RowLine]]
) -> None:
    """Find the rows of some leaves of one kind, all of which a query can name by their range."""
    by_form: dict[int, list[LeafLine]] = {}
    for line in wanted:
        by_form.setdefault(line.leaf.form, []).append(line)
    for form, lines in by_form.items():
        kind = lines[0].leaf.kind
        if form not in FORMS[kind]:
            continue  # of a newer version: its rows are found missing, and the reason says so
        part = LeafRange(tree, lines[0].number, lines[-1].number + 1)
        instants = [line.leaf.ts_us for line in lines]
        found: dict[tuple[str, str, int], list[Row]] = {}
        question = evidence_sql.rows(kind, form, part, min(instants), max(instants))
        for row in await _ask(store, question):
            id = str(row["id"]), str(row["source"]), int(str(row["revision"]))
            found.setdefault(id, []).append(row)
        for line in lines:
            leaf = line.leaf
            into[line.number] = [
                RowLine(
                    number=line.number,
                    kind=kind,
                    call_id=leaf.call_id,
                    source=leaf.source,
                    revision=leaf.revision,
                    row=str(row["row"]),
                    content=str(row["content"]),
                )
                for row in found.get((leaf.call_id, leaf.source, leaf.revision), ())
            ]


async def _ask(store: Answers, question: tuple[str, Bound]) -> list[Row]:
    return await store.ask(*question)


def _added(kind: str, row: Row) -> RowLine:
    return RowLine(
        number=None,
        kind=kind,
        call_id=str(row["id"]),
        source=str(row["source"]),
        revision=int(str(row["revision"])),
    )
