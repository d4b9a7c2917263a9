-- Narrower rollups in place of calls_1m and calls_1h.  A sketch takes as long to merge as forty rows take
-- to read, and those rollups had about as many sketches as there were calls.  So sums_1h has the sums
-- alone, usage_1h those of few groups, and latency_1h the sketches of few groups.
-- Sums are signed, since corrections add differences; a sum of costs that all became unknown is 0,
-- and unpriced_calls is then equal to calls.
CREATE TABLE IF NOT EXISTS sums_1h (
  hour                  DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
  project               LowCardinality(String),
  environment           LowCardinality(String),
  team                  LowCardinality(String),
  feature               LowCardinality(String),
  key_id                LowCardinality(String),
  provider              LowCardinality(String),
  operation             LowCardinality(String),
  request_model         LowCardinality(String),
  response_model        LowCardinality(String),
  calls                 SimpleAggregateFunction(sum, Int64),
  errors                SimpleAggregateFunction(sum, Int64),
  unpriced_calls        SimpleAggregateFunction(sum, Int64),
  inexact_calls         SimpleAggregateFunction(sum, Int64),
  partial_calls         SimpleAggregateFunction(sum, Int64),
  listed_calls          SimpleAggregateFunction(sum, Int64),
  list_inexact_calls    SimpleAggregateFunction(sum, Int64),
  input_tokens_total    SimpleAggregateFunction(sum, Nullable(UInt64)),
  output_tokens_total   SimpleAggregateFunction(sum, Nullable(UInt64)),
  cache_read_tokens     SimpleAggregateFunction(sum, UInt64),
  cache_write_tokens    SimpleAggregateFunction(sum, UInt64),
  reasoning_tokens      SimpleAggregateFunction(sum, UInt64),
  cost_usd              SimpleAggregateFunction(sum, Nullable(Decimal(38, 18))),
  cost_input_usd        SimpleAggregateFunction(sum, Nullable(Decimal(38, 18))),
  cost_output_usd       SimpleAggregateFunction(sum, Nullable(Decimal(38, 18))),
  cost_cache_read_usd   SimpleAggregateFunction(sum, Nullable(Decimal(38, 18))),
  cost_cache_write_usd  SimpleAggregateFunction(sum, Nullable(Decimal(38, 18))),
  cost_other_usd        SimpleAggregateFunction(sum, Nullable(Decimal(38, 18))),
  list_usd              SimpleAggregateFunction(sum, Nullable(Decimal(38, 18)))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(hour)
ORDER BY (
  project, team, provider, request_model, response_model, environment, operation, feature, key_id,
  hour
)
TTL hour + INTERVAL 2 YEAR DELETE
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;
-- `durations` counts calls by floor(4 * log2(duration_us)), for heatmaps.
CREATE TABLE IF NOT EXISTS latency_1h (
  hour            DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
  environment     LowCardinality(String),
  provider        LowCardinality(String),
  operation       LowCardinality(String),
  request_model   LowCardinality(String),
  response_model  LowCardinality(String),
  calls           SimpleAggregateFunction(sum, UInt64),
  duration_us_max SimpleAggregateFunction(max, UInt64),
  duration_q      AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), UInt64),
  first_token_q   AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(UInt64)),
  durations       SimpleAggregateFunction(sumMap, Map(UInt8, UInt64))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(hour)
ORDER BY (provider, request_model, response_model, environment, operation, hour)
TTL hour + INTERVAL 2 YEAR DELETE
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;
-- The views begin at an instant, as those of 010.
CREATE MATERIALIZED VIEW IF NOT EXISTS sums_1h_mv TO sums_1h AS
SELECT
  toStartOfHour(t.ts) AS hour,
  t.project AS project,
  t.environment AS environment,
  t.team AS team,
  t.feature AS feature,
  t.key_id AS key_id,
  t.provider AS provider,
  t.operation AS operation,
  t.request_model AS request_model,
  t.response_model AS response_model,
  count() AS calls,
  countIf(t.outcome != 'ok') AS errors,
  countIf(t.cost_usd IS NULL) AS unpriced_calls,
  countIf(t.cost_status IN ('estimated', 'partial')) AS inexact_calls,
  countIf(t.cost_status = 'partial') AS partial_calls,
  countIf(t.list_usd IS NOT NULL) AS listed_calls,
  countIf(t.list_status IN ('estimated', 'partial')) AS list_inexact_calls,
  sum(t.input_tokens_total) AS input_tokens_total,
  sum(t.output_tokens_total) AS output_tokens_total,
  sum(t.cache_read_tokens) AS cache_read_tokens,
  sum(t.cache_write_tokens) AS cache_write_tokens,
  sum(t.reasoning_tokens) AS reasoning_tokens,
  sum(t.cost_usd) AS cost_usd,
  sum(t.cost_input_usd) AS cost_input_usd,
  sum(t.cost_output_usd) AS cost_output_usd,
  sum(t.cost_cache_read_usd) AS cost_cache_read_usd,
  sum(t.cost_cache_write_usd) AS cost_cache_write_usd,
  sum(t.cost_other_usd) AS cost_other_usd,
  sum(t.list_usd) AS list_usd
