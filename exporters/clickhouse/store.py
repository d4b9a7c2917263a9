"""Questions to the store, for the console and the command line.

The SQL is ours, the values are bound, and the clients are read-only; no caller's text becomes SQL
(on chDB, read-only does not stop `SELECT ... INTO OUTFILE`).  Answers are JSON-ready: money is
exact decimal text, None is unknown, instants are ISO 8601 in UTC.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec
from clickhouse_connect.driver.client import Client

from exporters import content
from exporters.clickhouse import connection
from exporters.clickhouse.clickhouse import COLUMNS
from exporters.clickhouse.corrections import PRICE, versions
from exporters.clickhouse.grouping import grouped, microseconds
from exporters.record import Record, TransientError

Row = dict[str, object]
Value = str | int | bool

THREADS_MAX = 4  # each holds one client; a slow question must not hold up the others
QUERY_TIMEOUT_S = 30
ROWS_MAX = 10_000  # of any list: calls, or groups of a report

READ_SETTINGS: dict[str, str | int] = {
    "date_time_output_format": "iso",
    "output_format_json_quote_decimals": 1,  # else a cost would become a float
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_denormals": 0,  # a quantile of nothing is null, not "nan"
    "output_format_decimal_trailing_zeros": 0,
    "max_execution_time": QUERY_TIMEOUT_S,
    "readonly": 1,  # last: after it nothing can be set
}
# Without these, answers mean something else.
SPELLING = frozenset(name for name in READ_SETTINGS if "output" in name)
# Column → type of its field: what can be filtered by being equal.
FILTERS = {
    field.name: field.type
    for field in msgspec.structs.fields(Record)
    if field.type in (str, int, bool) and field.name not in ("ts_us", "call_id", "receipt")
}
_VERSION = ("revision", "at", "reason")  # what a price has that a row has not
_TYPES = {str: "String", bool: "Bool", int: "Int64"}


class _Answer(msgspec.Struct):
    meta: list[dict[str, str]]
    data: list[list[object]]


class Store:
    """Reads what `ClickHouse` wrote.  On chDB it must live in the same process as that.

    Every method raises TransientError if the database does not answer, or has no tables yet.
    """

    def __init__(self, dsn: str, *, database: str = "taximeter") -> None:
        self.dsn = connection.parse(dsn, database)
        connection.require(self.dsn)
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="store")
        self._local = threading.local()
        self._clients: list[Client] = []

    async def calls(
        self,
        limit: int = 100,
        *,
        since: datetime | None = None,
        before: datetime | None = None,
        before_id: str = "",
        filters: Mapping[str, Value] | None = None,
    ) -> list[Row]:
        """The newest calls, at most `limit` (and ROWS_MAX), with all columns.

        `before` and `before_id` are `ts` and `call_id` of the last row seen: the page after it.
        `filters` compare columns for being equal; "200" and "true" will do for a number and a
        Bool.  Raises ValueError for a column or a value that cannot be compared.
        """
        where, parameters = _where(since, before, before_id, filters or {})
        parameters["limit"] = min(limit, ROWS_MAX)
        table = await self._table()
        rows = await self._rows(
            f"SELECT {', '.join(COLUMNS)}, ingested_at FROM {table} AS t WHERE {where}"
            " ORDER BY ts DESC, call_id DESC LIMIT {limit:UInt32}",
            parameters,
        )
        return [_readable(row) for row in rows]

    async def call(self, call_id: str) -> Row | None:
        """One call, its receipt opened into `subcalls` and `lines`; None if there is none.

        `prices` are all it ever had, oldest first, the last of which is the one in the row.
        """
        try:
            parameters = {"call_id": str(UUID(call_id))}
        except ValueError:
            return None
        rows = await self._rows(
            f"SELECT {', '.join(COLUMNS)}, ingested_at, toUnixTimestamp64Micro(ts) AS ts_us"
            " FROM calls WHERE call_id = {call_id:UUID} ORDER BY attempt DESC, source LIMIT 1",
            parameters,
        )
        if not rows:
            return None
        row = _readable(rows[0])
        sql, bound = versions(call_id, str(row["source"]), int(str(row.pop("ts_us"))))
        first = {"revision": 0, "at": row["ingested_at"], "reason": "metered"}
        first |= {name: row[name] for name in PRICE}
        prices = [_opened(price) for price in (first, *await self._rows(sql, bound))]
        newest = {name: value for name, value in prices[-1].items() if name not in _VERSION}
        row.pop("receipt")
        return row | newest | {"prices": prices}

    async def content(self, call_id: str) -> Row | None:
        """What was said in a call; None if that is not kept.  See `exporters.content`."""
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

    async def spend(
        self, since: datetime, by: Sequence[str] = ("provider", "response_model")
    ) -> list[Row]:
        """What was spent since then, a row for each group, dearest first.  See `grouping`."""
        return await self.report(since, None, by)

    async def report(
        self, since: datetime | None, until: datetime | None, by: Sequence[str] = ("model",)
    ) -> list[Row]:
        """Calls, tokens, cost and times of the half-open period, a row for each group.

        `cost_usd` adds up the known costs and is None where none is known; `unpriced_calls` are
        missing from it, `inexact_calls` are in it as estimates or lower bounds.  With no `by`, one
        row.  Raises ValueError for something that cannot be grouped by.
        """
        sql, parameters = grouped(since, until, by, rows=await self._table())
        return await self._rows(f"{sql} LIMIT {ROWS_MAX}", parameters)

    async def timeline(
        self,
        since: datetime,
        step: timedelta,
        until: datetime | None = None,
        by: Sequence[str] = ("model",),
    ) -> list[Row]:
        """The same by `time`, in steps of whole seconds; steps with no calls have no row."""
        sql, parameters = grouped(since, until, by, step=step, rows=await self._table())
        return await self._rows(f"{sql} LIMIT {ROWS_MAX}", parameters)

    async def ask(self, sql: str, parameters: Mapping[str, Value]) -> list[Row]:
        """Rows that our own `sql` selects, such as that of `exporters.clickhouse.corrections`."""
        return await self._rows(sql, parameters)

    async def _table(self) -> str:
        """Where rows are read with their newest prices; the join costs, so only if it is needed."""
        found = await self._rows("SELECT 1 FROM corrections LIMIT 1", {})
        return "priced_calls" if found else "calls"

    async def panel(self, sql: str, parameters: Mapping[str, Value] | None = None) -> Row:
        """The answer to a shipped dashboard's SQL: `meta` (names, types), `data` (rows), `rows`.

        `sql` is one of our own files, never what a caller sent; values go into `parameters`.
        """
        answer: Row = msgspec.json.decode(await self._answer(sql, parameters or {}))
        return answer

    async def columns(self) -> list[Row]:
        """Name and type of each column of `calls`."""
        return await self._rows(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase()"
            " AND table = 'calls' ORDER BY position",
            {},
        )

    async def health(self) -> Row:
        """Whether the store answers, what it holds, and if not, why.  Never raises."""
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
        """Wait for the questions being answered, then let the database go."""
        await asyncio.to_thread(self._threads.shutdown)
        for client in self._clients:
            client.close()
        self._clients.clear()

    async def _rows(self, sql: str, parameters: Mapping[str, Value]) -> list[Row]:
        answer = msgspec.json.decode(await self._answer(sql, parameters), type=_Answer)
        names = [column["name"] for column in answer.meta]
        return [dict(zip(names, row, strict=True)) for row in answer.data]

    async def _answer(self, sql: str, parameters: Mapping[str, Value]) -> bytes:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._query, sql, dict(parameters))

    def _query(self, sql: str, parameters: dict[str, Value]) -> bytes:
        try:
            return self._client().raw_query(sql, parameters=parameters, fmt="JSONCompact")
        except Exception as error:
            raise TransientError(connection.explanation(self.dsn, error)) from error

    def _client(self) -> Client:
        """This thread's own client."""
        client: Client | None = getattr(self._local, "client", None)
        if client is None:
            client = connection.connect(self.dsn)
            for name, value in _settable(client, self.dsn):
                client.set_client_setting(name, value)
            client.database = self.dsn.database
            self._local.client = client
            self._clients.append(client)
        return client


