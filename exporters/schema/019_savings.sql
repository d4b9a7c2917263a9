-- How many calls were in flight on the machine at dispatch, what an answer asked to wait, and what caches
-- and batches saved.  NULL is unknown, as in all rows from before; so nothing has to be filled in, and
-- repricing gives them their savings.  A correction by an older version makes savings unknown.
ALTER TABLE calls ADD COLUMN IF NOT EXISTS
  in_flight Nullable(UInt32) CODEC(T64, ZSTD(1)) AFTER fault;
ALTER TABLE calls ADD COLUMN IF NOT EXISTS
  retry_after_s Nullable(Float64) CODEC(ZSTD(1)) AFTER in_flight;
ALTER TABLE calls ADD COLUMN IF NOT EXISTS
  saved_cache_usd Nullable(Decimal(38, 18)) CODEC(GCD, ZSTD(1)) AFTER retry_after_s;
ALTER TABLE calls ADD COLUMN IF NOT EXISTS
  saved_batch_usd Nullable(Decimal(38, 18)) CODEC(GCD, ZSTD(1)) AFTER saved_cache_usd;
ALTER TABLE corrections ADD COLUMN IF NOT EXISTS
  old_saved_cache_usd Nullable(Decimal(38, 18)) CODEC(GCD, ZSTD(1)) AFTER output_tokens_total;
ALTER TABLE corrections ADD COLUMN IF NOT EXISTS
  old_saved_batch_usd Nullable(Decimal(38, 18)) CODEC(GCD, ZSTD(1)) AFTER old_saved_cache_usd;
ALTER TABLE corrections ADD COLUMN IF NOT EXISTS
  saved_cache_usd Nullable(Decimal(38, 18)) CODEC(GCD, ZSTD(1)) AFTER old_saved_batch_usd;
ALTER TABLE corrections ADD COLUMN IF NOT EXISTS
  saved_batch_usd Nullable(Decimal(38, 18)) CODEC(GCD, ZSTD(1)) AFTER saved_cache_usd;
-- Both made anew for the columns above, as in 008.
CREATE OR REPLACE VIEW priced_calls AS
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
  if(ifNull(c.revision, 0) = 0, t.counts, c.price.11) AS counts,
  if(ifNull(c.revision, 0) = 0, t.saved_cache_usd, c.price.12) AS saved_cache_usd,
  if(ifNull(c.revision, 0) = 0, t.saved_batch_usd, c.price.13) AS saved_batch_usd,
  if(ifNull(c.list.2, '') = '', t.list_usd, c.list.1) AS list_usd,
  if(ifNull(c.list.2, '') = '', t.list_status, c.list.2) AS list_status
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
        n.counts, n.saved_cache_usd, n.saved_batch_usd
      ),
      n.revision
    ) AS price,
    argMaxIf(tuple(n.list_usd, n.list_status), n.revision, n.list_status != '') AS list
  FROM corrections AS n
  GROUP BY ts, call_id, source
) AS c ON t.ts = c.ts AND t.call_id = c.call_id AND t.source = c.source;
CREATE OR REPLACE VIEW call_sums AS
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
  CAST(t.duration_us, 'Nullable(UInt64)') AS duration_us,
  t.saved_cache_usd AS saved_cache_usd,
  t.saved_batch_usd AS saved_batch_usd
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
  CAST(NULL, 'Nullable(UInt64)') AS duration_us,
  if(sign = 1, n.saved_cache_usd, -n.old_saved_cache_usd) AS saved_cache_usd,
  if(sign = 1, n.saved_batch_usd, -n.old_saved_batch_usd) AS saved_batch_usd
FROM corrections AS n
ARRAY JOIN [1, -1] AS sign;