FROM calls AS t
WHERE t.ingested_at >= toDateTime64('1970-01-01 00:00:00.000', 3, 'UTC')
GROUP BY
  hour, project, environment, team, feature, key_id, provider, operation, request_model,
  response_model;

-- A correction by an older version has list_status '' and leaves the list price as it was.
CREATE MATERIALIZED VIEW IF NOT EXISTS corrections_sums_1h_mv TO sums_1h AS
SELECT
  toStartOfHour(t.ts) AS hour,
  t.project AS project,
  t.environment AS environment,
  t.team AS team,
  t.feature AS feature,
  t.key_id AS key_id,
  t.provider AS provider,
  t.operation AS operation,
  t.request_model AS request_model,
  t.response_model AS response_model,
  toInt64(0) AS calls,
  sum(toInt64(t.cost_usd IS NULL) - toInt64(t.old_cost_usd IS NULL)) AS unpriced_calls,
  sum(toInt64(t.cost_status IN ('estimated', 'partial'))
    - toInt64(t.old_cost_status IN ('estimated', 'partial'))) AS inexact_calls,
  sum(toInt64(t.cost_status = 'partial') - toInt64(t.old_cost_status = 'partial'))
    AS partial_calls,
  sumIf(toInt64(t.list_usd IS NOT NULL) - toInt64(t.old_list_usd IS NOT NULL),
    t.list_status != '') AS listed_calls,
  sumIf(toInt64(t.list_status IN ('estimated', 'partial'))
    - toInt64(t.old_list_status IN ('estimated', 'partial')), t.list_status != '')
    AS list_inexact_calls,
  sum(if(t.cost_usd IS NULL AND t.old_cost_usd IS NULL, NULL,
    ifNull(t.cost_usd, 0) - ifNull(t.old_cost_usd, 0)))
    AS cost_usd,
  sum(if(t.cost_input_usd IS NULL AND t.old_cost_input_usd IS NULL, NULL,
    ifNull(t.cost_input_usd, 0) - ifNull(t.old_cost_input_usd, 0)))
    AS cost_input_usd,
  sum(if(t.cost_output_usd IS NULL AND t.old_cost_output_usd IS NULL, NULL,
    ifNull(t.cost_output_usd, 0) - ifNull(t.old_cost_output_usd, 0)))
    AS cost_output_usd,
  sum(if(t.cost_cache_read_usd IS NULL AND t.old_cost_cache_read_usd IS NULL, NULL,
    ifNull(t.cost_cache_read_usd, 0) - ifNull(t.old_cost_cache_read_usd, 0)))
    AS cost_cache_read_usd,
  sum(if(t.cost_cache_write_usd IS NULL AND t.old_cost_cache_write_usd IS NULL, NULL,
    ifNull(t.cost_cache_write_usd, 0) - ifNull(t.old_cost_cache_write_usd, 0)))
    AS cost_cache_write_usd,
  sum(if(t.cost_other_usd IS NULL AND t.old_cost_other_usd IS NULL, NULL,
    ifNull(t.cost_other_usd, 0) - ifNull(t.old_cost_other_usd, 0)))
    AS cost_other_usd,
  sumIf(if(t.list_usd IS NULL AND t.old_list_usd IS NULL, NULL,
    ifNull(t.list_usd, 0) - ifNull(t.old_list_usd, 0)), t.list_status != '') AS list_usd
FROM corrections AS t
WHERE t.ingested_at >= toDateTime64('1970-01-01 00:00:00.000', 3, 'UTC')
GROUP BY
  hour, project, environment, team, feature, key_id, provider, operation, request_model,
  response_model;

CREATE MATERIALIZED VIEW IF NOT EXISTS latency_1h_mv TO latency_1h AS
SELECT
  toStartOfHour(t.ts) AS hour,
  t.environment AS environment,
  t.provider AS provider,
  t.operation AS operation,
  t.request_model AS request_model,
  t.response_model AS response_model,
  count() AS calls,
  max(t.duration_us) AS duration_us_max,
  quantilesDDState(0.01, 0.5, 0.95, 0.99)(t.duration_us) AS duration_q,
  quantilesDDState(0.01, 0.5, 0.95, 0.99)(t.first_token_us) AS first_token_q,
  sumMap(map(toUInt8(floor(4 * log2(greatest(t.duration_us, 1)))), toUInt64(1))) AS durations
