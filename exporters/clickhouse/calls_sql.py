"""The SQL that lists calls, newest first, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from exporters.clickhouse import success
from exporters.clickhouse.dimensions import REASON, TAG, Bound, known
from exporters.clickhouse.ids_sql import real
from exporters.clickhouse.query import ROWS_MAX, Filter, bounds, microseconds
from exporters.record import COLUMNS


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsQuestion:
    """Which calls, at most `limit` and ROWS_MAX.

    To get the next page, pass `ts` and `call_id` of the last row as `before` and `before_id`.
    With `successes`, rows of calls also have `success`, and `judged`, whether somebody said so.
    """

    limit: int = 100
    since: datetime | None = None
    until: datetime | None = None
    before: datetime | None = None
    before_id: str = ""
    filters: tuple[Filter, ...] = ()
    successes: bool = False

    def sql(
        self, rows: str, columns: Sequence[str] = COLUMNS, *, feedback: bool = False
    ) -> tuple[str, Bound]:
        """As SQL over `rows`, a table or view with these columns, and the values to bind in it.

        `feedback` is whether anybody said of a call whether it succeeded.
        Raises ValueError for an invalid id and for a name that its rows cannot be filtered by.
        """
        bound: Bound = {"limit": min(self.limit, ROWS_MAX)}
        conditions = ["1", *bounds(self.since, self.until, bound)]
        if self.before is not None:
            last = "fromUnixTimestamp64Micro({before:Int64}, 'UTC')"
            conditions.append(f"t.ts <= {last}")  # for the index, which does not read tuples
            conditions.append(f"(t.ts, t.call_id) < ({last}, {{before_id:UUID}})")
            bound["before"] = microseconds(self.before)
            bound["before_id"] = str(UUID(self.before_id)) if self.before_id else str(UUID(int=0))
        conditions += [within(one, rows, columns).sql(bound) for one in self.filters]
        more = success.of_a_call(feedback=feedback) if self.successes else {}
        chosen = [real(columns), *(f"{sql} AS {name}" for name, sql in more.items())]
        return (
            f"SELECT {', '.join(chosen)}, t.ingested_at AS ingested_at FROM {rows} AS t"
            f" WHERE {' AND '.join(conditions)} ORDER BY t.ts DESC, t.call_id DESC"
            " LIMIT {limit:UInt32}",
            bound,
        )


def within(wanted: Filter, rows: str, columns: Sequence[str]) -> Filter:
    """The filter over a table with these columns: a call that was never made has fewer."""
    asked = known(wanted.name)
    if asked.name == "model" and "response_model" not in columns:
        return replace(wanted, name="request_model")
    if asked.name.startswith(TAG) or asked.name in ("model", REASON) or asked.stored in columns:
        return wanted
    raise ValueError(f"{rows} have no {wanted.name!r}")


NEWEST = CallsQuestion()
