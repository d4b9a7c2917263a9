"""Queries the store, for the console and the command line.

The SQL is ours, values are bound, and clients are read-only.  No text from a caller becomes SQL
(on chDB, read-only mode does not stop `SELECT ... INTO OUTFILE`).  Results are ready for JSON:
money is exact decimal text, None means unknown, instants are ISO 8601 in UTC.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import UUID

import msgspec
from clickhouse_connect.driver.client import Client

from exporters import content
from exporters.clickhouse import connection, feedback, success
from exporters.clickhouse.calls_sql import NEWEST, CallsQuestion
from exporters.clickhouse.clickhouse import REFUSAL_COLUMNS
from exporters.clickhouse.corrections import PRICE, versions
from exporters.clickhouse.dsn import Dsn, parse_dsn, require
from exporters.clickhouse.ids_sql import real
from exporters.receipt import whole_of, whole_text
from exporters.record import COLUMNS, TransientError

Row = dict[str, object]
Scalar = str | int | bool

THREADS_MAX = 4  # each has its own client; a slow query must not hold up the others
QUERY_TIMEOUT_S = 30

READ_SETTINGS: dict[str, str | int] = {
    "date_time_output_format": "iso",
    "output_format_json_quote_decimals": 1,  # else a cost would become a float
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_denormals": 0,  # a quantile of no values is null, not "nan"
    "output_format_decimal_trailing_zeros": 0,
    "max_execution_time": QUERY_TIMEOUT_S,
    "readonly": 1,  # last: nothing can be set after it
}
# The embedded engine may take 2 GiB: by default it uses a thread for each GiB that is free, so that
# every query would run on one.
EMBEDDED_SETTINGS: dict[str, str | int] = {
    "max_threads_min_free_memory_per_thread": 128 * 1024**2,
}
# Settings of how values are written: without them, results mean something else.
FORMATS = frozenset(name for name in READ_SETTINGS if "output" in name)
_VERSION = ("revision", "at", "reason")  # columns that a price has and a call does not


class Table(msgspec.Struct):
    """Rows as the database gave them; `meta` has `name` and `type` of each column."""

    meta: list[dict[str, str]]
    data: list[list[object]]


class Store:
    """Reads what `ClickHouse` wrote.  With chDB, both must be in the same process.

    All methods but `health` raise TransientError if the database is away or has no tables yet.
    """

    def __init__(self, dsn: str, *, database: str = "taximeter") -> None:
        self.dsn = parse_dsn(dsn, database)
        require(self.dsn)
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="store")
        self._local = threading.local()
        self._clients: list[Client] = []

    async def calls(self, question: CallsQuestion = NEWEST) -> list[Row]:
        """The calls that `question` asks for, newest first, with all columns."""
        feedback = question.successes and bool(await self._rows(success.FOUND, {}))
        sql, bound = question.sql(await self.rows_table(), feedback=feedback)
        return [_readable(row) for row in await self._rows(sql, bound)]

    async def refusals(self, question: CallsQuestion = NEWEST) -> list[Row]:
        """The same of the calls that a budget refused, with the columns of `refusals`."""
        return await self._rows(*question.sql("refusals", REFUSAL_COLUMNS))

    async def call(self, call_id: str) -> Row | None:
        """One call, its receipt decoded into `subcalls`, `lines`, `floor_usd`; None: not stored.

        `prices` are all prices the call ever had, oldest first; the last is the one in the row.
        `feedback` is what was said about it, its request, trace or session.
        """
        try:
            parameters = {"call_id": str(UUID(call_id))}
        except ValueError:
            return None
        rows = await self._rows(
            f"SELECT {real(COLUMNS)}, t.ingested_at AS ingested_at,"
            " toUnixTimestamp64Micro(t.ts) AS ts_us FROM calls AS t"
            " WHERE t.call_id = {call_id:UUID} ORDER BY t.attempt DESC, t.source LIMIT 1",
            parameters,
        )
        if not rows:
            return None
        row = _readable(rows[0])
        sql, bound = versions(call_id, str(row["source"]), int(str(row.pop("ts_us"))))
        first = {"revision": 0, "at": row["ingested_at"], "reason": "metered"}
        first |= {name: row[name] for name in PRICE}
        prices = [_with_receipt(row, price) for price in (first, *await self._rows(sql, bound))]
        newest = {name: value for name, value in prices[-1].items() if name not in _VERSION}
        row.pop("receipt")
        said = [feedback.readable(one) for one in await self._rows(*feedback.about_call(row))]
        return row | newest | {"prices": prices, "feedback": said}

    async def content(self, call_id: str) -> Row | None:
        """The content of a call; None if it is not stored.  See `exporters.content`."""
        try:
            parameters = {"call_id": str(UUID(call_id))}
        except ValueError:
            return None
        rows = await self._rows(
            f"SELECT {', '.join(content.COLUMNS)}, ingested_at FROM contents"
            " WHERE call_id = {call_id:UUID} ORDER BY ingested_at DESC LIMIT 1",
            parameters,
        )
        return rows[0] if rows else None

    async def ask(self, sql: str, parameters: Mapping[str, object]) -> list[Row]:
        """The rows that `sql` selects: SQL of ours, as in `exporters.clickhouse.corrections`."""
        return await self._rows(sql, parameters)

    async def table(self, sql: str, parameters: Mapping[str, object]) -> Table:
        """What `sql` selects, with the types of its columns: SQL of ours, as for `ask`."""
        return msgspec.json.decode(await self._answer(sql, parameters), type=Table)

    async def rows_table(self) -> str:
        """The table that has the newest prices: the join of `priced_calls` only if it is needed."""
        found = await self._rows("SELECT 1 FROM corrections LIMIT 1", {})
        return "priced_calls" if found else "calls"

    async def columns(self) -> list[Row]:
        """Name and type of each column of `calls`."""
        return await self._rows(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase()"
            " AND table = 'calls' ORDER BY position",
            {},
        )

    async def health(self) -> Row:
        """Whether the store responds, and what it holds or why it does not.  Never raises."""
        try:
            (row,) = await self._rows(
                "SELECT version() AS version, count() AS calls,"
                " if(calls = 0, NULL, min(ts)) AS oldest, if(calls = 0, NULL, max(ts)) AS newest"
                " FROM calls",
                {},
            )
        except TransientError as error:
            return {"ok": False, "store": str(self.dsn), "error": str(error)}
        return {"ok": True, "store": str(self.dsn)} | row

    async def close(self) -> None:
        """Wait for the queries in flight, then disconnect."""
        await asyncio.to_thread(self._threads.shutdown)
        for client in self._clients:
            client.close()
        self._clients.clear()

    async def _rows(self, sql: str, parameters: Mapping[str, object]) -> list[Row]:
        found = await self.table(sql, parameters)
        names = [column["name"] for column in found.meta]
        return [dict(zip(names, row, strict=True)) for row in found.data]

    async def _answer(self, sql: str, parameters: Mapping[str, object]) -> bytes:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._query, sql, dict(parameters))

    def _query(self, sql: str, parameters: dict[str, object]) -> bytes:
        try:
            return self._client().raw_query(sql, parameters=parameters, fmt="JSONCompact")
        except Exception as error:
            raise TransientError(connection.explanation(self.dsn, error)) from error

    def _client(self) -> Client:
        """The client of this thread, connected when first used."""
        client: Client | None = getattr(self._local, "client", None)
        if client is None:
            client = connection.connect(self.dsn)
            for name, value in _settable(client, self.dsn):
                client.set_client_setting(name, value)
            client.database = self.dsn.database
            self._local.client = client
            self._clients.append(client)
        return client


def read_settings(dsn: Dsn) -> dict[str, str | int]:
    """What a query of ours is asked with, in the order in which it is set."""
    return READ_SETTINGS if dsn.directory is None else EMBEDDED_SETTINGS | READ_SETTINGS


def _settable(client: Client, dsn: Dsn) -> Iterator[tuple[str, str | int]]:
    """Our settings, without those that this user may not change.

    Raises TransientError if one of FORMATS cannot be set: a cost would become a float.
    """
    for name, value in read_settings(dsn).items():
        known = client.server_settings.get(name)
        if known is not None and known.readonly:
            if name in FORMATS and known.value != str(value):
                raise TransientError(
                    f"store {dsn}: this user may not set {name}; give it the settings profile in"
                    " grafana/clickhouse_reader.sql"
                )
            continue
        yield name, value


def _with_receipt(row: Row, price: Row) -> Row:
    """One version of a row's price, its receipt decoded."""
    receipt = whole_of(row | {"receipt": price.pop("receipt")})
    parts: Row = {"subcalls": [], "lines": [], "floor_usd": None}
    return price | {name: receipt.get(name, empty) for name, empty in parts.items()}


def _readable(row: Row) -> Row:
    """`row` with its whole receipt, and quantities as numbers: int, else exact decimal text."""
    if "receipt" in row:
        row["receipt"] = whole_text(row)
    for name in ("usage", "counts"):
        quantities = row[name]
        if isinstance(quantities, dict):
            row[name] = {meter: _number(str(text)) for meter, text in quantities.items()}
    return row


def _number(text: str) -> int | str:
    return int(quantity) if (quantity := Decimal(text)) == quantity.to_integral_value() else text
