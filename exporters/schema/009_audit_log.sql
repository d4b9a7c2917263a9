-- Who changed what: an entry for each change, never updated and without an age limit.
-- The columns are the fields of exporters.audit.AuditEntry; `before` and `after` are JSON or empty.
CREATE TABLE IF NOT EXISTS audit (
  ts           DateTime64(6, 'UTC')   CODEC(Delta(8), ZSTD(1)),
  id           UUID                   CODEC(ZSTD(1)),
  node         LowCardinality(String),
  actor        LowCardinality(String),
  role         LowCardinality(String),
  action       LowCardinality(String),
  target       String                 CODEC(ZSTD(1)),
  before       String                 CODEC(ZSTD(3)),
  after        String                 CODEC(ZSTD(3)),
  ingested_at  DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (ts, id)
SETTINGS non_replicated_deduplication_window = 10000;
