-- Codecs by what the columns hold, and what panels read of kinds of tokens and of tags.
-- A codec changes how new and merged parts are written, and no value.  GCD: amounts are whole multiples
-- of a price for one token, so that 16 bytes of an amount become a count of tokens.
-- Receipts are long and much alike; level 9 finds more of it than 3 and takes 4 µs more a call.
ALTER TABLE calls
  MODIFY COLUMN cost_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_input_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_output_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_cache_read_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_cache_write_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_other_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN reported_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN list_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN receipt CODEC(ZSTD(9)),
  MODIFY COLUMN user_id CODEC(ZSTD(3)),
  MODIFY COLUMN session_id CODEC(ZSTD(3)),
  MODIFY COLUMN source CODEC(ZSTD(3)),
  MODIFY COLUMN tags CODEC(ZSTD(3)),
  MODIFY COLUMN usage CODEC(ZSTD(3)),
  MODIFY COLUMN environment CODEC(ZSTD(1)),
  MODIFY COLUMN team CODEC(ZSTD(1)),
  MODIFY COLUMN feature CODEC(ZSTD(1)),
  MODIFY COLUMN key_id CODEC(ZSTD(1)),
  MODIFY COLUMN client CODEC(ZSTD(1)),
  MODIFY COLUMN finish_reason CODEC(ZSTD(1)),
  MODIFY COLUMN usage_origin CODEC(ZSTD(1)),
  MODIFY COLUMN cost_status CODEC(ZSTD(1)),
  MODIFY COLUMN list_status CODEC(ZSTD(1)),
  MODIFY COLUMN error_type CODEC(ZSTD(1)),
  MODIFY COLUMN outcome CODEC(ZSTD(1)),
  MODIFY COLUMN node CODEC(ZSTD(1)),
  MODIFY COLUMN stream CODEC(T64, ZSTD(1));
ALTER TABLE sums_1h
  MODIFY COLUMN cost_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_input_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_output_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_cache_read_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_cache_write_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_other_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN list_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN errors CODEC(T64, ZSTD(1)),
  MODIFY COLUMN unpriced_calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN inexact_calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN listed_calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN list_inexact_calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN input_tokens_total CODEC(T64, ZSTD(1)),
  MODIFY COLUMN output_tokens_total CODEC(T64, ZSTD(1)),
  MODIFY COLUMN cache_read_tokens CODEC(T64, ZSTD(1)),
  MODIFY COLUMN environment CODEC(ZSTD(1)),
  MODIFY COLUMN feature CODEC(ZSTD(1)),
  MODIFY COLUMN key_id CODEC(ZSTD(1)),
  MODIFY COLUMN request_model CODEC(ZSTD(1)),
  MODIFY COLUMN response_model CODEC(ZSTD(1)),
  MODIFY COLUMN hour CODEC(Delta(4), ZSTD(1));
ALTER TABLE spend_15m
  MODIFY COLUMN project CODEC(ZSTD(1)),
  MODIFY COLUMN environment CODEC(ZSTD(1)),
  MODIFY COLUMN team CODEC(ZSTD(1)),
  MODIFY COLUMN feature CODEC(ZSTD(1)),
  MODIFY COLUMN key_id CODEC(ZSTD(1)),
  MODIFY COLUMN client CODEC(ZSTD(1)),
  MODIFY COLUMN provider CODEC(ZSTD(1)),
  MODIFY COLUMN operation CODEC(ZSTD(1)),
  MODIFY COLUMN model CODEC(ZSTD(1)),
  MODIFY COLUMN calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN tokens CODEC(T64, ZSTD(1)),
  MODIFY COLUMN uncounted_calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN cost_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN unknown_calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN unknown_input_tokens CODEC(T64, ZSTD(1)),
  MODIFY COLUMN unknown_output_tokens CODEC(T64, ZSTD(1)),
  MODIFY COLUMN unmeasured_calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN listed_calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN list_usd CODEC(GCD, ZSTD(1));
