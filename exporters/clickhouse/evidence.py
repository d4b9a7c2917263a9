"""Writes leaves and their nonces to tables `leaves` and `nonces`; `evidence_sql` reads them.

It has a thread and a client of its own, and waits until the exporter of the rows has created the
schema.
"""

from collections.abc import Sequence
from uuid import UUID

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.insert import InsertContext

from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.writer import Writer, insert
from exporters.evidence.leaves import Sealed

LEAF_COLUMNS = (
    *("tree", "number", "kind", "form", "ts", "call_id", "source", "revision"),
    *("row_mac", "content_mac"),
)
NONCE_COLUMNS = ("tree", "number", "ts", "nonce")


class EvidenceTable:
    """Writes leaves.  Raises ValueError for an invalid DSN, otherwise what `Writer` raises."""

    def __init__(self, dsn: str, *, database: str = "taximeter") -> None:
        self.dsn = parse_dsn(dsn, database)
        self._writer = Writer("evidence", self.dsn, self._prepare)
        self._leaves: InsertContext  # both are set by _prepare
        self._nonces: InsertContext

    async def add(self, tree: str, first: int, sealed: Sequence[Sealed]) -> None:
        """Write the leaves `first` and following.  Repeating a call does not duplicate them."""
        if sealed:
            await self._writer.do(lambda client: self._insert(client, tree, first, sealed))

    async def close(self) -> None:
        """Wait for the insert in flight, then disconnect."""
        await self._writer.close()

    def _prepare(self, client: Client) -> None:
        client.database = self.dsn.database
        self._leaves = client.create_insert_context("leaves", LEAF_COLUMNS, column_oriented=True)
        self._nonces = client.create_insert_context("nonces", NONCE_COLUMNS, column_oriented=True)

    def _insert(self, client: Client, tree: str, first: int, sealed: Sequence[Sealed]) -> None:
        count = len(sealed)
        token = f"{tree}:{first}-{first + count}"
        trees: list[object] = [UUID(tree)] * count
        numbers: list[object] = list(range(first, first + count))
        instants: list[object] = [one.leaf.ts_us for one in sealed]
        leaves = [one.leaf for one in sealed]
        columns: list[list[object]] = [
            trees,
            numbers,
            [one.kind for one in leaves],
            [one.form for one in leaves],
            instants,
            [one.call_id for one in leaves],
            [one.source for one in leaves],
            [one.revision for one in leaves],
            [bytes.fromhex(one.row_mac) for one in leaves],
            [bytes.fromhex(one.content_mac) for one in leaves],
        ]
        # Nonces first: a leaf without one would look as if its row had been erased.
        nonces: list[object] = [one.nonce for one in sealed]
        insert(client, self._nonces, [trees, numbers, instants, nonces], token)
        insert(client, self._leaves, columns, token)
