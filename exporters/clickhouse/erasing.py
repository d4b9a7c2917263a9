"""Deletes rows for good, and notes which leaves' rows they were, so that a check can tell.

The steps are separate: what is to go is listed, then the caller writes the entry of the audit log,
then it goes.  Each may be repeated after a crash.
"""

import hashlib
from collections.abc import Iterator, Sequence

import msgspec
from clickhouse_connect.driver.client import Client

from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.migrations import quoted
from exporters.clickhouse.selection import SYNCHRONOUS, Selection
from exporters.clickhouse.writer import Writer
from exporters.evidence.checking import Erasure
from exporters.evidence.forms import TABLES

ROWS: tuple[str, ...] = (
    "call",
    "socket",
    "refusal",
    "correction",
    "content",
)  # what goes with the rows of a call
CONTENT: tuple[str, ...] = ("content",)
PAGE = 100_000  # leaf numbers that are read at once


class Deletion(msgspec.Struct, frozen=True, kw_only=True):
    """What to delete: rows that the store took until `until_us` and that match the condition."""

    id: str  # a UUID
    condition: str
    kinds: Sequence[str]
    until_us: int
    gone_before_us: int = 0  # also list rows before then that the table's own TTL deleted


class Erasing:
    """Lists and deletes.  Raises ValueError for an invalid DSN, otherwise what `Writer` raises."""

    def __init__(self, dsn: str, *, database: str = "taximeter") -> None:
        self.dsn = parse_dsn(dsn, database)
        self._writer = Writer("erasing", self.dsn, self._prepare)

    async def count(self, kinds: Sequence[str], whose: Selection) -> int:
        """How many calls have something that would go."""
        where = whose.condition()
        return await self._writer.do(lambda client: _count(client, kinds, where))

    async def count_gone(self, kinds: Sequence[str], before_us: int) -> int:
        """Of how many calls the tables' own TTL deleted something that is in no deletion."""
        return await self._writer.do(lambda client: _count_gone(client, kinds, before_us))

    async def now_us(self) -> int:
        """The clock by which the store notes when it took a row."""
        sql = "SELECT toUnixTimestamp64Milli(now64(3)) * 1000"
        return await self._writer.do(lambda client: int(client.query(sql).result_rows[0][0]))

    async def list(self, deletion: Deletion) -> Sequence[Erasure]:
        """Note which leaves it is about, and say how many of each tree."""
        return await self._writer.do(lambda client: _list(client, deletion))

    async def delete(self, deletion: Deletion) -> None:
        """Delete the rows and their nonces, on every server."""
        await self._writer.do(lambda client: self._delete(client, deletion))

    async def close(self) -> None:
        """Wait for the work in flight, then disconnect."""
        await self._writer.close()

    def _prepare(self, client: Client) -> None:
        client.database = self.dsn.database

    def _delete(self, client: Client, deletion: Deletion) -> None:
        for kind in deletion.kinds:
            self._alter(client, TABLES[kind], f"DELETE WHERE {_where(deletion)}")
        erased = "erased_local" if self.dsn.cluster else "erased"
        of_it = f"deletion = toUUID({quoted(deletion.id)})"
        listed = f"(tree, number) IN (SELECT tree, number FROM {erased} WHERE {of_it})"
        self._alter(client, "nonces", f"DELETE WHERE {listed}")

    def _alter(self, client: Client, table: str, what: str) -> None:
        if cluster := self.dsn.cluster:
            table = f"{table}_local ON CLUSTER {quoted(cluster)}"
        client.command(f"ALTER TABLE {table} {what}", settings=SYNCHRONOUS)


def _count(client: Client, kinds: Sequence[str], where: str) -> int:
    parts = " UNION ALL ".join(f"SELECT call_id FROM {TABLES[one]} WHERE {where}" for one in kinds)
    return int(client.query(f"SELECT uniqExact(call_id) FROM ({parts})").result_rows[0][0])


def _count_gone(client: Client, kinds: Sequence[str], before_us: int) -> int:
    parts = " UNION ALL ".join(
        f"SELECT call_id FROM leaves WHERE {_gone(kind, before_us)}" for kind in kinds
    )
    return int(client.query(f"SELECT uniqExact(call_id) FROM ({parts})").result_rows[0][0])


def _list(client: Client, deletion: Deletion) -> Sequence[Erasure]:
    id = f"toUUID({quoted(deletion.id)})"
    insert = f"INSERT INTO erased (deletion, tree, number) SELECT {id}, tree, number FROM leaves"
    for kind in deletion.kinds:
        there = f"SELECT {_key(kind)} FROM {TABLES[kind]} WHERE {_where(deletion)}"
        client.command(
            f"{insert} WHERE kind = {quoted(kind)} AND (call_id, source, revision)"
            f" GLOBAL IN ({there})"
        )
        if deletion.gone_before_us:
            client.command(f"{insert} WHERE {_gone(kind, deletion.gone_before_us)}")
    found: dict[str, tuple[int, hashlib._Hash]] = {}
    for tree, number in _numbers(client, id):
        count, digest = found.get(tree, (0, hashlib.sha256()))
        digest.update(number.to_bytes(8, "big"))
        found[tree] = count + 1, digest
    return [
        Erasure(deletion=deletion.id, tree=tree, leaves=count, digest=digest.hexdigest())
        for tree, (count, digest) in sorted(found.items())
    ]


def _numbers(client: Client, id: str) -> Iterator[tuple[str, int]]:
    """The leaves of a deletion, in order of tree and number."""
    after = ""
    while True:
        rows = client.query(
            f"SELECT DISTINCT toString(tree) AS t, number FROM erased WHERE deletion = {id}{after}"
            f" ORDER BY t, number LIMIT {PAGE}"
        ).result_rows
        yield from ((str(tree), int(number)) for tree, number in rows)
        if len(rows) < PAGE:
            return
        tree, number = rows[-1]
        after = f" AND (toString(tree), number) > ({quoted(str(tree))}, {int(number)})"


def _key(kind: str) -> str:
    return f"call_id, source, {'revision' if kind == 'correction' else 'toUInt32(0)'}"


def _gone(kind: str, before_us: int) -> str:
    """The leaves of rows that the table's own TTL has deleted: their nonces are still there."""
    before = f"ts < fromUnixTimestamp64Micro({before_us}, 'UTC')"
    return (
        f"kind = {quoted(kind)} AND {before}"
        f" AND (tree, number) GLOBAL IN (SELECT tree, number FROM nonces WHERE {before})"
        f" AND (call_id, source, revision) GLOBAL NOT IN"
        f" (SELECT {_key(kind)} FROM {TABLES[kind]} WHERE {before})"
    )


def _where(deletion: Deletion) -> str:
    return (
        f"({deletion.condition}) AND ingested_at <="
        f" fromUnixTimestamp64Milli({deletion.until_us // 1000}, 'UTC')"
    )