def _settable(client: Client, dsn: connection.Dsn) -> Iterator[tuple[str, str | int]]:
    """Our settings, without those that the server has so already or does not let this user change.

    Raises TransientError if one of them is how values are spelt: a cost would become a float.
    """
    for name, value in READ_SETTINGS.items():
        known = client.server_settings.get(name)
        if known is not None and known.readonly:
            if name in SPELLING and known.value != str(value):
                raise TransientError(
                    f"store {dsn}: this user may not set {name}; give it the settings profile in"
                    " grafana/clickhouse_reader.sql"
                )
            continue
        yield name, value


def _where(
    since: datetime | None, before: datetime | None, before_id: str, filters: Mapping[str, Value]
) -> tuple[str, dict[str, Value]]:
    """A condition on `calls` and the values bound in it."""
    conditions, parameters = ["1"], dict[str, Value]()
    if since is not None:
        conditions.append("t.ts >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')")
        parameters["since"] = microseconds(since)
    if before is not None:
        last = "fromUnixTimestamp64Micro({before:Int64}, 'UTC')"
        conditions.append(f"t.ts <= {last}")  # the index knows ts alone
        conditions.append(f"(t.ts, t.call_id) < ({last}, {{before_id:UUID}})")
        parameters["before"] = microseconds(before)
        parameters["before_id"] = str(UUID(before_id)) if before_id else str(UUID(int=0))
    for number, (name, value) in enumerate(filters.items()):
        if name not in FILTERS:
            raise ValueError(f"calls cannot be filtered by {name!r}; by: {', '.join(FILTERS)}")
        kind = FILTERS[name]
        try:
            parameters[f"f{number}"] = msgspec.convert(value, kind, strict=False)
        except msgspec.ValidationError as error:
            raise ValueError(f"{name}: {error}") from error
        conditions.append(f"t.{name} = {{f{number}:{_TYPES[kind]}}}")
    return " AND ".join(conditions), parameters


def _opened(price: Row) -> Row:
    """A version of a price, its receipt opened."""
    receipt = msgspec.json.decode(str(price.pop("receipt")) or "{}")
    return price | {"subcalls": receipt.get("subcalls", []), "lines": receipt.get("lines", [])}


def _readable(row: Row) -> Row:
    """`row` with its usage as numbers: int where whole, else exact decimal text."""
    for name in ("usage", "counts"):
        quantities = row[name]
        if isinstance(quantities, dict):
            row[name] = {meter: _number(str(text)) for meter, text in quantities.items()}
    return row


def _number(text: str) -> int | str:
    quantity = Decimal(text)
    return int(quantity) if quantity == quantity.to_integral_value() else text
