"""Makes calls in the database, as wide as a busy organisation's, for `trials.bench.panels`.

12 models, 20 projects, 40 keys, 15 features, 50,000 users, and what our own relays and meters write
of each call: ids that sort by time, no trace since it follows from the id, the provider's id of its
response, the position in the journal, and a receipt without what follows from the row.  A hundredth
has a correction.  The same number makes the same call but for its time.
"""

import re
import sys
from time import perf_counter

from clickhouse_connect.driver.client import Client

BATCH = 100_000  # calls of an insert; the engine's memory limit holds here too
DISK_BYTES_MAX = 5 * 10**9
_QUANTITIES = "Map(LowCardinality(String), Decimal(38, 9))"


def _line(meter: str, rate: str) -> str:
    """SQL for a line of a receipt, as `exporters.receipt` writes it."""
    return f"""concat('{{"subcall":0,"model":"', response_model, '","meter":"{meter}",',
      '"rate":"', toString({rate}), '","per":"1000000","factors":{{}},"rule":"', provider, '.toml:',
      toString(100 + 20 * m), '","source":"https://developers.', provider,
      '.com/api/docs/pricing"}}')"""


# What calls have; every other column has its default.  `number` is 0, 1, … of all calls.
FIELDS = """
  now64(6, 'UTC') - toIntervalMicrosecond(intDiv(number * DAYS * 86400000000, CALLS)
    + cityHash64(number, 0) % 250000) AS ts,
  toUUID(lower(hex(bitOr(bitShiftLeft(toUInt64(toUnixTimestamp64Milli(ts)), 16),
    28672 + cityHash64(number, 1) % 4096)))
    || lower(hex(bitOr(bitShiftRight(cityHash64(number, 2), 2), bitShiftLeft(toUInt64(1), 63)))))
    AS call_id,
  'session ' || toString(intDiv(number, 8)) AS session_id,
  'project ' || toString(cityHash64(number, 4) % 20) AS project,
  ['production', 'staging'][1 + (number % 10 = 0)] AS environment,
  'team ' || toString(cityHash64(number, 4) % 6) AS team,
  'feature ' || toString(cityHash64(number, 5) % 15) AS feature,
  'user ' || toString(cityHash64(number, 6) % 50000) AS user_id,
  'key ' || toString(cityHash64(number, 7) % 40) AS key_id,
  cityHash64(number, 8) % 12 AS m,
  ['openai', 'anthropic', 'gemini'][1 + m % 3] AS provider,
  'api.' || provider || '.com' AS upstream,
  '/v1/chat/completions' AS endpoint,
  'model-' || toString(m) AS request_model,
  request_model || '-2026' AS response_model,
  'chat' AS operation,
  'client ' || toString(cityHash64(number, 9) % 8) AS client,
  'api_key' AS credential_kind,
  'standard' AS service_tier,
  number % 2 = 0 AS stream,
  1 AS attempt,
  cityHash64(number, 10) % 100 AS luck,
  if(luck < 97, 200, if(luck = 97, 429, 500))::UInt16 AS http_status,
  if(luck < 97, 'ok', 'http_error') AS outcome,
  if(luck < 97, '', toString(http_status)) AS error_type,
  if(luck < 97, if(luck < 90, 'stop', 'length'), '') AS finish_reason,
  if(luck < 97, substring(base58Encode(SHA256(toString(number))), 1, [29, 24, 22][1 + m % 3]), '')
    AS secret,
  if(luck < 97, ['chatcmpl-', 'msg_', ''][1 + m % 3] || secret, '') AS response_id,
  if(luck < 97, 200 + cityHash64(number, 11) % 8000, NULL) AS input_tokens_total,
  if(luck < 97, 20 + cityHash64(number, 12) % 800, NULL) AS output_tokens_total,
  if(luck < 40, 100 + cityHash64(number, 13) % 100, 0)::UInt64 AS cache_read_tokens,
  toUInt64(ifNull(input_tokens_total, 0) - cache_read_tokens) AS fresh,
  toUInt64(ifNull(output_tokens_total, 0)) AS made,
  multiIf(
    luck < 40, CAST(map('input', toDecimal128(fresh, 9), 'cache_read',
      toDecimal128(cache_read_tokens, 9), 'output', toDecimal128(made, 9)), 'QUANTITIES'),
    luck < 97, CAST(map('input', toDecimal128(fresh, 9), 'output', toDecimal128(made, 9)),
      'QUANTITIES'),
    CAST(map(), 'QUANTITIES')) AS usage,
  multiIf(luck < 93, 'reported', luck < 97, 'counted', 'none') AS usage_origin,
  toDecimal128(1 + m, 18) / 4 AS rate,
  if(luck < 96, rate * fresh / 1000000, NULL) AS cost_input_usd,
  if(luck < 40, rate / 10 * cache_read_tokens / 1000000, NULL) AS cost_cache_read_usd,
  if(luck < 96, rate * 6 * made / 1000000, NULL) AS cost_output_usd,
  multiIf(luck < 96, cost_input_usd + cost_output_usd + ifNull(cost_cache_read_usd, 0),
    luck = 96, NULL, toDecimal128(0, 18)) AS cost_usd,
  cost_usd AS list_usd,
  multiIf(luck < 93, 'exact', luck < 96, 'estimated', luck = 96, 'unpriced', 'not_billed')
    AS cost_status,
  cost_status AS list_status,
  multiIf(luck < 93, [], luck < 96, ['usage_counted'], luck = 96, ['unknown_model'], ['http_error'])
    AS reasons,
  provider || '/' || response_model || '#0123456789ab' AS tariff,
  if(luck >= 96, '{}', concat('{"form":2,"subcalls":[{"provider":"', provider, '","model":"',
    response_model, '","origin":"', usage_origin, '","terms":{"endpoint":"', endpoint,
    '"}}],"basis":{"reasons":[', arrayStringConcat(
      arrayMap(one -> concat('"', one, '"'), reasons), ','),
    '],"reported_usd":null,"cut_short":false,"counters":{},"access":{"provider":"', provider,
    '","credential":"api_key","host":"', upstream, '","path":"', endpoint, '"}},"lines":[',
    INPUT_LINE, if(luck < 40, concat(',', CACHE_LINE), ''), ',', OUTPUT_LINE, ']}')) AS receipt,
  300000 + cityHash64(number, 14) % 9000000 AS duration_us,
  180000 + cityHash64(number, 15) % 900000 AS first_byte_us,
  if(stream, first_byte_us + cityHash64(number, 23) % 20000, NULL) AS first_token_us,
  first_token_us AS first_visible_us,
  if(stream, 5000 + cityHash64(number, 16) % 40000, NULL) AS gap_p50_us,
  if(stream, 9000 + cityHash64(number, 17) % 90000, NULL) AS gap_p95_us,
  if(stream, 20000 + cityHash64(number, 18) % 900000, NULL) AS gap_max_us,
  60 + cityHash64(number, 19) % 300 AS overhead_us,
  1000 + cityHash64(number, 20) % 30000 AS request_bytes,
  800 + cityHash64(number, 21) % 9000 AS response_bytes,
  map('ticket', 'T-' || toString(cityHash64(number, 22) % 200)) AS tags,
  (1 + cityHash64(number, 24) % 60)::UInt32 AS in_flight,
  if(luck = 97, toFloat64(cityHash64(number, 25) % 60), NULL) AS retry_after_s,
  if(luck < 96, rate * 9 / 10 * cache_read_tokens / 1000000, NULL) AS saved_cache_usd,
  if(luck < 96, toDecimal128(0, 18), NULL) AS saved_batch_usd,
  ['a', 'b'][1 + number % 2] AS node,
  node || '-0:' || toString(CALLS - intDiv(number, 2)) AS source,
  3 AS schema_version
"""
_LINES = {
    "INPUT_LINE": _line("input", "rate"),
    "CACHE_LINE": _line("cache_read", "rate / 10"),
    "OUTPUT_LINE": _line("output", "rate * 6"),
}
MADE_OF = ("m", "luck", "fresh", "made", "rate", "secret")  # helpers among the fields


