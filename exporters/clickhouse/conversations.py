"""Reads calls, refusals and sockets in order of time with their content, page by page.

Whatever is exported, memory holds one page: a page is found by the key of the row before it, hour
by hour, as the tables are sorted.  Within one microsecond calls come first, then refusals, then
sockets; so a row's `Place` is where reading can go on.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from exporters import content, record
from exporters.clickhouse.calls_sql import within
from exporters.clickhouse.clickhouse import REFUSAL_FIELDS, SOCKET_FIELDS
from exporters.clickhouse.dimensions import Bound
from exporters.clickhouse.ids_sql import real
from exporters.clickhouse.query import Filter, bounds
from exporters.clickhouse.reports import Asks
from exporters.clickhouse.store import Row
from exporters.receipt import whole_text

PAGE_ROWS = 1_000
CONTENT_ROWS = 50  # calls whose content is read at once; one may have three texts of 64 KiB
HOUR_US = 3_600_000_000
CALL, REFUSAL, SOCKET = KINDS = ("call", "refusal", "socket")
FIELDS = {CALL: record.Record.__struct_fields__, REFUSAL: REFUSAL_FIELDS, SOCKET: SOCKET_FIELDS}
_TABLES = {REFUSAL: "refusals", SOCKET: "sockets"}
_NOWHERE = str(UUID(int=0))

Kinded = tuple[str, Row]  # kind, row
Exported = tuple[str, Row, Row | None]  # kind, row, content


class Place(msgspec.Struct, frozen=True):
    """Where a row stands among all of them."""

    ts_us: int
    kind: str
    call_id: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows: those that began in the half-open period and that every filter admits."""

    since: datetime | None
    until: datetime
    filters: tuple[Filter, ...] = ()

    def kinds(self) -> list[str]:
        """What can match: a table without the column of a filter has no such row."""
        return [kind for kind in KINDS if not self._lacking(kind)]

    def left_out(self) -> list[str]:
        """Why kinds are left out, in sentences."""
        return [
            f"no {_table(kind)}: they have no {names[0]}"
            for kind in KINDS
            if (names := self._lacking(kind))
        ]

    def _lacking(self, kind: str) -> list[str]:
        found = []
        for one in self.filters:
            try:
                within(one, _table(kind), _columns(kind))
            except ValueError:
                found.append(one.name)
        return found

    def conditions(self, kind: str, bound: Bound) -> list[str]:
        """As SQL over a table `t`."""
        columns = _columns(kind)
        found = bounds(self.since, self.until, bound)
        return found + [within(one, _table(kind), columns).sql(bound) for one in self.filters]


async def conversations(
    store: Asks, wanted: Selection, after: Place | None = None
) -> AsyncIterator[list[Exported]]:
    """Pages of (kind, row, content or None), in order, from behind `after`.

    A row has the fields of `Record` that its table has.  Raises TransientError, and ValueError for
    a filter that calls do not have.
    """
    calls = await store.rows_table()
    tables = {kind: calls if kind == CALL else _table(kind) for kind in wanted.kinds()}
    for hour in await _hours(store, wanted, tables, after):
        streams = [_Stream(store, wanted, (*one, hour)).skip(after) for one in tables.items()]
        page: list[Kinded] = []
        while True:
            heads = [(await one.head(), at) for at, one in enumerate(streams)]
            there = [(int(str(row["ts_us"])), at) for row, at in heads if row is not None]
            if not there:
                break
            _, at = min(there)
            page.append((streams[at].kind, streams[at].take()))
            if len(page) == PAGE_ROWS:
                async for part in _with_content(store, page):
                    yield part
                page = []
        async for part in _with_content(store, page):
            yield part


