"""One thread with one client of its own, on which everything is written in turn.

So the event loop never waits for the database, and no two inserts of one exporter overlap.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import TypeVar

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.insert import InsertContext

from exporters.clickhouse import connection
from exporters.record import Lot, Sendable, TransientError

T = TypeVar("T")

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


def token(batch: Lot[Sendable]) -> str:
    """What names exactly these rows, for ever.

    The batch's own token, and a hash of the calls in it: a journal that was deleted and begun again
    gives the same positions to other calls, and the store would drop those without a word.
    """
    calls = blake2b(digest_size=8)
    for record in batch.records:
        calls.update(f"{record.call_id}:{record.ts_us}:{record.source}\n".encode())
    return f"{batch.token}:{calls.hexdigest()}"


class Writer:
    """Whatever is to be done with a client of `dsn`; `prepare` makes a new one ready for it.

    Raises ValueError for a DSN that cannot be read, ModuleNotFoundError if chDB is needed and
    absent; whatever else is wrong (password, rights, a directory in use) is a TransientError, since
    the rows can wait until it is mended.
    """

    def __init__(self, name: str, dsn: connection.Dsn, prepare: Callable[[Client], None]) -> None:
        connection.require(dsn)
        self._dsn = dsn
        self._prepare = prepare
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._client: Client | None = None

    async def do(self, work: Callable[[Client], T]) -> T:
        """`work` with the connected client, on the thread."""
        return await self._on_thread(lambda: work(self._connect()))

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
            known = connection.failure(self._dsn, error)
            if isinstance(known, TransientError):
                self._disconnect()  # the next try connects afresh, and makes what is missing
            if known is error:
                raise
            raise known from error

    def _connect(self) -> Client:
        """The client, ready to insert.  No error here is the fault of the batch that waits."""
        if self._client is None:
            client = connection.connect(self._dsn)
            try:
                self._prepare(client)
            except Exception as error:
                client.close()
                raise TransientError(connection.explanation(self._dsn, error)) from error
            self._client = client
        return self._client

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def insert(client: Client, context: InsertContext, columns: list[list[object]], named: str) -> None:
    """Write the values of `columns` as one block, under the token `named`.

    In this order: the context cuts its data into blocks when it is given them, and a second block
    under the same token would be dropped.
    """
    known = client.server_settings
    settings = {name: value for name, value in INSERT_SETTINGS.items() if name in known}
    context.settings = settings | {"insert_deduplication_token": named}
    context.req_block_size = len(columns[0])
    context.data = columns
    client.insert(context=context)
