"""Writes content to table `contents`, if content capture is on, and deletes it from there.

It has a thread and a client of its own, so that no row waits for it.  It does not create the
schema: it waits until the exporter of the rows has done so.  No error quotes the content.
"""

from collections.abc import Mapping

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as ClientError
from clickhouse_connect.driver.insert import InsertContext

from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.migrations import quoted
from exporters.clickhouse.selection import SYNCHRONOUS, Selection
from exporters.clickhouse.writer import Writer, insert, token
from exporters.content import COLUMNS, FIELDS, Content
from exporters.record import Lot, PermanentError


class Contents:
    """Writes and deletes `Content`.

    Raises ValueError for an invalid DSN, otherwise what `Writer` raises.
    """

    name = "content"

    def __init__(self, dsn: str, *, database: str = "taximeter") -> None:
        self.dsn = parse_dsn(dsn, database)
        self._writer = Writer("contents", self.dsn, self._prepare)
        self._context: InsertContext  # set by _prepare

    async def export(self, batch: Lot[Content]) -> None:
        """See `Destination.export`.  Repeating a call does not duplicate rows."""
        if not batch.records:
            return
        try:
            await self._writer.do(lambda client: self._insert(client, batch))
        except PermanentError as error:
            raise PermanentError(_error_kind(error.__cause__ or error)) from None

    async def delete(self, whose: Selection) -> int:
        """Delete content for good; returns the number of calls it belonged to."""
        return await self._writer.do(lambda client: self._delete(client, whose))

    async def close(self) -> None:
        """Wait for the insert in flight, then disconnect."""
        await self._writer.close()

    def _prepare(self, client: Client) -> None:
        client.database = self.dsn.database
        self._context = client.create_insert_context("contents", COLUMNS, column_oriented=True)

    def _insert(self, client: Client, batch: Lot[Content]) -> None:
        columns = [[_value(getattr(one, name)) for one in batch.records] for name in FIELDS]
        insert(client, self._context, columns, token(batch))

    def _delete(self, client: Client, whose: Selection) -> int:
        where, cluster = whose.condition(), self.dsn.cluster
        found = client.query(f"SELECT uniqExact(call_id) FROM contents WHERE {where}").result_rows
        table = f"contents_local ON CLUSTER {quoted(cluster)}" if cluster else "contents"
        if count := int(found[0][0]):
            client.command(f"ALTER TABLE {table} DELETE WHERE {where}", settings=SYNCHRONOUS)
        return count


def _value(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value


def _error_kind(error: BaseException) -> str:
    """The type and code of an error without its message, which may quote the value."""
    code = error.code if isinstance(error, ClientError) else None
    return f"{type(error).__name__}" + (f" {code}" if code is not None else "")