ALTER TABLE spend_tags_15m
  MODIFY COLUMN project CODEC(ZSTD(1)),
  MODIFY COLUMN environment CODEC(ZSTD(1)),
  MODIFY COLUMN team CODEC(ZSTD(1)),
  MODIFY COLUMN feature CODEC(ZSTD(1)),
  MODIFY COLUMN key_id CODEC(ZSTD(1)),
  MODIFY COLUMN client CODEC(ZSTD(1)),
  MODIFY COLUMN provider CODEC(ZSTD(1)),
  MODIFY COLUMN operation CODEC(ZSTD(1)),
  MODIFY COLUMN model CODEC(ZSTD(1)),
  MODIFY COLUMN user_id CODEC(ZSTD(3)),
  MODIFY COLUMN tags CODEC(ZSTD(3)),
  MODIFY COLUMN calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN tokens CODEC(T64, ZSTD(1)),
  MODIFY COLUMN uncounted_calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN cost_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN unknown_calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN unknown_input_tokens CODEC(T64, ZSTD(1)),
  MODIFY COLUMN unknown_output_tokens CODEC(T64, ZSTD(1)),
  MODIFY COLUMN unmeasured_calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN listed_calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN list_usd CODEC(GCD, ZSTD(1));
ALTER TABLE usage_1h
  MODIFY COLUMN environment CODEC(ZSTD(1)),
  MODIFY COLUMN outcome CODEC(ZSTD(1)),
  MODIFY COLUMN finish_reason CODEC(ZSTD(1)),
  MODIFY COLUMN cost_status CODEC(ZSTD(1)),
  MODIFY COLUMN usage_origin CODEC(ZSTD(1)),
  MODIFY COLUMN calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN retries CODEC(T64, ZSTD(1)),
  MODIFY COLUMN unpriced_calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN listed_calls CODEC(T64, ZSTD(1)),
  MODIFY COLUMN input_tokens_total CODEC(T64, ZSTD(1)),
  MODIFY COLUMN output_tokens_total CODEC(T64, ZSTD(1)),
  MODIFY COLUMN cache_read_tokens CODEC(T64, ZSTD(1)),
  MODIFY COLUMN cache_write_tokens CODEC(T64, ZSTD(1)),
  MODIFY COLUMN reasoning_tokens CODEC(T64, ZSTD(1)),
  MODIFY COLUMN dropped_bytes CODEC(T64, ZSTD(1)),
  MODIFY COLUMN cost_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_input_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_output_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_cache_read_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_cache_write_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_other_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN list_usd CODEC(GCD, ZSTD(1));
ALTER TABLE corrections
  MODIFY COLUMN old_cost_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN old_cost_input_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN old_cost_output_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN old_cost_cache_read_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN old_cost_cache_write_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN old_cost_other_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN old_list_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_input_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_output_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_cache_read_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_cache_write_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN cost_other_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN list_usd CODEC(GCD, ZSTD(1)),
  MODIFY COLUMN receipt CODEC(ZSTD(9));
-- What was used of each kind, which panels read beyond two days: a call's map of quantities takes as long
-- to read as thirty plain columns.  No correction changes a quantity.
CREATE TABLE IF NOT EXISTS quantities_1h (
  hour      DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
  project   LowCardinality(String) CODEC(ZSTD(1)),
  team      LowCardinality(String) CODEC(ZSTD(1)),
  provider  LowCardinality(String) CODEC(ZSTD(1)),
  model     LowCardinality(String) CODEC(ZSTD(1)),
  meter     LowCardinality(String) CODEC(ZSTD(1)),
  calls     SimpleAggregateFunction(sum, Int64) CODEC(T64, ZSTD(1)),
  quantity  SimpleAggregateFunction(sum, Decimal(38, 9)) CODEC(GCD, ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(hour)
ORDER BY (project, team, provider, model, meter, hour)
TTL hour + INTERVAL 2 YEAR DELETE
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;
-- The view begins at an instant, as those of 010.
CREATE MATERIALIZED VIEW IF NOT EXISTS quantities_1h_mv TO quantities_1h AS
SELECT
  toStartOfHour(t.ts) AS hour,
  t.project AS project,
  t.team AS team,
  t.provider AS provider,
  if(t.response_model != '', t.response_model, t.request_model) AS model,
  arrayJoin(mapKeys(t.usage)) AS meter,
  count() AS calls,
  sum(t.usage[meter]) AS quantity
FROM calls AS t
WHERE t.ingested_at >= toDateTime64('1970-01-01 00:00:00.000', 3, 'UTC')
GROUP BY
  hour, project, team, provider, model, meter;
-- Nothing reads trace_ts: the index of calls by trace does.  Its age limit empties it.
DROP VIEW IF EXISTS trace_ts_mv;
