"""Writes samples, on a thread and with a client of their own: no row waits for them."""

from collections.abc import Sequence
from hashlib import blake2b

import msgspec
from clickhouse_connect.driver.client import Client

from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.writer import Writer, insert
from exporters.samples import TABLES, BudgetSample, NodeSample

Sample = NodeSample | BudgetSample


class SamplesTable:
    """Raises ValueError for an invalid DSN, otherwise what `Writer` raises."""

    def __init__(self, dsn: str, *, database: str = "taximeter") -> None:
        self.dsn = parse_dsn(dsn, database)
        self._writer = Writer("samples", self.dsn, self._prepare)

    async def write(self, samples: Sequence[Sample]) -> None:
        """Store samples.  The same ones again change nothing."""
        if samples:
            await self._writer.do(lambda client: self._insert(client, samples))

    async def close(self) -> None:
        """Wait for the insert in flight, then disconnect."""
        await self._writer.close()

    def _prepare(self, client: Client) -> None:
        client.database = self.dsn.database

    def _insert(self, client: Client, samples: Sequence[Sample]) -> None:
        for kind, table in TABLES.items():
            rows = [one for one in samples if isinstance(one, kind)]
            if rows:
                names = kind.__struct_fields__
                context = client.create_insert_context(table, names, column_oriented=True)
                columns = [[getattr(row, name) for row in rows] for name in names]
                digest = blake2b(msgspec.json.encode(rows), digest_size=16).hexdigest()
                insert(client, context, columns, digest)
