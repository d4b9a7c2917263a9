"""Writes to the database on one thread with a client of its own, one operation at a time.

So the event loop never waits for the database, and inserts of one exporter never overlap.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import TypeVar

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.insert import InsertContext

from exporters.clickhouse import connection
from exporters.clickhouse.dsn import Dsn, require
from exporters.record import Batch, Sendable, TransientError

T = TypeVar("T")

# Servers before 26 know the first ones, later servers the last; each gets those it knows.
INSERT_SETTINGS: dict[str, str | int] = {
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,  # 0 before 26: rollups would double
    "update_insert_deduplication_token_in_dependent_materialized_views": 1,  # only in 24.x
    "deduplicate_insert": "enable",  # 26.x, takes precedence over insert_deduplicate
    "async_insert": 0,  # it may acknowledge rows before they are safe
    "max_partitions_per_insert_block": 0,  # a partition is a day; a batch may span a long outage
    "distributed_foreground_insert": 1,  # on a cluster, acknowledge once the shards have the rows
}


def token(batch: Batch[Sendable]) -> str:
    """Identifies exactly these rows: the batch's own token and a hash of its calls.

    The hash is needed because a journal that was deleted and started again gives the same positions
    to other calls, which the store would silently drop.
    """
    calls = blake2b(digest_size=8)
    for record in batch.records:
        calls.update(f"{record.call_id}:{record.ts_us}:{record.source}\n".encode())
    return f"{batch.token}:{calls.hexdigest()}"


class Writer:
    """Runs work with a client of `dsn`; `prepare` is called with each new client.

    Raises ModuleNotFoundError if chDB is needed and missing, PermanentError for rows that can never
    be stored, and TransientError for anything else (a wrong password, a missing privilege, a
    directory in use), since the rows can wait until it is fixed.
    """

    def __init__(self, name: str, dsn: Dsn, prepare: Callable[[Client], None]) -> None:
        require(dsn)
        self._dsn = dsn
        self._prepare = prepare
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._client: Client | None = None

    async def do(self, work: Callable[[Client], T]) -> T:
        """Run `work` with the connected client, on the thread."""
        return await self._on_thread(lambda: work(self._connect()))

    async def close(self) -> None:
        """Wait for the work in flight, then disconnect."""
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
                self._disconnect()  # the next attempt reconnects, and creates what is missing
            if known is error:
                raise
            raise known from error

    def _connect(self) -> Client:
        """The client, ready to insert.  Errors here are transient: no row caused them."""
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


def insert(client: Client, context: InsertContext, columns: list[list[object]], token: str) -> None:
    """Write the values of `columns` as one block, under `token`."""
    known = client.server_settings
    settings = {name: value for name, value in INSERT_SETTINGS.items() if name in known}
    context.settings = settings | {"insert_deduplication_token": token}
    # Before the data: the context cuts its data into blocks when it gets them, and the server would
    # drop a second block under the same token.
    context.req_block_size = len(columns[0])
    context.data = columns
    client.insert(context=context)