FROM calls AS t
WHERE t.ingested_at >= toDateTime64('1970-01-01 00:00:00.000', 3, 'UTC')
GROUP BY
  hour, environment, provider, operation, request_model, response_model;

-- What dashboards show of periods beyond a week.  `model` is the one that answered, or the one asked for.
-- A correction has no http_status, finish_reason and usage_origin: it takes a call of none (-1) out at the
-- old price and puts one in (+1) at the new, so that no count changes but those by cost_status.
CREATE TABLE IF NOT EXISTS usage_1h (
  hour                  DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
  project               LowCardinality(String),
  team                  LowCardinality(String),
  provider              LowCardinality(String),
  model                 LowCardinality(String),
  environment           LowCardinality(String),
  operation             LowCardinality(String),
  outcome               LowCardinality(String),
  finish_reason         LowCardinality(String),
  cost_status           LowCardinality(String),
  usage_origin          LowCardinality(String),
  http_status           UInt16 CODEC(ZSTD(1)),
  calls                 SimpleAggregateFunction(sum, Int64),
  retries               SimpleAggregateFunction(sum, Int64),
  unpriced_calls        SimpleAggregateFunction(sum, Int64),
  listed_calls          SimpleAggregateFunction(sum, Int64),
  input_tokens_total    SimpleAggregateFunction(sum, Nullable(UInt64)),
  output_tokens_total   SimpleAggregateFunction(sum, Nullable(UInt64)),
  cache_read_tokens     SimpleAggregateFunction(sum, UInt64),
  cache_write_tokens    SimpleAggregateFunction(sum, UInt64),
  reasoning_tokens      SimpleAggregateFunction(sum, UInt64),
  dropped_bytes         SimpleAggregateFunction(sum, UInt64),
  cost_usd              SimpleAggregateFunction(sum, Nullable(Decimal(38, 18))),
  cost_input_usd        SimpleAggregateFunction(sum, Nullable(Decimal(38, 18))),
  cost_output_usd       SimpleAggregateFunction(sum, Nullable(Decimal(38, 18))),
  cost_cache_read_usd   SimpleAggregateFunction(sum, Nullable(Decimal(38, 18))),
  cost_cache_write_usd  SimpleAggregateFunction(sum, Nullable(Decimal(38, 18))),
  cost_other_usd        SimpleAggregateFunction(sum, Nullable(Decimal(38, 18))),
  list_usd              SimpleAggregateFunction(sum, Nullable(Decimal(38, 18)))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(hour)
ORDER BY (
  project, team, provider, model, environment, operation, outcome, http_status, finish_reason,
  cost_status, usage_origin, hour
)
TTL hour + INTERVAL 2 YEAR DELETE
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;
CREATE MATERIALIZED VIEW IF NOT EXISTS usage_1h_mv TO usage_1h AS
SELECT
  toStartOfHour(t.ts) AS hour,
  t.project AS project,
  t.team AS team,
  t.provider AS provider,
  if(t.response_model != '', t.response_model, t.request_model) AS model,
  t.environment AS environment,
  t.operation AS operation,
  t.outcome AS outcome,
  t.finish_reason AS finish_reason,
  t.cost_status AS cost_status,
  t.usage_origin AS usage_origin,
  t.http_status AS http_status,
  count() AS calls,
  countIf(t.attempt > 1) AS retries,
  countIf(t.cost_usd IS NULL) AS unpriced_calls,
  countIf(t.list_usd IS NOT NULL) AS listed_calls,
  sum(t.input_tokens_total) AS input_tokens_total,
  sum(t.output_tokens_total) AS output_tokens_total,
  sum(t.cache_read_tokens) AS cache_read_tokens,
  sum(t.cache_write_tokens) AS cache_write_tokens,
  sum(t.reasoning_tokens) AS reasoning_tokens,
  sum(t.dropped_bytes) AS dropped_bytes,
  sum(t.cost_usd) AS cost_usd,
  sum(t.cost_input_usd) AS cost_input_usd,
  sum(t.cost_output_usd) AS cost_output_usd,
  sum(t.cost_cache_read_usd) AS cost_cache_read_usd,
  sum(t.cost_cache_write_usd) AS cost_cache_write_usd,
  sum(t.cost_other_usd) AS cost_other_usd,
  sum(t.list_usd) AS list_usd
FROM calls AS t
WHERE t.ingested_at >= toDateTime64('1970-01-01 00:00:00.000', 3, 'UTC')
GROUP BY
  hour, project, team, provider, model, environment, operation, outcome, finish_reason,
  cost_status, usage_origin, http_status;

CREATE MATERIALIZED VIEW IF NOT EXISTS corrections_usage_1h_mv TO usage_1h AS
SELECT
  toStartOfHour(t.ts) AS hour,
  t.project AS project,
  t.team AS team,
  t.provider AS provider,
  if(t.response_model != '', t.response_model, t.request_model) AS model,
  t.environment AS environment,
  t.operation AS operation,
  t.outcome AS outcome,
  if(sign = 1, t.cost_status, t.old_cost_status) AS cost_status,
  sum(toInt64(sign)) AS calls,
  sum(toInt64(sign * (if(sign = 1, t.cost_usd, t.old_cost_usd) IS NULL))) AS unpriced_calls,
  sumIf(toInt64(sign * (if(sign = 1, t.list_usd, t.old_list_usd) IS NOT NULL)),
    t.list_status != '') AS listed_calls,
  sum(if(sign = 1, t.cost_usd, -t.old_cost_usd)) AS cost_usd,
  sum(if(sign = 1, t.cost_input_usd, -t.old_cost_input_usd)) AS cost_input_usd,
  sum(if(sign = 1, t.cost_output_usd, -t.old_cost_output_usd)) AS cost_output_usd,
  sum(if(sign = 1, t.cost_cache_read_usd, -t.old_cost_cache_read_usd)) AS cost_cache_read_usd,
  sum(if(sign = 1, t.cost_cache_write_usd, -t.old_cost_cache_write_usd)) AS cost_cache_write_usd,
  sum(if(sign = 1, t.cost_other_usd, -t.old_cost_other_usd)) AS cost_other_usd,
  sumIf(if(sign = 1, t.list_usd, -t.old_list_usd), t.list_status != '') AS list_usd
FROM corrections AS t
ARRAY JOIN [1, -1] AS sign
WHERE t.ingested_at >= toDateTime64('1970-01-01 00:00:00.000', 3, 'UTC')
GROUP BY
  hour, project, team, provider, model, environment, operation, outcome, cost_status;

-- Calls, and for each correction its old price taken out (calls = -1) and the new one put in: sums are as
-- exact as those of priced_calls, without its join, which reads the widest columns of all calls.
-- `sum(calls)` counts; a correction has no duration and no reason to finish.
CREATE VIEW IF NOT EXISTS call_sums AS
SELECT
  t.ts AS ts,
  t.project AS project,
  t.environment AS environment,
  t.team AS team,
  t.feature AS feature,
  t.key_id AS key_id,
  t.provider AS provider,
  t.operation AS operation,
  t.request_model AS request_model,
  t.response_model AS response_model,
  t.outcome AS outcome,
  t.finish_reason AS finish_reason,
  toInt64(1) AS calls,
  t.cost_usd AS cost_usd,
  t.cost_status AS cost_status,
  CAST(t.duration_us, 'Nullable(UInt64)') AS duration_us
FROM calls AS t
UNION ALL
SELECT
  n.ts AS ts,
  n.project AS project,
  n.environment AS environment,
  n.team AS team,
  n.feature AS feature,
  n.key_id AS key_id,
  n.provider AS provider,
  n.operation AS operation,
  n.request_model AS request_model,
  n.response_model AS response_model,
  n.outcome AS outcome,
  CAST('', 'LowCardinality(String)') AS finish_reason,
  toInt64(sign) AS calls,
  if(sign = 1, n.cost_usd, -n.old_cost_usd) AS cost_usd,
  if(sign = 1, n.cost_status, n.old_cost_status) AS cost_status,
  CAST(NULL, 'Nullable(UInt64)') AS duration_us
FROM corrections AS n
ARRAY JOIN [1, -1] AS sign;
-- Nothing fills calls_1m and calls_1h any more.  Hours whose calls are gone are copied from calls_1h.
DROP VIEW IF EXISTS calls_1m_mv;
DROP VIEW IF EXISTS corrections_1m_mv;
DROP VIEW IF EXISTS list_1m_mv;
DROP VIEW IF EXISTS corrections_list_1m_mv;
DROP VIEW IF EXISTS calls_1h_mv;
DROP VIEW IF EXISTS corrections_1h_mv;
DROP VIEW IF EXISTS list_1h_mv;
DROP VIEW IF EXISTS corrections_list_1h_mv;
DROP VIEW IF EXISTS partial_1h_mv;
DROP VIEW IF EXISTS corrections_partial_1h_mv;
