"""Writes rows and corrections to chDB or a ClickHouse server: one INSERT per batch and table.

Every INSERT carries a token, and the table and its rollups remember the last 10 000.  So writing a
batch again changes nothing: after `kill -9`, after a lost answer, and when the client library
itself sends it twice (it does so when the connection is reset).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.insert import InsertContext

from exporters import record
from exporters.clickhouse import backup, reconcile
from exporters.clickhouse.corrections import FIELDS as CORRECTION_FIELDS
from exporters.clickhouse.corrections import Corrections, counted
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.migrations import migrate
from exporters.clickhouse.writer import Writer, insert, token
from exporters.record import Batch, Record, nine_places, rounded

FIELDS = Record.__struct_fields__
QUANTITIES = ("usage", "counts", "old_counts")
COLUMNS = record.COLUMNS
# The columns of table `sockets`: what is true of the connection (schema/006_sockets.sql).
SOCKET_FIELDS = (
    *("ts_us", "call_id", "trace_id", "span_id", "parent_span_id", "session_id"),
    *("project", "environment", "team", "feature", "user_id", "key_id"),
    *("provider", "upstream", "region", "endpoint", "operation"),
    *("request_model", "response_model", "http_status"),
    *("outcome", "error_type", "error_message", "reasons"),
    *("duration_us", "first_byte_us", "overhead_us", "caller_wait_us"),
    *("request_bytes", "response_bytes", "dropped_bytes", "tags", "attributes", "node", "source"),
)
SOCKET_COLUMNS = ("ts", *SOCKET_FIELDS[1:])
# The columns of table `refusals`: who asked for what, and who refused (schema/011_refusals.sql).
REFUSAL_FIELDS = (
    *("ts_us", "call_id", "trace_id", "session_id"),
    *("project", "environment", "team", "feature", "user_id", "key_id", "client"),
    *("provider", "upstream", "endpoint", "operation", "request_model", "stream", "attempt"),
    *("outcome", "error_type", "blocked_by", "request_bytes", "overhead_us", "tags"),
    *("node", "source"),
)
REFUSAL_COLUMNS = ("ts", *REFUSAL_FIELDS[1:])


def columns(records: Sequence[Record], fields: Sequence[str] = FIELDS) -> list[list[object]]:
    """The values of `records`, one list per field, in the order of `fields`.

    Raises ValueError or ArithmeticError for an amount that the store cannot hold.
    """
    return [_column(name, [getattr(record, name) for record in records]) for name in fields]


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


class ClickHouse:
    """Writes batches to table `calls`; records of sockets and refusals to tables of their own.

    Creates or upgrades the schema when it first connects.

    Raises ValueError for an invalid DSN, otherwise what `Writer` raises.
    """

    name = "clickhouse"

    def __init__(
        self,
        dsn: str,
        *,
        database: str = "taximeter",
        ttl_days: int = 90,
        content_ttl_days: int | None = None,
        checked_days: int | None = None,
    ) -> None:
        """`content_ttl_days` is for table `contents`; None leaves its TTL unchanged.

        For `checked_days` every row is there; by default for `ttl_days`.
        """
        self.dsn = parse_dsn(dsn, database)
        self._ttl_days = ttl_days
        self._content_ttl_days = content_ttl_days
        self._checked_days = ttl_days if checked_days is None else checked_days
        self._writer = Writer("clickhouse", self.dsn, self._prepare)
        self._context: InsertContext  # all are set by _prepare
        self._socket_context: InsertContext
        self._refusal_context: InsertContext

    async def open(self) -> None:
        """Connect and upgrade the schema now rather than with the first batch."""
        await self._writer.do(lambda client: None)

    async def export(self, batch: Batch[Record]) -> None:
        """See `Destination.export`.  Repeating a call does not duplicate rows."""
        if batch.records:
            await self._writer.do(lambda client: self._insert(client, batch))

    async def reconcile(
        self, *, repair: bool, quiet_s: float = 600
    ) -> list[reconcile.SumDifference]:
        """Days on which a rollup differs from the sum of the rows; `repair` rebuilds them."""
        return await self._writer.do(
            lambda client: reconcile.reconcile(
                client, self.dsn, self._checked_days, repair=repair, quiet_s=quiet_s
            )
        )

    async def correct(self, corrections: Corrections) -> None:
        """Write new prices of stored calls.  Repeating a call does not duplicate them."""
        if corrections.rows:
            await self._writer.do(lambda client: _correct(client, corrections))

    async def counted(self, since: datetime) -> list[tuple[str, int, Decimal]]:
        """What each counter gained since then: (counter, start of an hour in epoch s, quantity).

        Runs on the writing thread, so the answer holds all of a batch or none of it.
        """
        rows = await self.ask(*counted(since))
        return [(name, hour, quantity) for name, hour, quantity in rows]

    async def ask(self, sql: str, bound: Mapping[str, str | int | bool]) -> Sequence[Sequence[Any]]:
        """The rows that SQL of ours selects, on the writing thread, as `counted`."""
        return await self._writer.do(lambda client: client.query(sql, dict(bound)).result_rows)

    async def back_up(self, to: Path) -> dict[str, int]:
        """See `exporters.clickhouse.backup`; nothing is written here meanwhile."""
        return await self._writer.do(lambda client: backup.back_up(client, self.dsn.database, to))

    async def close(self) -> None:
        """Wait for the insert in flight, then disconnect."""
        await self._writer.close()

    def _prepare(self, client: Client) -> None:
        migrate(
            client,
            database=self.dsn.database,
            ttl_days=self._ttl_days,
            content_ttl_days=self._content_ttl_days,
            cluster=self.dsn.cluster,
            alone=self.dsn.directory is not None,
        )
        # Queries the columns' types, so it is made once per client.
        self._context = client.create_insert_context("calls", COLUMNS, column_oriented=True)
        self._socket_context = client.create_insert_context(
            "sockets", SOCKET_COLUMNS, column_oriented=True
        )
        self._refusal_context = client.create_insert_context(
            "refusals", REFUSAL_COLUMNS, column_oriented=True
        )

    def _insert(self, client: Client, batch: Batch[Record]) -> None:
        """The parts of a batch go to tables of their own, each under the token of the batch."""
        records = [record for record in batch.records if not record.is_socket]
        calls = [record for record in records if not record.is_refusal]
        sockets = [record for record in batch.records if record.is_socket]
        refusals = [record for record in records if record.is_refusal]
        if calls:
            insert(client, self._context, columns(calls), token(batch))
        if sockets:
            insert(client, self._socket_context, columns(sockets, SOCKET_FIELDS), token(batch))
        if refusals:
            insert(client, self._refusal_context, columns(refusals, REFUSAL_FIELDS), token(batch))


def _correct(client: Client, corrections: Corrections) -> None:
    rows = corrections.rows
    context = client.create_insert_context("corrections", CORRECTION_FIELDS, column_oriented=True)
    values = [_column(name, [getattr(row, name) for row in rows]) for name in CORRECTION_FIELDS]
    insert(client, context, values, corrections.token)
