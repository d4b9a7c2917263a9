-- What people and programs say about calls afterwards: one row for each statement about a call, a client
-- call of the gateway (request), a trace or a session.  The columns are the fields of
-- exporters.feedback.  A statement that is made again, with the same id about the same target,
-- replaces the one before.
CREATE TABLE IF NOT EXISTS feedback (
  ts             DateTime64(6, 'UTC')   CODEC(Delta(8), ZSTD(1)),
  received       DateTime64(6, 'UTC')   CODEC(Delta(8), ZSTD(1)),
  about          LowCardinality(String),
  target         String                 CODEC(ZSTD(1)),
  id             String                 CODEC(ZSTD(1)),
  name           LowCardinality(String),
  value          String                 CODEC(ZSTD(1)),
  success        Nullable(Bool)         CODEC(ZSTD(1)),
  source         LowCardinality(String),
  actor          LowCardinality(String),
  node           LowCardinality(String),
  ingested_at    DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree(received)
ORDER BY (about, target, id)
SETTINGS non_replicated_deduplication_window = 10000;
-- What is to be counted: of the statements about a target that say whether it succeeded, the newest.
CREATE VIEW IF NOT EXISTS feedback_verdicts AS
SELECT
  f.about AS about,
  f.target AS target,
  argMax(f.success, (f.ts, f.received, f.id)) AS success
FROM feedback AS f FINAL
WHERE f.success IS NOT NULL
GROUP BY about, target;
