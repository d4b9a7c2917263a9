"""What was metered of one provider, by hour, model and key, for comparing it with a bill."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from exporters.clickhouse.dimensions import Bound
from exporters.clickhouse.query import bounds

GROUPS_MAX = 500_000
ITEMS: Mapping[str, tuple[str, str]] = {  # item → column of its cost, SQL of its tokens
    "input": (
        "cost_input_usd",
        "greatest(toInt64(ifNull(t.input_tokens_total, 0))"
        " - toInt64(t.cache_read_tokens) - toInt64(t.cache_write_tokens), 0)",
    ),
    "output": ("cost_output_usd", "toInt64(ifNull(t.output_tokens_total, 0))"),
    "cache_read": ("cost_cache_read_usd", "toInt64(t.cache_read_tokens)"),
    "cache_write": ("cost_cache_write_usd", "toInt64(t.cache_write_tokens)"),
    "other": ("cost_other_usd", "toInt64(0)"),
}
PLANNED = "t.cost_status = 'not_billed' AND has(t.reasons, 'plan')"


def metered(
    rows: str, provider: str, since: datetime, until: datetime
) -> tuple[str, Mapping[str, Any]]:
    """SQL over `rows` (`calls` or `priced_calls`), and the values to bind in it.

    `usd_*` are sums of what is known, `tokens_*` of all calls, `unpriced_*` of calls without a
    price; `crossing_*` are costs of calls that began on one day (UTC) and ended on the next.
    """
    bound: Bound = {"provider": provider, "most": GROUPS_MAX + 1}
    conditions = [*bounds(since, until, bound), "t.provider = {provider:String}"]
    ends = "fromUnixTimestamp64Micro(toUnixTimestamp64Micro(t.ts) + t.duration_us, 'UTC')"
    columns = []
    for item, (cost, tokens) in ITEMS.items():
        columns += [
            f"sum(ifNull(t.{cost}, 0)) AS usd_{item}",
            f"sum({tokens}) AS tokens_{item}",
            f"sumIf({tokens}, t.cost_usd IS NULL) AS unpriced_{item}",
            f"sumIf(ifNull(t.{cost}, 0), toDate(t.ts) != toDate({ends})) AS crossing_{item}",
        ]
    sql = (
        "SELECT toInt64(toUnixTimestamp(toStartOfHour(t.ts))) AS hour,"
        " if(t.response_model = '', t.request_model, t.response_model) AS model, t.key_id AS key,"
        " count() AS calls, countIf(t.cost_usd IS NULL) AS unpriced,"
        " sum(ifNull(t.cost_usd, 0)) AS usd,"
        f" sumIf(ifNull(t.list_usd, 0), {PLANNED}) AS plan_usd, countIf({PLANNED}) AS planned,"
        " arraySort(groupUniqArray(t.service_tier)) AS tiers,"
        f" {', '.join(columns)} FROM {rows} AS t WHERE {' AND '.join(conditions)}"
        " GROUP BY hour, model, key ORDER BY hour, model, key LIMIT {most:UInt32}"
    )
    return sql, bound
