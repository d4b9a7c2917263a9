-- A socket that carries many responses has a row in `calls` for each of them, and one here for the
-- connection, so that whatever counts calls need not know of it.  Columns are named as in `calls`.
-- Written once, when the socket closes; the responses have its call_id as socket_id.
CREATE TABLE IF NOT EXISTS sockets (
  ts                    DateTime64(6, 'UTC')   CODEC(Delta(8), ZSTD(1)),
  call_id               UUID                   CODEC(ZSTD(1)),
  trace_id              String                 CODEC(ZSTD(1)),
  span_id               String                 CODEC(ZSTD(1)),
  parent_span_id        String                 CODEC(ZSTD(1)),
  session_id            String                 CODEC(ZSTD(1)),
  project               LowCardinality(String),
  environment           LowCardinality(String),
  team                  LowCardinality(String),
  feature               LowCardinality(String),
  user_id               String                 CODEC(ZSTD(1)),
  key_id                LowCardinality(String),
  provider              LowCardinality(String),
  upstream              LowCardinality(String),
  region                LowCardinality(String),
  endpoint              LowCardinality(String),
  operation             LowCardinality(String),
  request_model         LowCardinality(String),
  response_model        LowCardinality(String),
  http_status           UInt16                 CODEC(ZSTD(1)),
  outcome               LowCardinality(String),
  error_type            LowCardinality(String),
  error_message         String                 CODEC(ZSTD(3)),
  reasons               Array(LowCardinality(String)) CODEC(ZSTD(1)),
  duration_us           UInt64                 CODEC(T64, ZSTD(1)),
  first_byte_us         Nullable(UInt64)       CODEC(T64, ZSTD(1)),
  overhead_us           UInt64                 CODEC(T64, ZSTD(1)),
  caller_wait_us        UInt64                 CODEC(T64, ZSTD(1)),
  request_bytes         UInt64                 CODEC(T64, ZSTD(1)),
  response_bytes        UInt64                 CODEC(T64, ZSTD(1)),
  dropped_bytes         UInt64                 CODEC(T64, ZSTD(1)),
  tags                  Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  attributes            Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  node                  LowCardinality(String),
  source                String                 CODEC(ZSTD(1)),
  ingested_at           DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (ts, call_id)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;
-- '' for a call of its own.  Not an index: the responses of a socket are near each other in time.
ALTER TABLE calls ADD COLUMN IF NOT EXISTS socket_id String CODEC(ZSTD(1)) AFTER list_status;