def columns() -> list[str]:
    """The columns that are filled."""
    names = re.findall(r" AS (\w+),?$", FIELDS, re.MULTILINE)
    return [name for name in names if name not in MADE_OF]


def fields(calls: int, days: int) -> str:
    """FIELDS for so many calls, evenly over so many days until now."""
    places = _LINES | {"DAYS": str(days), "CALLS": str(calls), "QUANTITIES": _QUANTITIES}
    text = FIELDS
    for place, sql in places.items():
        text = text.replace(place, sql)
    return text


def fill(client: Client, calls: int, days: int) -> None:
    """Insert the calls, and a correction of each hundredth.  Raises SystemExit beyond the disk."""
    names = ", ".join(columns())
    made = fields(calls, days)
    began = perf_counter()
    for first in range(0, calls, BATCH):
        last = min(first + BATCH, calls)
        client.command(
            f"INSERT INTO calls ({names}) SELECT {names} FROM (SELECT number, {made}"
            f" FROM numbers({first}, {last - first})) SETTINGS max_partitions_per_insert_block = 0"
        )
        if (held := sum(disk_bytes(client).values())) > DISK_BYTES_MAX:
            raise SystemExit(f"{last:,} calls take {held / 1e9:.1f} GB of disk: too many")
        print(f"{last:,} of {calls:,} calls, {perf_counter() - began:.0f} s", file=sys.stderr)
    both = client.query(
        "SELECT name FROM system.columns WHERE database = {name:String}"
        " AND table IN ('calls', 'corrections') AND name != 'ingested_at'"
        " AND name NOT LIKE 'cost%' AND name NOT LIKE 'list%'"
        " GROUP BY name HAVING count() = 2",
        {"name": client.database},
    )
    same = ", ".join(str(row[0]) for row in both.result_rows)
    client.command(
        f"INSERT INTO corrections ({same}, revision, old_cost_usd, old_cost_status, cost_usd,"
        f" cost_status) SELECT {same}, 1, cost_usd, cost_status, cost_usd * 2, cost_status"
        " FROM calls"
        " WHERE cityHash64(call_id) % 100 = 0 AND cost_usd IS NOT NULL"
        " SETTINGS max_partitions_per_insert_block = 0"
    )


def disk_bytes(client: Client) -> dict[str, int]:
    """What each table takes on disk, the largest first."""
    sql = (
        "SELECT table, sum(bytes_on_disk) AS held FROM system.parts"
        " WHERE database = {name:String} AND active GROUP BY table ORDER BY held DESC"
    )
    rows = client.query(sql, {"name": client.database}).result_rows
    return {str(table): int(held) for table, held in rows}


def column_bytes(client: Client) -> dict[str, int]:
    """What the columns of `calls` take on disk, the largest first."""
    sql = (
        "SELECT column, sum(column_bytes_on_disk) AS held FROM system.parts_columns"
        " WHERE database = {name:String} AND active AND table = 'calls'"
        " GROUP BY column ORDER BY held DESC"
    )
    rows = client.query(sql, {"name": client.database}).result_rows
    return {str(column): int(held) for column, held in rows}
