"""What meters on one store tell each other: a few rows, on a thread of their own.

So nobody seems to be away because its rows take long to be written.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from clickhouse_connect.driver.client import Client

from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.writer import Writer


class AmongMeters:
    """Raises ValueError for an invalid DSN, otherwise what `Writer` raises."""

    def __init__(self, dsn: str, *, database: str = "taximeter") -> None:
        self._dsn = parse_dsn(dsn, database)
        self._writer = Writer("meters", self._dsn, self._prepare)

    async def ask(self, sql: str, bound: Mapping[str, str | int | bool]) -> Sequence[Sequence[Any]]:
        """The rows that SQL of ours selects."""
        return await self._writer.do(lambda client: client.query(sql, dict(bound)).result_rows)

    async def put(self, table: str, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Insert a few rows that nobody sends again."""
        await self._writer.do(lambda client: client.insert(table, rows, names))

    async def close(self) -> None:
        """Wait for the query in flight, then disconnect."""
        await self._writer.close()

    def _prepare(self, client: Client) -> None:
        client.database = self._dsn.database
