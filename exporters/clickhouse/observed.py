"""The calls behind a decision, one row each, for intervals: a sample of whole sessions if many.

Sums come from `reports`, never from these rows, so that they equal those of a report.  Rows name no
session, user or prompt: a session is a hash, equal for its calls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from exporters.clickhouse import success
from exporters.clickhouse.dimensions import Bound, known
from exporters.clickhouse.query import Query, bounds
from exporters.clickhouse.reports import Asks, Report, report

CALLS_MAX = 50_000  # about; above it, whole sessions are drawn by their hash
BY = ("provider", "model")
_HASHES = 1 << 64
# What belongs together: a conversation, else the attempts of one client call, else the call alone.
_CLUSTER = (
    "cityHash64(multiIf(t.session_id != '', concat('s', t.session_id),"
    " t.request_id != '', concat('r', t.request_id),"
    " t.trace_id != '' AND t.parent_span_id != '', concat('t', t.trace_id),"
    " concat('c', toString(t.call_id))))"
)
_PLAIN = (
    *("operation", "outcome", "cost_usd", "cost_status", "duration_us"),
    *("first_token_us", "input_tokens_total", "output_tokens_total", "cache_read_tokens"),
    *("cache_write_tokens", "reasoning_tokens", "service_tier", "stream", "attempt"),
    *("http_status", "request_bytes", "feature", "request_model", "usage", "route"),
    *("route_version", "candidate", "propensity", "sticky", "request_id"),
)
_SQL: Mapping[str, str] = {
    "provider": known("provider").expression({}),
    "model": known("model").expression({}),
    "cluster": _CLUSTER,
    "in_session": "t.session_id != ''",
    "ts_us": "toUnixTimestamp64Micro(t.ts)",
    "effort": "t.attributes['request.reasoning.level']",
    "is_eval": "t.tags['eval-run'] != ''",
    **{name: f"t.{name}" for name in _PLAIN},
}
COLUMNS = (*_SQL, *success.of_a_call(feedback=False))


@dataclass(frozen=True, slots=True)
class Observed:
    """Sums by provider and model as `taximeter report` has them, and rows of the same calls.

    `share` is how much of all sessions the rows are, 1 for all of them.
    """

    sums: Report
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    share: float

    def document(self) -> dict[str, object]:
        """For JSON."""
        return {
            "sums": self.sums.rows,
            "total": self.sums.total,
            "columns": list(self.columns),
            "rows": self.rows,
            "share": self.share,
        }


def statement(query: Query, rows: str, share: float, *, feedback: bool) -> tuple[str, Bound]:
    """SQL for the rows of the calls of `query` in the table `rows`, and the values to bind.

    `feedback` is whether anybody said of a call whether it succeeded.
    """
    bound: Bound = {}
    conditions = bounds(query.since, query.until, bound)
    conditions += [one.sql(bound) for one in query.filters]
    if share < 1:
        bound["cut"] = int(share * _HASHES)
        conditions.append(f"{_CLUSTER} < {{cut:UInt64}}")
    columns = {**_SQL, **success.of_a_call(feedback=feedback)}
    chosen = ", ".join(f"{sql} AS `{name}_`" for name, sql in columns.items())
    where = " AND ".join(conditions) or "1"
    return (
        f"SELECT {chosen} FROM {rows} AS t WHERE {where}"
        f" ORDER BY t.ts, t.call_id, t.source LIMIT {4 * CALLS_MAX}",
        bound,
    )


async def observed(store: Asks, query: Query, *, most: int = CALLS_MAX) -> Observed:
    """The sums and rows of a question.  Raises TransientError, and ValueError as `report` does.

    A period without an end gets one, so that sums and rows are of the same calls.
    """
    closed = replace(query, by=BY, bucket="", limit=None, until=query.end)
    sums = await report(store, closed)
    calls = int(str(sums.total["calls"]))
    share = 1.0 if calls <= most else most / calls
    feedback = bool(await store.ask(success.FOUND, {}))
    sql, bound = statement(closed, await store.rows_table(), share, feedback=feedback)
    found = await store.ask(sql, bound)
    rows = [[row[f"{name}_"] for name in COLUMNS] for row in found]
    return Observed(sums, COLUMNS, rows, share)
