-- A call that a budget refused was never made, so it has a row here and none in `calls`, and whatever
-- counts calls need not know of it.  Columns are named as in `calls`; blocked_by are the budgets.
CREATE TABLE IF NOT EXISTS refusals (
  ts                    DateTime64(6, 'UTC')   CODEC(Delta(8), ZSTD(1)),
  call_id               UUID                   CODEC(ZSTD(1)),
  trace_id              String                 CODEC(ZSTD(1)),
  session_id            String                 CODEC(ZSTD(1)),
  project               LowCardinality(String),
  environment           LowCardinality(String),
  team                  LowCardinality(String),
  feature               LowCardinality(String),
  user_id               String                 CODEC(ZSTD(1)),
  key_id                LowCardinality(String),
  client                LowCardinality(String),
  provider              LowCardinality(String),
  upstream              LowCardinality(String),
  endpoint              LowCardinality(String),
  operation             LowCardinality(String),
  request_model         LowCardinality(String),
  stream                Bool                   CODEC(ZSTD(1)),
  attempt               UInt16                 CODEC(ZSTD(1)),
  outcome               LowCardinality(String),
  error_type            LowCardinality(String),
  blocked_by            Array(LowCardinality(String)) CODEC(ZSTD(1)),
  request_bytes         UInt64                 CODEC(T64, ZSTD(1)),
  overhead_us           UInt64                 CODEC(T64, ZSTD(1)),
  tags                  Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  node                  LowCardinality(String),
  source                String                 CODEC(ZSTD(1)),
  ingested_at           DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (ts, call_id)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;
-- The budgets that would have refused a call that was made: `action = "shadow"`.
ALTER TABLE calls ADD COLUMN IF NOT EXISTS
  blocked_by Array(LowCardinality(String)) CODEC(ZSTD(1)) AFTER client;
-- Made anew for the column above, as in 008.
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
        n.counts
      ),
      n.revision
    ) AS price,
    argMaxIf(tuple(n.list_usd, n.list_status), n.revision, n.list_status != '') AS list
  FROM corrections AS n
  GROUP BY ts, call_id, source
) AS c ON t.ts = c.ts AND t.call_id = c.call_id AND t.source = c.source;
