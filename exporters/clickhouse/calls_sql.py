"""The SQL that lists calls, newest first, page by page."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from exporters.clickhouse.dimensions import Bound
from exporters.clickhouse.query import ROWS_MAX, Filter, bounds, microseconds
from exporters.record import COLUMNS


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsQuestion:
    """Which calls, at most `limit` and ROWS_MAX.

    To get the next page, pass `ts` and `call_id` of the last row as `before` and `before_id`.
    """

    limit: int = 100
    since: datetime | None = None
    until: datetime | None = None
    before: datetime | None = None
    before_id: str = ""
    filters: tuple[Filter, ...] = ()

    def sql(self, rows: str) -> tuple[str, Bound]:
        """As SQL over `rows`, `calls` or `priced_calls`, and the values to bind in it.

        Raises ValueError for an invalid id and for a name that calls cannot be filtered by.
        """
        bound: Bound = {"limit": min(self.limit, ROWS_MAX)}
        conditions = ["1", *bounds(self.since, self.until, bound)]
        if self.before is not None:
            last = "fromUnixTimestamp64Micro({before:Int64}, 'UTC')"
            conditions.append(f"t.ts <= {last}")  # for the index, which does not read tuples
            conditions.append(f"(t.ts, t.call_id) < ({last}, {{before_id:UUID}})")
            bound["before"] = microseconds(self.before)
            bound["before_id"] = str(UUID(self.before_id)) if self.before_id else str(UUID(int=0))
        conditions += [one.sql(bound) for one in self.filters]
        return (
            f"SELECT {', '.join(COLUMNS)}, ingested_at FROM {rows} AS t"
            f" WHERE {' AND '.join(conditions)} ORDER BY ts DESC, call_id DESC"
            " LIMIT {limit:UInt32}",
            bound,
        )


NEWEST = CallsQuestion()
