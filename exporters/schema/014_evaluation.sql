-- Evaluations: a row for each run of a suite, and one for each answer that was judged.  The columns
-- are the fields of exporters.evaluation.  A row is written again as its run goes on: the newest
-- stays.  What an answer cost and how long it took is in `calls`, whose tags eval-run, eval-case,
-- eval-model and eval-sample name it.  Neither table has prompts or answers, or an age limit.
CREATE TABLE IF NOT EXISTS eval_runs (
  ts             DateTime64(6, 'UTC')   CODEC(Delta(8), ZSTD(1)),
  run_id         String                 CODEC(ZSTD(1)),
  updated        DateTime64(6, 'UTC')   CODEC(Delta(8), ZSTD(1)),
  state          LowCardinality(String),
  suite          LowCardinality(String),
  suite_version  LowCardinality(String),
  models         Array(LowCardinality(String)) CODEC(ZSTD(1)),
  samples        UInt32                 CODEC(ZSTD(1)),
  judge          LowCardinality(String),
  cases          UInt32                 CODEC(ZSTD(1)),
  hidden_cases   UInt32                 CODEC(ZSTD(1)),
  quote_usd      Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  max_usd        Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  origin         LowCardinality(String),
  node           LowCardinality(String),
  ingested_at    DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree(updated)
ORDER BY run_id
SETTINGS non_replicated_deduplication_window = 10000;
CREATE TABLE IF NOT EXISTS eval_results (
  ts             DateTime64(6, 'UTC')   CODEC(Delta(8), ZSTD(1)),
  run_id         String                 CODEC(ZSTD(1)),
  model          LowCardinality(String),
  case_id        String                 CODEC(ZSTD(1)),
  sample         UInt32                 CODEC(ZSTD(1)),
  case_version   String                 CODEC(ZSTD(1)),
  cluster        String                 CODEC(ZSTD(1)),
  task           LowCardinality(String),
  hidden         Bool,
  weight         Float64                CODEC(ZSTD(1)),
  status         LowCardinality(String),
  reason         String                 CODEC(ZSTD(1)),
  checks         String                 CODEC(ZSTD(3)),
  contaminated   Bool,
  attempts       UInt32                 CODEC(ZSTD(1)),
  error_type     LowCardinality(String),
  cost_usd       Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  judge_usd      Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  duration_us    Nullable(UInt64)       CODEC(T64, ZSTD(1)),
  ingested_at    DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree(ts)
ORDER BY (run_id, model, case_id, sample)
SETTINGS non_replicated_deduplication_window = 10000;
