"""Rows and their new prices: one INSERT per batch, into chDB or a ClickHouse server alike.

Every INSERT carries a token, and the table and its rollups remember the last 10 000.  So a batch
that was written but not acknowledged may be written again and changes nothing: after `kill -9`,
after a lost answer, and when the client library itself sends it twice (it does, on a reset).
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import TypeVar

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.insert import InsertContext

from exporters import connection, reconcile
from exporters.corrections import FIELDS as CORRECTION_FIELDS
from exporters.corrections import Corrections, counted
from exporters.migrations import migrate
from exporters.record import Batch, Record, TransientError, nine_places, rounded

T = TypeVar("T")

FIELDS = Record.__struct_fields__
QUANTITIES = ("usage", "counts", "old_counts")
COLUMNS = tuple("ts" if name == "ts_us" else name for name in FIELDS)

# Servers before 26 know the first ones, later ones the last; each is sent what it knows.
INSERT_SETTINGS: dict[str, str | int] = {
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,  # 0 before 26: rollups would double
    "update_insert_deduplication_token_in_dependent_materialized_views": 1,  # only in 24.x
    "deduplicate_insert": "enable",  # 26.x, goes before insert_deduplicate
    "async_insert": 0,  # its answer may come before the rows are safe
    "max_partitions_per_insert_block": 0,  # a partition is a day; a batch may span a long outage
    "distributed_foreground_insert": 1,  # on a cluster, answer when the shards have the rows
}


def columns(records: Sequence[Record]) -> list[list[object]]:
    """The values of `records`, a list per column in the order of `COLUMNS`.

    Raises ValueError or ArithmeticError for an amount that the store cannot hold.
    """
    return [_column(name, [getattr(record, name) for record in records]) for name in FIELDS]


def _column(name: str, values: list[object]) -> list[object]:
    if name.endswith("_usd"):
        return [rounded(usd) if isinstance(usd, Decimal) else None for usd in values]
    if name in QUANTITIES:
        return [
            {meter: nine_places(quantity) for meter, quantity in quantities.items()}
            for quantities in values
            if isinstance(quantities, dict)
        ]
    return values


def token(batch: Batch) -> str:
    """What names exactly these rows, for ever.

    The batch's own token, and a hash of the calls in it: a journal that was deleted and begun again
    gives the same positions to other calls, and the store would drop those without a word.
    """
    calls = blake2b(digest_size=8)
    for record in batch.records:
        calls.update(f"{record.call_id}:{record.ts_us}:{record.source}\n".encode())
    return f"{batch.token}:{calls.hexdigest()}"


class ClickHouse:
    """Writes batches to table `calls`; makes and upgrades the schema when it first connects.

    All work happens on one thread of its own, so the event loop never waits for the database.
    Raises ValueError for a DSN that cannot be read, ModuleNotFoundError if chDB is needed and
    absent; whatever else is wrong (password, rights, a directory in use) is a TransientError, since
    the rows can wait until it is mended.
    """

    name = "clickhouse"

    def __init__(self, dsn: str, *, database: str = "taximeter", ttl_days: int = 90) -> None:
        self.dsn = connection.parse(dsn, database)
        connection.require(self.dsn)
        self._ttl_days = ttl_days
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="clickhouse")
        self._client: Client | None = None
        self._context: InsertContext  # these two come with a client
        self._settings: dict[str, str | int]

    async def open(self) -> None:
        """Connect and bring the schema up to date now, not with the first batch."""
        await self._on_thread(self._connect)

    async def export(self, batch: Batch) -> None:
        """See `Exporter.export`.  Never twice in the table, however often it is called."""
        if batch.records:
            await self._on_thread(lambda: self._insert(batch))

    async def reconcile(self, *, repair: bool, quiet_s: float = 600) -> list[reconcile.Difference]:
        """Days on which a rollup is not the sum of the rows; with `repair`, rebuilt."""
        return await self._on_thread(
            lambda: reconcile.reconcile(
                self._connect(), self.dsn, self._ttl_days, repair=repair, quiet_s=quiet_s
            )
        )

    async def correct(self, corrections: Corrections) -> None:
        """Write new prices of stored calls.  Never twice, however often it is called."""
        if corrections.rows:
            await self._on_thread(lambda: self._correct(corrections))

    async def counted(self, since: datetime) -> list[tuple[str, int, Decimal]]:
        """What was added to each counter since then: (counter, start of an hour in s, quantity).

        Between two inserts, so that a batch is in the answer or is not.
        """
        sql, bound = counted(since)
        rows = await self._on_thread(lambda: self._connect().query(sql, bound).result_rows)
        return [(name, hour, quantity) for name, hour, quantity in rows]

    async def close(self) -> None:
        """Wait for the insert in flight, then let the database go."""
        await self._on_thread(self._disconnect)
        self._thread.shutdown()

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, work)

    def _run(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except Exception as error:
            known = connection.failure(self.dsn, error)
            if isinstance(known, TransientError):
                self._disconnect()  # the next try connects afresh, and makes what is missing
            if known is error:
                raise
            raise known from error

    def _connect(self) -> Client:
        """The client, ready to insert.  No error here is the fault of the batch that waits."""
        if self._client is None:
            client = connection.connect(self.dsn)
            try:
                self._prepare(client)
            except Exception as error:
                client.close()
                raise TransientError(connection.explanation(self.dsn, error)) from error
            self._client = client
        return self._client

    def _prepare(self, client: Client) -> None:
        database, cluster = self.dsn.database, self.dsn.cluster
        migrate(client, database=database, ttl_days=self._ttl_days, cluster=cluster)
        known = client.server_settings
        self._settings = {name: value for name, value in INSERT_SETTINGS.items() if name in known}
        self._context = client.create_insert_context(  # asks for the columns' types, once
            "calls", COLUMNS, column_oriented=True
        )

    def _insert(self, batch: Batch) -> None:
        client, context = self._connect(), self._context
        context.settings = self._settings | {"insert_deduplication_token": token(batch)}
        context.req_block_size = len(batch.records)  # one block, so that the token names all of it
        context.data = columns(batch.records)
        client.insert(context=context)

    def _correct(self, corrections: Corrections) -> None:
        rows = corrections.rows
        client = self._connect()
        context = client.create_insert_context(
            "corrections", CORRECTION_FIELDS, column_oriented=True
        )
        context.settings = self._settings | {"insert_deduplication_token": corrections.token}
        context.req_block_size = len(rows)
        context.data = [
            _column(name, [getattr(row, name) for row in rows]) for name in CORRECTION_FIELDS
        ]
        client.insert(context=context)

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()
