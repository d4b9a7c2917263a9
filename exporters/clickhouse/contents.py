"""What was said, into table `contents`, where content capture is on; and out of it again.

It has a thread and a client of its own, so that no row waits for it, and makes no schema: the
exporter of the rows does, and until then this one waits.  No error of it quotes what it was
writing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as ClientError
from clickhouse_connect.driver.insert import InsertContext

from exporters.clickhouse import connection
from exporters.clickhouse.grouping import microseconds
from exporters.clickhouse.migrations import quoted
from exporters.clickhouse.writer import Writer, insert, token
from exporters.content import COLUMNS, FIELDS, Content
from exporters.record import Lot, PermanentError

# Answer when the text is off every part, on every server: whoever asked for it will say so.
AT_ONCE = {"mutations_sync": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentSelection:
    """Whose content: all that is given must hold; nothing given is nothing selected."""

    call_id: str = ""
    user_id: str = ""
    before: datetime | None = None  # calls that began earlier

    def __post_init__(self) -> None:
        if self.call_id:
            UUID(self.call_id)
        if not (self.call_id or self.user_id or self.before):
            raise ValueError("say whose content: a call's id, a user, or before when")

    def condition(self) -> str:
        """As SQL.  The values are ours to quote: a mutation takes no bound ones everywhere."""
        return " AND ".join(self._conditions())

    def _conditions(self) -> Iterator[str]:
        if self.call_id:
            yield f"call_id = toUUID({quoted(str(UUID(self.call_id)))})"
        if self.user_id:
            yield f"user_id = {quoted(self.user_id)}"
        if self.before is not None:
            yield f"ts < fromUnixTimestamp64Micro({microseconds(self.before)}, 'UTC')"


class Contents:
    """Writes lots of `Content`, and deletes.  Raises what `Writer` raises."""

    name = "content"

    def __init__(self, dsn: str, *, database: str = "taximeter") -> None:
        self.dsn = connection.parse(dsn, database)
        self._writer = Writer("contents", self.dsn, self._prepare)
        self._context: InsertContext  # comes with a client

    async def export(self, batch: Lot[Content]) -> None:
        """See `Destination.export`.  Never twice in the table, however often it is called."""
        if not batch.records:
            return
        try:
            await self._writer.do(lambda client: self._insert(client, batch))
        except PermanentError as error:
            raise PermanentError(_kind(error.__cause__ or error)) from None

    async def delete(self, whose: ContentSelection) -> int:
        """Take content out of the table, for good; returns of how many calls."""
        return await self._writer.do(lambda client: self._delete(client, whose))

    async def close(self) -> None:
        """Wait for the insert in flight, then let the database go."""
        await self._writer.close()

    def _prepare(self, client: Client) -> None:
        client.database = self.dsn.database
        self._context = client.create_insert_context("contents", COLUMNS, column_oriented=True)

    def _insert(self, client: Client, batch: Lot[Content]) -> None:
        columns = [[_value(getattr(one, name)) for one in batch.records] for name in FIELDS]
        insert(client, self._context, columns, token(batch))

    def _delete(self, client: Client, whose: ContentSelection) -> int:
        where, cluster = whose.condition(), self.dsn.cluster
        found = client.query(f"SELECT uniqExact(call_id) FROM contents WHERE {where}").result_rows
        table = f"contents_local ON CLUSTER {quoted(cluster)}" if cluster else "contents"
        if count := int(found[0][0]):
            client.command(f"ALTER TABLE {table} DELETE WHERE {where}", settings=AT_ONCE)
        return count


def _value(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value


def _kind(error: BaseException) -> str:
    """What is wrong, without the words: those of a database may quote the value."""
    code = error.code if isinstance(error, ClientError) else None
    return f"{type(error).__name__}" + (f" {code}" if code is not None else "")
