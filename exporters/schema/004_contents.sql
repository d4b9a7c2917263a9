-- What was said, where content capture is on: at most one row for each upstream attempt, redacted
-- and bounded before it came here.  The columns are the fields of exporters.content.Content.
-- A call that is metered again after a crash is written again, with the same ts, call_id and
-- source: the merges keep the row that came last, and reading takes one (LIMIT 1).
-- The TTL is set from content.ttl_days at start; it is part of the table from its first moment.  A
-- part goes when its last row is too old, which for a day's partition is a day later at most.
-- After a deletion the old part, which still has the text, is off the disk within a minute.
-- index_granularity_bytes: rows are large, and a granule of the default size would be a few rows.
CREATE TABLE IF NOT EXISTS contents (
  ts              DateTime64(6, 'UTC')   CODEC(Delta(8), ZSTD(1)),
  call_id         UUID                   CODEC(ZSTD(1)),
  source          String                 CODEC(ZSTD(1)),
  project         LowCardinality(String),
  environment     LowCardinality(String),
  team            LowCardinality(String),
  feature         LowCardinality(String),
  user_id         String                 CODEC(ZSTD(1)),
  session_id      String                 CODEC(ZSTD(1)),
  provider        LowCardinality(String),
  operation       LowCardinality(String),
  request_model   LowCardinality(String),
  response_model  LowCardinality(String),
  outcome         LowCardinality(String),
  request         String                 CODEC(ZSTD(3)),
  response        String                 CODEC(ZSTD(3)),
  output          String                 CODEC(ZSTD(3)),
  request_cut     Bool,
  response_cut    Bool,
  output_cut      Bool,
  redactions      Map(LowCardinality(String), UInt32) CODEC(ZSTD(1)),
  ingested_at     DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1)),
  INDEX ix_call  call_id  TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX ix_user  user_id  TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ingested_at)
PARTITION BY toDate(ts)
ORDER BY (project, ts, call_id, source)
TTL toDateTime(ts) + toIntervalDay(7)
SETTINGS ttl_only_drop_parts = 1, index_granularity_bytes = 67108864, old_parts_lifetime = 60,
  non_replicated_deduplication_window = 10000;
