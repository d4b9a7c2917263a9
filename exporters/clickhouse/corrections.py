"""Corrections, which are new prices of stored calls, and the SQL that reads stored prices.

`calls` is never updated.  A correction names its call by `ts`, `call_id` and `source` (a batch item
that two proxies saw has two rows), increments `revision`, and keeps the price it replaces; the
rollups get the difference.  `priced_calls` is `calls` with the newest prices.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b

import msgspec

from exporters.clickhouse.query import microseconds
from exporters.record import JsonText

COSTS = (
    "cost_usd",
    "cost_input_usd",
    "cost_output_usd",
    "cost_cache_read_usd",
    "cost_cache_write_usd",
    "cost_other_usd",
)
GROUPS = (  # columns of its call that a correction repeats for the rollups
    "project",
    "environment",
    "team",
    "feature",
    "key_id",
    "provider",
    "operation",
    "request_model",
    "response_model",
    "outcome",
    "error_type",
)
# The same for what budgets count, beside GROUPS.
SCOPES = ("client", "user_id", "tags", "input_tokens_total", "output_tokens_total")
LIST = ("list_usd", "list_status")  # the list price, which is never added to the cost
SAVED = ("saved_cache_usd", "saved_batch_usd")  # what caches and batches saved
PRICE = (*COSTS, "cost_status", "reasons", "tariff", "receipt", "counts", *LIST, *SAVED)

Bound = dict[str, str | int]


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """A new price for one row of `calls`.  The field names are the columns of `corrections`."""

    ts: int  # of the call, microseconds since the epoch (UTC)
    call_id: str
    source: str
    revision: int  # 1 is the first correction of this row
    at: int  # when it was repriced, microseconds since the epoch (UTC)
    reason: str
    project: str = ""
    environment: str = ""
    team: str = ""
    feature: str = ""
    key_id: str = ""
    provider: str
    operation: str = ""
    request_model: str = ""
    response_model: str = ""
    outcome: str
    error_type: str = ""
    old_cost_usd: Decimal | None
    old_cost_input_usd: Decimal | None
    old_cost_output_usd: Decimal | None
    old_cost_cache_read_usd: Decimal | None
    old_cost_cache_write_usd: Decimal | None
    old_cost_other_usd: Decimal | None
    old_cost_status: str
    old_counts: Mapping[str, Decimal]
    cost_usd: Decimal | None
    cost_input_usd: Decimal | None
    cost_output_usd: Decimal | None
    cost_cache_read_usd: Decimal | None
    cost_cache_write_usd: Decimal | None
    cost_other_usd: Decimal | None
    cost_status: str
    reasons: Sequence[str]
    tariff: str
    receipt: JsonText
    counts: Mapping[str, Decimal]
    old_list_usd: Decimal | None = None
    old_list_status: str = ""
    list_usd: Decimal | None = None
    list_status: str = ""
    client: str = ""
    user_id: str = ""
    tags: Mapping[str, str] = msgspec.field(default_factory=dict)
    input_tokens_total: int | None = None
    output_tokens_total: int | None = None
    old_saved_cache_usd: Decimal | None = None
    old_saved_batch_usd: Decimal | None = None
    saved_cache_usd: Decimal | None = None
    saved_batch_usd: Decimal | None = None

    @property
    def ts_us(self) -> int:
        """`ts`, as other rows call it."""
        return self.ts


class Corrections(msgspec.Struct, frozen=True):
    """The corrections of one INSERT."""

    rows: tuple[Correction, ...]

    @property
    def token(self) -> str:
        """Identifies exactly these corrections, so that sending them again changes nothing."""
        digest = blake2b(digest_size=16)
        for row in self.rows:
            price = f"{row.cost_usd}:{row.cost_status}:{row.tariff}"
            price += f":{row.list_usd}" if row.list_status else ""
            price += f":{row.saved_cache_usd}:{row.saved_batch_usd}"
            digest.update(f"{row.call_id}:{row.source}:{row.revision}:{price}\n".encode())
        return f"corrections:{digest.hexdigest()}"


FIELDS = Correction.__struct_fields__


class RowPosition(msgspec.Struct, frozen=True):
    """A row's position in the order in which stored calls are repriced."""

    ts: int
    call_id: str = "00000000-0000-0000-0000-000000000000"
    source: str = ""


