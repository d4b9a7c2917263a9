-- What a call added to the counters of prices by volume, for those that such a price asked about.
ALTER TABLE calls ADD COLUMN IF NOT EXISTS
  counts Map(LowCardinality(String), Decimal(38, 9)) CODEC(ZSTD(1)) AFTER schema_version;
-- New prices of stored calls.  A row of `calls` is never changed: a correction with the next
-- revision stands beside it, with the old price and what the rollups are grouped by.
-- The TTL follows that of calls.
CREATE TABLE IF NOT EXISTS corrections (
  ts                        DateTime64(6, 'UTC')   CODEC(Delta(8), ZSTD(1)),
  call_id                   UUID                   CODEC(ZSTD(1)),
  source                    String                 CODEC(ZSTD(1)),
  revision                  UInt32                 CODEC(ZSTD(1)),
  at                        DateTime64(6, 'UTC')   CODEC(Delta(8), ZSTD(1)),
  reason                    LowCardinality(String),
  project                   LowCardinality(String),
  environment               LowCardinality(String),
  team                      LowCardinality(String),
  feature                   LowCardinality(String),
  key_id                    LowCardinality(String),
  provider                  LowCardinality(String),
  operation                 LowCardinality(String),
  request_model             LowCardinality(String),
  response_model            LowCardinality(String),
  outcome                   LowCardinality(String),
  error_type                LowCardinality(String),
  old_cost_usd              Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  old_cost_input_usd        Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  old_cost_output_usd       Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  old_cost_cache_read_usd   Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  old_cost_cache_write_usd  Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  old_cost_other_usd        Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  old_cost_status           LowCardinality(String),
  old_counts                Map(LowCardinality(String), Decimal(38, 9)) CODEC(ZSTD(1)),
  cost_usd                  Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  cost_input_usd            Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  cost_output_usd           Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  cost_cache_read_usd       Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  cost_cache_write_usd      Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  cost_other_usd            Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  cost_status               LowCardinality(String),
  reasons                   Array(LowCardinality(String)) CODEC(ZSTD(1)),
  tariff                    LowCardinality(String),
  receipt                   String                 CODEC(ZSTD(3)),
  counts                    Map(LowCardinality(String), Decimal(38, 9)) CODEC(ZSTD(1)),
  ingested_at               DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (ts, call_id, source, revision)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;
-- `calls` with the newest prices.  The join is by ts as well, so that a condition on it reaches
-- both sides; tuple() because argMax alone would skip a price that became unknown.
CREATE VIEW IF NOT EXISTS priced_calls AS
SELECT t.* REPLACE (
  if(ifNull(c.revision, 0) = 0, t.cost_usd, c.price.1) AS cost_usd,
  if(ifNull(c.revision, 0) = 0, t.cost_input_usd, c.price.2) AS cost_input_usd,
  if(ifNull(c.revision, 0) = 0, t.cost_output_usd, c.price.3) AS cost_output_usd,
  if(ifNull(c.revision, 0) = 0, t.cost_cache_read_usd, c.price.4) AS cost_cache_read_usd,
  if(ifNull(c.revision, 0) = 0, t.cost_cache_write_usd, c.price.5) AS cost_cache_write_usd,
  if(ifNull(c.revision, 0) = 0, t.cost_other_usd, c.price.6) AS cost_other_usd,
  if(ifNull(c.revision, 0) = 0, t.cost_status, c.price.7) AS cost_status,
  if(ifNull(c.revision, 0) = 0, t.reasons, c.price.8) AS reasons,
  if(ifNull(c.revision, 0) = 0, t.tariff, c.price.9) AS tariff,
  if(ifNull(c.revision, 0) = 0, t.receipt, c.price.10) AS receipt,
  if(ifNull(c.revision, 0) = 0, t.counts, c.price.11) AS counts
), ifNull(c.revision, 0) AS revision
FROM calls AS t
LEFT JOIN (
  SELECT
    n.ts AS ts,
    n.call_id AS call_id,
    n.source AS source,
    max(n.revision) AS revision,
    argMax(
      tuple(
        n.cost_usd, n.cost_input_usd, n.cost_output_usd, n.cost_cache_read_usd,
        n.cost_cache_write_usd, n.cost_other_usd, n.cost_status, n.reasons, n.tariff, n.receipt,
        n.counts
      ),
      n.revision
    ) AS price
  FROM corrections AS n
  GROUP BY ts, call_id, source
) AS c ON t.ts = c.ts AND t.call_id = c.call_id AND t.source = c.source;
-- The rollups get the differences.  Counts of calls may fall: -1 is 2^64 - 1, which adds up to the
-- right sum in the group of the call, modulo 2^64.  A sum of costs of which all became unknown is
-- 0; unpriced_calls is then equal to calls.
CREATE MATERIALIZED VIEW IF NOT EXISTS corrections_1m_mv TO calls_1m AS
SELECT
  toStartOfMinute(t.ts) AS minute,
  t.project AS project,
  t.environment AS environment,
  t.provider AS provider,
  t.request_model AS request_model,
  t.response_model AS response_model,
  t.outcome AS outcome,
  t.error_type AS error_type,
  toUInt64(0) AS calls,
  countIf(t.cost_usd IS NULL) - countIf(t.old_cost_usd IS NULL) AS unpriced_calls,
  countIf(t.cost_status IN ('estimated', 'partial'))
    - countIf(t.old_cost_status IN ('estimated', 'partial')) AS inexact_calls,
  sum(if(t.cost_usd IS NULL AND t.old_cost_usd IS NULL, NULL,
    ifNull(t.cost_usd, 0) - ifNull(t.old_cost_usd, 0))) AS cost_usd
FROM corrections AS t
GROUP BY
  minute, project, environment, provider, request_model, response_model, outcome, error_type;

CREATE MATERIALIZED VIEW IF NOT EXISTS corrections_1h_mv TO calls_1h AS
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
  toUInt64(0) AS calls,
  countIf(t.cost_usd IS NULL) - countIf(t.old_cost_usd IS NULL) AS unpriced_calls,
  countIf(t.cost_status IN ('estimated', 'partial'))
    - countIf(t.old_cost_status IN ('estimated', 'partial')) AS inexact_calls,
  sum(if(t.cost_usd IS NULL AND t.old_cost_usd IS NULL, NULL,
    ifNull(t.cost_usd, 0) - ifNull(t.old_cost_usd, 0))) AS cost_usd,
  sum(if(t.cost_input_usd IS NULL AND t.old_cost_input_usd IS NULL, NULL,
    ifNull(t.cost_input_usd, 0) - ifNull(t.old_cost_input_usd, 0))) AS cost_input_usd,
  sum(if(t.cost_output_usd IS NULL AND t.old_cost_output_usd IS NULL, NULL,
    ifNull(t.cost_output_usd, 0) - ifNull(t.old_cost_output_usd, 0))) AS cost_output_usd,
  sum(if(t.cost_cache_read_usd IS NULL AND t.old_cost_cache_read_usd IS NULL, NULL,
    ifNull(t.cost_cache_read_usd, 0) - ifNull(t.old_cost_cache_read_usd, 0))) AS cost_cache_read_usd,
  sum(if(t.cost_cache_write_usd IS NULL AND t.old_cost_cache_write_usd IS NULL, NULL,
    ifNull(t.cost_cache_write_usd, 0) - ifNull(t.old_cost_cache_write_usd, 0))) AS cost_cache_write_usd,
  sum(if(t.cost_other_usd IS NULL AND t.old_cost_other_usd IS NULL, NULL,
    ifNull(t.cost_other_usd, 0) - ifNull(t.old_cost_other_usd, 0))) AS cost_other_usd
FROM corrections AS t
GROUP BY
  hour, project, environment, team, feature, key_id, provider, operation, request_model,
  response_model;
-- What was used of each counter, hour by hour: a month's sum is a few hundred rows.
CREATE TABLE IF NOT EXISTS counts_1h (
  hour      DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
  counter   LowCardinality(String),
  quantity  SimpleAggregateFunction(sum, Decimal(38, 9))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(hour)
ORDER BY (counter, hour)
TTL hour + INTERVAL 2 YEAR DELETE
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS counts_1h_mv TO counts_1h AS
SELECT
  toStartOfHour(t.ts) AS hour,
  count.1 AS counter,
  sum(count.2) AS quantity
FROM calls AS t
ARRAY JOIN CAST(t.counts, 'Array(Tuple(String, Decimal(38, 9)))') AS count
GROUP BY hour, counter;

CREATE MATERIALIZED VIEW IF NOT EXISTS corrections_counts_mv TO counts_1h AS
SELECT
  toStartOfHour(t.ts) AS hour,
  change.1 AS counter,
  sum(change.2) AS quantity
FROM corrections AS t
ARRAY JOIN arrayConcat(
  CAST(t.counts, 'Array(Tuple(String, Decimal(38, 9)))'),
  arrayMap(old -> (old.1, -old.2), CAST(t.old_counts, 'Array(Tuple(String, Decimal(38, 9)))'))
) AS change
GROUP BY hour, counter;
