"""Writes the audit log to table `audit`; `audit_sql` reads it.

It has a thread and a client of its own, so that no row waits for it, and waits until the exporter
of the rows has created the schema.
"""

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.insert import InsertContext

from exporters.audit import COLUMNS, FIELDS, AuditEntry
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.writer import Writer, insert, token
from exporters.record import Batch


class AuditTable:
    """Writes entries.  Raises ValueError for an invalid DSN, otherwise what `Writer` raises."""

    name = "audit"

    def __init__(self, dsn: str, *, database: str = "taximeter") -> None:
        self.dsn = parse_dsn(dsn, database)
        self._writer = Writer("audit", self.dsn, self._prepare)
        self._context: InsertContext  # set by _prepare

    async def export(self, batch: Batch[AuditEntry]) -> None:
        """See `Destination.export`.  Repeating a call does not duplicate entries."""
        if batch.records:
            await self._writer.do(lambda client: self._insert(client, batch))

    async def close(self) -> None:
        """Wait for the insert in flight, then disconnect."""
        await self._writer.close()

    def _prepare(self, client: Client) -> None:
        client.database = self.dsn.database
        self._context = client.create_insert_context("audit", COLUMNS, column_oriented=True)

    def _insert(self, client: Client, batch: Batch[AuditEntry]) -> None:
        columns: list[list[object]] = [
            [getattr(one, name) for one in batch.records] for name in FIELDS
        ]
        insert(client, self._context, columns, token(batch))
