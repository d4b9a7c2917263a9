-- What dashboards and reports read.  Sums are exact: a sum of costs is the sum of the known ones,
-- NULL where none is known, and unpriced_calls says how many are missing from it.
-- Partitions are days everywhere, so that a broken one can be rebuilt alone (exporters.clickhouse.reconcile).
-- The TTL of trace_ts follows that of calls.
-- In the views every column is qualified: in `sum(cost_usd) AS cost_usd` the alias would shadow it.
CREATE TABLE IF NOT EXISTS calls_1m (
  minute               DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
  project              LowCardinality(String),
  environment          LowCardinality(String),
  provider             LowCardinality(String),
  request_model        LowCardinality(String),
  response_model       LowCardinality(String),
  outcome              LowCardinality(String),
  error_type           LowCardinality(String),
  calls                SimpleAggregateFunction(sum, UInt64),
  errors               SimpleAggregateFunction(sum, UInt64),
  unpriced_calls       SimpleAggregateFunction(sum, UInt64),
  inexact_calls        SimpleAggregateFunction(sum, UInt64),
  input_tokens_total   SimpleAggregateFunction(sum, Nullable(UInt64)),
  output_tokens_total  SimpleAggregateFunction(sum, Nullable(UInt64)),
  cache_read_tokens    SimpleAggregateFunction(sum, UInt64),
  cache_write_tokens   SimpleAggregateFunction(sum, UInt64),
  reasoning_tokens     SimpleAggregateFunction(sum, UInt64),
  cost_usd             SimpleAggregateFunction(sum, Nullable(Decimal(38, 18))),
  duration_us_sum      SimpleAggregateFunction(sum, UInt64),
  duration_us_max      SimpleAggregateFunction(max, UInt64),
  duration_q           AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), UInt64),
  first_token_q        AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(UInt64))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(minute)
ORDER BY (
  project, environment, provider, request_model, response_model, outcome, error_type, minute
)
TTL minute + INTERVAL 30 DAY DELETE
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS calls_1m_mv TO calls_1m AS
SELECT
  toStartOfMinute(t.ts) AS minute,
  t.project AS project,
  t.environment AS environment,
  t.provider AS provider,
  t.request_model AS request_model,
  t.response_model AS response_model,
  t.outcome AS outcome,
  t.error_type AS error_type,
  count() AS calls,
  countIf(t.outcome != 'ok') AS errors,
  countIf(t.cost_usd IS NULL) AS unpriced_calls,
  countIf(t.cost_status IN ('estimated', 'partial')) AS inexact_calls,
  sum(t.input_tokens_total) AS input_tokens_total,
  sum(t.output_tokens_total) AS output_tokens_total,
  sum(t.cache_read_tokens) AS cache_read_tokens,
  sum(t.cache_write_tokens) AS cache_write_tokens,
  sum(t.reasoning_tokens) AS reasoning_tokens,
  sum(t.cost_usd) AS cost_usd,
  sum(t.duration_us) AS duration_us_sum,
  max(t.duration_us) AS duration_us_max,
  quantilesDDState(0.01, 0.5, 0.95, 0.99)(t.duration_us) AS duration_q,
  quantilesDDState(0.01, 0.5, 0.95, 0.99)(t.first_token_us) AS first_token_q
FROM calls AS t
GROUP BY
  minute, project, environment, provider, request_model, response_model, outcome, error_type;

CREATE TABLE IF NOT EXISTS calls_1h (
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
  calls                 SimpleAggregateFunction(sum, UInt64),
  errors                SimpleAggregateFunction(sum, UInt64),
  unpriced_calls        SimpleAggregateFunction(sum, UInt64),
  inexact_calls         SimpleAggregateFunction(sum, UInt64),
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
  reported_usd          SimpleAggregateFunction(sum, Nullable(Decimal(38, 18))),
  duration_q            AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), UInt64),
  first_token_q         AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(UInt64)),
  users                 AggregateFunction(uniqCombined(12), String)
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(hour)
ORDER BY (
  project, environment, team, feature, key_id, provider, operation, request_model, response_model,
  hour
)
TTL hour + INTERVAL 2 YEAR DELETE
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS calls_1h_mv TO calls_1h AS
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
  sum(t.reported_usd) AS reported_usd,
  quantilesDDState(0.01, 0.5, 0.95, 0.99)(t.duration_us) AS duration_q,
  quantilesDDState(0.01, 0.5, 0.95, 0.99)(t.first_token_us) AS first_token_q,
  uniqCombinedState(12)(t.user_id) AS users
FROM calls AS t
GROUP BY
  hour, project, environment, team, feature, key_id, provider, operation, request_model,
  response_model;

CREATE TABLE IF NOT EXISTS trace_ts (
  trace_id     String CODEC(ZSTD(1)),
  first_start  SimpleAggregateFunction(min, DateTime('UTC')),
  last_start   SimpleAggregateFunction(max, DateTime('UTC'))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(first_start)
ORDER BY trace_id
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS trace_ts_mv TO trace_ts AS
SELECT
  t.trace_id AS trace_id,
  min(toDateTime(t.ts, 'UTC')) AS first_start,
  max(toDateTime(t.ts, 'UTC')) AS last_start
FROM calls AS t
WHERE t.trace_id != ''
GROUP BY trace_id;