def hours(since: datetime, until: datetime) -> tuple[str, Bound]:
    """SQL: (start in microseconds, calls) for each hour of the half-open period that has calls."""
    return (
        "SELECT toInt64(toUnixTimestamp(toStartOfHour(t.ts))) * 1000000 AS hour, count() AS calls"
        " FROM calls AS t WHERE t.ts >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')"
        " AND t.ts < fromUnixTimestamp64Micro({until:Int64}, 'UTC') GROUP BY hour ORDER BY hour",
        {"since": microseconds(since), "until": microseconds(until)},
    )


def page(after: RowPosition, until_us: int, limit: int) -> tuple[str, Bound]:
    """SQL: the next calls in order, with their newest prices and whatever repricing them needs.

    `until_us` is exclusive and limits how much is read: pass the end of an hour.
    """
    own = ("call_id", "source", "revision", "usage", "duration_us", "reported_usd")
    names = (*own, *GROUPS, *SCOPES, *PRICE)
    first = "fromUnixTimestamp64Micro({ts:Int64}, 'UTC')"
    return (
        f"SELECT toUnixTimestamp64Micro(t.ts) AS ts_us, {', '.join(f't.{n}' for n in names)}"
        f" FROM priced_calls AS t WHERE t.ts >= {first}"
        " AND t.ts < fromUnixTimestamp64Micro({until:Int64}, 'UTC')"
        f" AND (t.ts, t.call_id, t.source) > ({first}, {{call_id:UUID}}, {{source:String}})"
        " ORDER BY t.ts, t.call_id, t.source LIMIT {limit:UInt32}",
        {
            "ts": after.ts,
            "call_id": after.call_id,
            "source": after.source,
            "until": until_us,
            "limit": limit,
        },
    )


def versions(call_id: str, source: str, ts_us: int) -> tuple[str, Bound]:
    """SQL: the corrections of one row, oldest first."""
    names = ("revision", "at", "reason", *PRICE)
    return (
        f"SELECT {', '.join(names)} FROM corrections WHERE call_id = {{call_id:UUID}}"
        " AND source = {source:String} AND ts = fromUnixTimestamp64Micro({ts:Int64}, 'UTC')"
        " ORDER BY revision",
        {"call_id": call_id, "source": source, "ts": ts_us},
    )


def counted(since: datetime, until: datetime | None = None) -> tuple[str, Bound]:
    """SQL: what each counter gained, by hour: (counter, hour in epoch seconds, quantity).

    `since` and `until` are starts of hours; the period is half-open.
    """
    end = " AND t.hour < fromUnixTimestamp({until:Int64})" if until else ""
    bound: Bound = {"since": microseconds(since) // 1_000_000}
    if until:
        bound["until"] = microseconds(until) // 1_000_000
    return (
        "SELECT t.counter, toInt64(toUnixTimestamp(t.hour)) AS at, sum(t.quantity) AS quantity"
        f" FROM counts_1h AS t WHERE t.hour >= fromUnixTimestamp({{since:Int64}}){end}"
        " GROUP BY t.counter, at",
        bound,
    )


def counted_in_rows(since: datetime, until: datetime) -> tuple[str, Bound]:
    """SQL: the same, read from the calls themselves, for part of an hour."""
    return (
        "SELECT used.1 AS counter, {since:Int64} AS at, sum(used.2) AS quantity"
        " FROM priced_calls AS t"
        " ARRAY JOIN CAST(t.counts, 'Array(Tuple(String, Decimal(38, 9)))') AS used"
        " WHERE t.ts >= fromUnixTimestamp64Micro({first:Int64}, 'UTC')"
        " AND t.ts < fromUnixTimestamp64Micro({until:Int64}, 'UTC') GROUP BY counter",
        {
            "since": microseconds(since) // 1_000_000,
            "first": microseconds(since),
            "until": microseconds(until),
        },
    )
