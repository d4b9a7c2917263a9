"""The SQL that reads leaves, nonces and the canonical texts of rows."""

from collections.abc import Iterator
from dataclasses import dataclass

from exporters.clickhouse.dimensions import Bound
from exporters.evidence.canonical import selected
from exporters.evidence.forms import TABLES

# GLOBAL: on a cluster, leaves and rows may be on other shards; elsewhere it changes nothing.
_RANGE = "tree = {tree:UUID} AND number >= {first:UInt64} AND number < {end:UInt64}"
_INSTANT = "fromUnixTimestamp64Micro({%s:Int64}, 'UTC')"


@dataclass(frozen=True, slots=True)
class LeafRange:
    """The leaves from `first` to `end`, exclusive, of one tree."""

    tree: str
    first: int
    end: int

    def bound(self) -> Bound:
        """The values to bind."""
        return {"tree": self.tree, "first": self.first, "end": self.end}


def trees() -> tuple[str, Bound]:
    """All trees of the store: (tree, leaves, first instant in microseconds)."""
    return (
        "SELECT toString(tree) AS tree, max(number) + 1 AS size FROM leaves GROUP BY tree"
        " ORDER BY tree",
        {},
    )


def leaves(part: LeafRange) -> tuple[str, Bound]:
    """Leaves in order."""
    return (
        "SELECT number, kind, form, toUnixTimestamp64Micro(ts) AS ts_us,"
        " toString(call_id) AS call_id, source, revision, lower(hex(row_mac)) AS row_mac,"
        f" lower(hex(content_mac)) AS content_mac FROM leaves WHERE {_RANGE}"
        " ORDER BY number",
        part.bound(),
    )


def nonces(part: LeafRange) -> tuple[str, Bound]:
    """(number, nonce in hex)."""
    return f"SELECT number, lower(hex(nonce)) AS nonce FROM nonces WHERE {_RANGE}", part.bound()


def erased(part: LeafRange) -> tuple[str, Bound]:
    """(number, deletion) of leaves whose rows were deleted on purpose."""
    return (
        f"SELECT number, toString(deletion) AS deletion FROM erased WHERE {_RANGE}",
        part.bound(),
    )


def rows(kind: str, form: int, part: LeafRange, since_us: int, until_us: int) -> tuple[str, Bound]:
    """The rows that leaves of `range` are of, with their canonical texts.

    Both instants, inclusive, limit how much is read.  Of content the newest version.
    """
    id, source, revision = _id(kind)
    row, content = selected(kind, form)
    newest = " ORDER BY t.ingested_at DESC LIMIT 1 BY id, source" if kind == "content" else ""
    return (
        f"SELECT toString({id}) AS id, {source} AS source, {revision} AS revision,"
        f" {row} AS row, {content} AS content FROM {TABLES[kind]} AS t"
        f" WHERE t.ts >= {_INSTANT % 'since'} AND t.ts <= {_INSTANT % 'until'}"
        f" AND {id} GLOBAL IN (SELECT call_id FROM leaves WHERE {_RANGE}"
        f" AND kind = {{kind:String}}){newest}",
        {**part.bound(), "since": since_us, "until": until_us, "kind": kind},
    )


def without_leaf(kind: str, since_us: int, until_us: int, node: str) -> tuple[str, Bound]:
    """Rows of a half-open period that are in no tree of this store, and second rows of an id."""
    id, source, revision = _id(kind)
    of_node = "" if kind in ("content", "correction") else " AND t.node = {node:String}"
    return (
        f"SELECT toString({id}) AS id, {source} AS source, {revision} AS revision, count() AS rows"
        f" FROM {TABLES[kind]} AS t WHERE t.ts >= {_INSTANT % 'since'}"
        f" AND t.ts < {_INSTANT % 'until'}{of_node} GROUP BY id, source, revision"
        f" HAVING (id, source, revision) GLOBAL NOT IN (SELECT toString(call_id), source, revision"
        f" FROM leaves WHERE kind = {{kind:String}} AND ts >= {_INSTANT % 'since'}"
        f" AND ts < {_INSTANT % 'until'}){'' if kind == 'content' else ' OR rows > 1'}"
        " ORDER BY id, source, revision",
        {"since": since_us, "until": until_us, "kind": kind, "node": node},
    )


def days(kind: str, since_us: int) -> tuple[str, Bound]:
    """The days from then on that have rows, in days since the epoch."""
    return (
        f"SELECT DISTINCT toInt64(toRelativeDayNum(t.ts)) AS day FROM {TABLES[kind]} AS t"
        f" WHERE t.ts >= {_INSTANT % 'since'} ORDER BY day",
        {"since": since_us},
    )


def of_call(tree: str, call_id: str) -> tuple[str, Bound]:
    """The numbers of all leaves about one call."""
    return (
        "SELECT number FROM leaves WHERE tree = {tree:UUID} AND call_id = {call_id:UUID}"
        " ORDER BY number",
        {"tree": tree, "call_id": call_id},
    )


def ranges(tree: str, size: int, step: int) -> Iterator[LeafRange]:
    """All leaves of a tree, so many at a time."""
    for first in range(0, size, step):
        yield LeafRange(tree, first, min(first + step, size))


def _id(kind: str) -> tuple[str, str, str]:
    """The columns that identify a row: as call id, source and revision of its leaf."""
    if kind == "audit":
        return "t.id", "''", "toUInt32(0)"
    revision = "t.revision" if kind == "correction" else "toUInt32(0)"
    return "t.call_id", "t.source", revision
