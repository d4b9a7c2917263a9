"""Writes the audit log to table `audit`, and the SQL that reads it.

It has a thread and a client of its own, so that no row waits for it, and waits until the exporter
of the rows has created the schema.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.insert import InsertContext

from exporters.audit import COLUMNS, FIELDS, AuditEntry
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.report_sql import microseconds
from exporters.clickhouse.writer import Writer, insert, token
from exporters.record import Lot

LIMIT_MAX = 10_000  # entries of one answer
EXACT = ("actor", "role", "action", "target", "node")  # columns to filter by


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuestion:
    """Which entries, newest first.  For the next page: `ts` and `id` of the last one."""

    since: datetime | None = None
    until: datetime | None = None
    before: datetime | None = None
    before_id: str = ""
    limit: int = 100
    equal: Mapping[str, str] = field(default_factory=dict)  # column of EXACT → value

    def sql(self) -> tuple[str, dict[str, str | int]]:
        """As SQL and the values to bind in it.  Raises ValueError for an invalid id."""
        where: list[str] = ["1"]
        bound: dict[str, str | int] = {"limit": min(self.limit, LIMIT_MAX)}
        for name, at, sign in (("since", self.since, ">="), ("until", self.until, "<")):
            if at is not None:
                where.append(f"ts {sign} fromUnixTimestamp64Micro({{{name}:Int64}}, 'UTC')")
                bound[name] = microseconds(at)
        if self.before is not None:
            last = "fromUnixTimestamp64Micro({before:Int64}, 'UTC')"
            where += [f"ts <= {last}", f"(ts, id) < ({last}, {{before_id:UUID}})"]
            bound["before"] = microseconds(self.before)
            bound["before_id"] = str(UUID(self.before_id)) if self.before_id else str(UUID(int=0))
        for name, value in self.equal.items():
            if name not in EXACT:
                raise ValueError(f"cannot filter the audit log by {name!r}")
            where.append(f"{name} = {{{name}:String}}")
            bound[name] = value
        return (
            f"SELECT {', '.join(COLUMNS)} FROM audit WHERE {' AND '.join(where)}"
            " ORDER BY ts DESC, id DESC LIMIT {limit:UInt32}",
            bound,
        )


class AuditTable:
    """Writes entries.  Raises ValueError for an invalid DSN, otherwise what `Writer` raises."""

    name = "audit"

    def __init__(self, dsn: str, *, database: str = "taximeter") -> None:
        self.dsn = parse_dsn(dsn, database)
        self._writer = Writer("audit", self.dsn, self._prepare)
        self._context: InsertContext  # set by _prepare

    async def export(self, batch: Lot[AuditEntry]) -> None:
        """See `Destination.export`.  Repeating a call does not duplicate entries."""
        if batch.records:
            await self._writer.do(lambda client: self._insert(client, batch))

    async def close(self) -> None:
        """Wait for the insert in flight, then disconnect."""
        await self._writer.close()

    def _prepare(self, client: Client) -> None:
        client.database = self.dsn.database
        self._context = client.create_insert_context("audit", COLUMNS, column_oriented=True)

    def _insert(self, client: Client, batch: Lot[AuditEntry]) -> None:
        columns: list[list[object]] = [
            [getattr(one, name) for one in batch.records] for name in FIELDS
        ]
        insert(client, self._context, columns, token(batch))