class _Stream:
    """The rows of one table in one hour, in order."""

    def __init__(self, store: Asks, wanted: Selection, of: tuple[str, str, int]) -> None:
        """`of` are the kind, its table and the start of the hour."""
        self._store, self._wanted = store, wanted
        self.kind, self._table, self._hour = of
        self._last = (self._hour, _NOWHERE, "")
        self._rows: list[Row] = []
        self._at = 0
        self._done = False

    def skip(self, after: Place | None) -> "_Stream":
        """Begin behind a place, if it is in this hour."""
        if after is not None and after.ts_us >= self._hour:
            behind = KINDS.index(self.kind) < KINDS.index(after.kind)  # that microsecond is read
            same = self.kind == after.kind
            key = (after.ts_us, after.call_id, after.source)
            self._last = key if same else (after.ts_us + behind, _NOWHERE, "")
        return self

    async def head(self) -> Row | None:
        """The next row; None if there is none."""
        if self._at == len(self._rows) and not self._done:
            sql, bound = self._page()
            self._rows, self._at = await self._store.ask(sql, bound), 0
            self._done = len(self._rows) < PAGE_ROWS
        return self._rows[self._at] if self._at < len(self._rows) else None

    def take(self) -> Row:
        """The same, and go on."""
        row = self._rows[self._at]
        self._at += 1
        if self.kind == CALL:
            row["receipt"] = whole_text(row)
        self._last = (int(str(row["ts_us"])), str(row["call_id"]), str(row["source"]))
        return row

    def _page(self) -> tuple[str, Bound]:
        bound: Bound = {"limit": PAGE_ROWS, "end": self._hour + HOUR_US}
        bound["ts"], bound["id"], bound["source"] = self._last
        first = "fromUnixTimestamp64Micro({ts:Int64}, 'UTC')"
        conditions = [
            f"t.ts >= {first}",  # for the index, which does not read tuples
            "t.ts < fromUnixTimestamp64Micro({end:Int64}, 'UTC')",
            f"(t.ts, t.call_id, t.source) > ({first}, {{id:UUID}}, {{source:String}})",
            *self._wanted.conditions(self.kind, bound),
        ]
        return (
            f"SELECT toUnixTimestamp64Micro(t.ts) AS ts_us, {real(FIELDS[self.kind][1:])}"
            f" FROM {self._table} AS t WHERE {' AND '.join(conditions)}"
            " ORDER BY t.ts, t.call_id, t.source LIMIT {limit:UInt32}",
            bound,
        )


async def _hours(
    store: Asks, wanted: Selection, tables: dict[str, str], after: Place | None
) -> Sequence[int]:
    """The starts of the hours that have rows, in microseconds."""
    found: set[int] = set()
    for kind, table in tables.items():
        bound: Bound = {}
        conditions = wanted.conditions(kind, bound) or ["1"]
        if after is not None:
            bound["from"] = after.ts_us - after.ts_us % HOUR_US
            conditions.append("t.ts >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')")
        plain = "calls" if kind == CALL and not wanted.filters else table  # a join costs
        sql = (
            "SELECT DISTINCT toInt64(toUnixTimestamp(toStartOfHour(t.ts))) * 1000000 AS hour"
            f" FROM {plain} AS t WHERE {' AND '.join(conditions)}"
        )
        found |= {int(str(row["hour"])) for row in await store.ask(sql, bound)}
    return sorted(found)


async def _with_content(store: Asks, page: list[Kinded]) -> AsyncIterator[list[Exported]]:
    """The rows with what was captured of them, as many at once as may be in memory."""
    there = {str(row["call_id"]) for row in await _contents(store, page, ("call_id",))}
    part: list[Kinded] = []
    held = 0
    for kind, row in page:
        held += str(row["call_id"]) in there
        part.append((kind, row))
        if held == CONTENT_ROWS:
            yield await _joined(store, part)
            part, held = [], 0
    if part:
        yield await _joined(store, part) if held else [(kind, row, None) for kind, row in part]


async def _joined(store: Asks, part: list[Kinded]) -> list[Exported]:
    names = [name for name in content.FIELDS if name != "ts_us"]
    texts = {str(row["call_id"]): row for row in await _contents(store, part, names)}
    return [(kind, row, texts.get(str(row["call_id"]))) for kind, row in part]


async def _contents(store: Asks, part: list[Kinded], names: Sequence[str]) -> list[Row]:
    """Columns of the content of these rows, the newest copy of each."""
    if not part:
        return []
    times = [int(str(row["ts_us"])) for _, row in part]
    shown = ", ".join(f"t.{name} AS {name}" for name in names)
    return await store.ask(
        f"SELECT {shown} FROM contents AS t"
        " WHERE t.ts >= fromUnixTimestamp64Micro({first:Int64}, 'UTC')"
        " AND t.ts <= fromUnixTimestamp64Micro({last:Int64}, 'UTC')"
        " AND t.call_id IN {ids:Array(UUID)}"
        " ORDER BY t.ingested_at DESC LIMIT 1 BY t.call_id",
        {
            "first": min(times),
            "last": max(times),
            "ids": [str(row["call_id"]) for _, row in part],
        },
    )


def _table(kind: str) -> str:
    return _TABLES.get(kind, "calls")


def _columns(kind: str) -> tuple[str, ...]:
    return ("ts", *FIELDS[kind][1:])
