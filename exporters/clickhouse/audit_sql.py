"""The SQL that reads the audit log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from exporters.audit import COLUMNS
from exporters.clickhouse.dimensions import Bound
from exporters.clickhouse.query import bounds, microseconds

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

    def sql(self) -> tuple[str, Bound]:
        """As SQL and the values to bind in it.  Raises ValueError for an invalid id."""
        bound: Bound = {"limit": min(self.limit, LIMIT_MAX)}
        where = ["1", *bounds(self.since, self.until, bound, "ts")]
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
