-- What budgets count, by quarter of an hour: every offset from UTC in use is a multiple of 15 minutes, so
-- days of any time zone can be cut from it.  spend_15m has all that a scope may name but users and
-- tags, which spend_tags_15m has as well.  No sketches, and no NULL: a cost that is unknown adds 0 to
-- cost_usd and 1 to unknown_calls.  uncounted_calls are those whose tokens are unknown;
-- unmeasured_calls those that have neither a price nor tokens.  `model` is the one that served or, if
-- that is unknown, the one that was asked for.
-- Sums are signed, since corrections add differences.
CREATE TABLE IF NOT EXISTS spend_15m (
  bucket                 DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
  project                LowCardinality(String),
  environment            LowCardinality(String),
  team                   LowCardinality(String),
  feature                LowCardinality(String),
  key_id                 LowCardinality(String),
  client                 LowCardinality(String),
  provider               LowCardinality(String),
  operation              LowCardinality(String),
  model                  LowCardinality(String),
  calls                  SimpleAggregateFunction(sum, Int64),
  tokens                 SimpleAggregateFunction(sum, Int64),
  uncounted_calls        SimpleAggregateFunction(sum, Int64),
  cost_usd               SimpleAggregateFunction(sum, Decimal(38, 18)),
  unknown_calls          SimpleAggregateFunction(sum, Int64),
  unknown_input_tokens   SimpleAggregateFunction(sum, Int64),
  unknown_output_tokens  SimpleAggregateFunction(sum, Int64),
  unmeasured_calls       SimpleAggregateFunction(sum, Int64),
  listed_calls           SimpleAggregateFunction(sum, Int64),
  list_usd               SimpleAggregateFunction(sum, Decimal(38, 18))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(bucket)
ORDER BY (
  project, team, provider, model, environment, feature, key_id, client, operation, bucket
)
TTL bucket + INTERVAL 3 YEAR DELETE
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;
CREATE TABLE IF NOT EXISTS spend_tags_15m (
  bucket                 DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
  project                LowCardinality(String),
  environment            LowCardinality(String),
  team                   LowCardinality(String),
  feature                LowCardinality(String),
  key_id                 LowCardinality(String),
  client                 LowCardinality(String),
  provider               LowCardinality(String),
  operation              LowCardinality(String),
  model                  LowCardinality(String),
  user_id                String CODEC(ZSTD(1)),
  tags                   Array(Tuple(String, String)) CODEC(ZSTD(1)),
  calls                  SimpleAggregateFunction(sum, Int64),
  tokens                 SimpleAggregateFunction(sum, Int64),
  uncounted_calls        SimpleAggregateFunction(sum, Int64),
  cost_usd               SimpleAggregateFunction(sum, Decimal(38, 18)),
  unknown_calls          SimpleAggregateFunction(sum, Int64),
  unknown_input_tokens   SimpleAggregateFunction(sum, Int64),
  unknown_output_tokens  SimpleAggregateFunction(sum, Int64),
  unmeasured_calls       SimpleAggregateFunction(sum, Int64),
  listed_calls           SimpleAggregateFunction(sum, Int64),
  list_usd               SimpleAggregateFunction(sum, Decimal(38, 18))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(bucket)
ORDER BY (
  user_id, project, team, provider, model, environment, feature, key_id, client, operation, tags,
  bucket
)
TTL bucket + INTERVAL 3 YEAR DELETE
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;
-- A correction is counted where its call is, so it has all that a scope may name.  Corrections by an
-- older version have '' there, and are in the right sums of all calls.
ALTER TABLE corrections ADD COLUMN IF NOT EXISTS
  client LowCardinality(String) AFTER list_status;
ALTER TABLE corrections ADD COLUMN IF NOT EXISTS
  user_id String CODEC(ZSTD(1)) AFTER client;
ALTER TABLE corrections ADD COLUMN IF NOT EXISTS
  tags Map(LowCardinality(String), String) CODEC(ZSTD(1)) AFTER user_id;
ALTER TABLE corrections ADD COLUMN IF NOT EXISTS
  input_tokens_total Nullable(UInt64) CODEC(T64, ZSTD(1)) AFTER tags;
ALTER TABLE corrections ADD COLUMN IF NOT EXISTS
  output_tokens_total Nullable(UInt64) CODEC(T64, ZSTD(1)) AFTER input_tokens_total;
-- The views take the rows that were inserted from one instant on, and `exporters.clickhouse.backfill` adds
-- those from before: it puts the instant in place of 1970, which is right for a database without rows.
-- So a row that another version inserts while this file is applied is counted, and counted once.
CREATE MATERIALIZED VIEW IF NOT EXISTS spend_15m_mv TO spend_15m AS
SELECT
  toStartOfFifteenMinutes(t.ts) AS bucket,
  t.project AS project,
  t.environment AS environment,
  t.team AS team,
  t.feature AS feature,
  t.key_id AS key_id,
  replaceRegexpOne(t.client, '/[0-9][^/]*$', '') AS client,
  t.provider AS provider,
  t.operation AS operation,
  if(t.response_model != '', t.response_model, t.request_model) AS model,
  count() AS calls,
  sum(ifNull(t.input_tokens_total, 0) + ifNull(t.output_tokens_total, 0)) AS tokens,
  countIf(t.input_tokens_total IS NULL AND t.cost_status != 'not_billed') AS uncounted_calls,
  sum(ifNull(t.cost_usd, 0)) AS cost_usd,
  countIf(t.cost_usd IS NULL) AS unknown_calls,
  sumIf(ifNull(t.input_tokens_total, 0), t.cost_usd IS NULL) AS unknown_input_tokens,
  sumIf(ifNull(t.output_tokens_total, 0), t.cost_usd IS NULL) AS unknown_output_tokens,
  countIf(t.cost_usd IS NULL AND t.input_tokens_total IS NULL) AS unmeasured_calls,
  countIf(t.list_usd IS NOT NULL) AS listed_calls,
  sum(ifNull(t.list_usd, 0)) AS list_usd
FROM calls AS t
WHERE t.ingested_at >= toDateTime64('1970-01-01 00:00:00.000', 3, 'UTC')
GROUP BY
  bucket, project, environment, team, feature, key_id, client, provider, operation, model;

CREATE MATERIALIZED VIEW IF NOT EXISTS corrections_spend_15m_mv TO spend_15m AS
SELECT
  toStartOfFifteenMinutes(t.ts) AS bucket,
  t.project AS project,
  t.environment AS environment,
  t.team AS team,
  t.feature AS feature,
  t.key_id AS key_id,
  replaceRegexpOne(t.client, '/[0-9][^/]*$', '') AS client,
  t.provider AS provider,
  t.operation AS operation,
  if(t.response_model != '', t.response_model, t.request_model) AS model,
  toInt64(0) AS calls,
  toInt64(0) AS tokens,
  sumIf(toInt64(t.cost_status != 'not_billed') - toInt64(t.old_cost_status != 'not_billed'),
    t.input_tokens_total IS NULL) AS uncounted_calls,
  sum(ifNull(t.cost_usd, 0) - ifNull(t.old_cost_usd, 0)) AS cost_usd,
  sum(toInt64(t.cost_usd IS NULL) - toInt64(t.old_cost_usd IS NULL)) AS unknown_calls,
  sum((toInt64(t.cost_usd IS NULL) - toInt64(t.old_cost_usd IS NULL))
    * toInt64(ifNull(t.input_tokens_total, 0))) AS unknown_input_tokens,
  sum((toInt64(t.cost_usd IS NULL) - toInt64(t.old_cost_usd IS NULL))
    * toInt64(ifNull(t.output_tokens_total, 0))) AS unknown_output_tokens,
  sumIf(toInt64(t.cost_usd IS NULL) - toInt64(t.old_cost_usd IS NULL),
    t.input_tokens_total IS NULL) AS unmeasured_calls,
  sumIf(toInt64(t.list_usd IS NOT NULL) - toInt64(t.old_list_usd IS NOT NULL),
    t.list_status != '') AS listed_calls,
  sumIf(ifNull(t.list_usd, 0) - ifNull(t.old_list_usd, 0), t.list_status != '') AS list_usd
FROM corrections AS t
WHERE t.ingested_at >= toDateTime64('1970-01-01 00:00:00.000', 3, 'UTC')
GROUP BY
  bucket, project, environment, team, feature, key_id, client, provider, operation, model;

CREATE MATERIALIZED VIEW IF NOT EXISTS spend_tags_15m_mv TO spend_tags_15m AS
SELECT
  toStartOfFifteenMinutes(t.ts) AS bucket,
  t.project AS project,
  t.environment AS environment,
  t.team AS team,
  t.feature AS feature,
  t.key_id AS key_id,
  replaceRegexpOne(t.client, '/[0-9][^/]*$', '') AS client,
  t.provider AS provider,
  t.operation AS operation,
  if(t.response_model != '', t.response_model, t.request_model) AS model,
  t.user_id AS user_id,
  CAST(mapSort(mapFilter((name, value) -> name != 'batch_item', t.tags)),
    'Array(Tuple(String, String))') AS tags,
  count() AS calls,
  sum(ifNull(t.input_tokens_total, 0) + ifNull(t.output_tokens_total, 0)) AS tokens,
  countIf(t.input_tokens_total IS NULL AND t.cost_status != 'not_billed') AS uncounted_calls,
  sum(ifNull(t.cost_usd, 0)) AS cost_usd,
  countIf(t.cost_usd IS NULL) AS unknown_calls,
  sumIf(ifNull(t.input_tokens_total, 0), t.cost_usd IS NULL) AS unknown_input_tokens,
  sumIf(ifNull(t.output_tokens_total, 0), t.cost_usd IS NULL) AS unknown_output_tokens,
  countIf(t.cost_usd IS NULL AND t.input_tokens_total IS NULL) AS unmeasured_calls,
  countIf(t.list_usd IS NOT NULL) AS listed_calls,
  sum(ifNull(t.list_usd, 0)) AS list_usd
FROM calls AS t
WHERE t.ingested_at >= toDateTime64('1970-01-01 00:00:00.000', 3, 'UTC')
GROUP BY
  bucket, project, environment, team, feature, key_id, client, provider, operation, model, user_id,
  tags;

CREATE MATERIALIZED VIEW IF NOT EXISTS corrections_spend_tags_15m_mv TO spend_tags_15m AS
SELECT
  toStartOfFifteenMinutes(t.ts) AS bucket,
  t.project AS project,
  t.environment AS environment,
  t.team AS team,
  t.feature AS feature,
  t.key_id AS key_id,
  replaceRegexpOne(t.client, '/[0-9][^/]*$', '') AS client,
  t.provider AS provider,
  t.operation AS operation,
  if(t.response_model != '', t.response_model, t.request_model) AS model,
  t.user_id AS user_id,
  CAST(mapSort(mapFilter((name, value) -> name != 'batch_item', t.tags)),
    'Array(Tuple(String, String))') AS tags,
  toInt64(0) AS calls,
  toInt64(0) AS tokens,
  sumIf(toInt64(t.cost_status != 'not_billed') - toInt64(t.old_cost_status != 'not_billed'),
    t.input_tokens_total IS NULL) AS uncounted_calls,
  sum(ifNull(t.cost_usd, 0) - ifNull(t.old_cost_usd, 0)) AS cost_usd,
  sum(toInt64(t.cost_usd IS NULL) - toInt64(t.old_cost_usd IS NULL)) AS unknown_calls,
  sum((toInt64(t.cost_usd IS NULL) - toInt64(t.old_cost_usd IS NULL))
    * toInt64(ifNull(t.input_tokens_total, 0))) AS unknown_input_tokens,
  sum((toInt64(t.cost_usd IS NULL) - toInt64(t.old_cost_usd IS NULL))
    * toInt64(ifNull(t.output_tokens_total, 0))) AS unknown_output_tokens,
  sumIf(toInt64(t.cost_usd IS NULL) - toInt64(t.old_cost_usd IS NULL),
    t.input_tokens_total IS NULL) AS unmeasured_calls,
  sumIf(toInt64(t.list_usd IS NOT NULL) - toInt64(t.old_list_usd IS NOT NULL),
    t.list_status != '') AS listed_calls,
  sumIf(ifNull(t.list_usd, 0) - ifNull(t.old_list_usd, 0), t.list_status != '') AS list_usd
FROM corrections AS t
WHERE t.ingested_at >= toDateTime64('1970-01-01 00:00:00.000', 3, 'UTC')
GROUP BY
  bucket, project, environment, team, feature, key_id, client, provider, operation, model, user_id,
  tags;
-- Which meters share this database, and which alerts of budgets were told, so that one of them tells
-- and another can go on from there.  `ended` is 1 for the row that says that an alert is over.
CREATE TABLE IF NOT EXISTS meters (
  node  String,
  seen  DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(seen)
ORDER BY node
TTL toDateTime(seen) + INTERVAL 1 DAY DELETE
SETTINGS non_replicated_deduplication_window = 10000;
CREATE TABLE IF NOT EXISTS told_alerts (
  id     String,
  node   String,
  ended  UInt8,
  at     DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (id, at)
TTL toDateTime(at) + INTERVAL 2 YEAR DELETE
SETTINGS non_replicated_deduplication_window = 10000;
