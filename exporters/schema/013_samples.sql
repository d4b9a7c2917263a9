-- How we are, every ten seconds, for who has no Prometheus: one row for each meter.  Counters grow until
-- the relay or the meter whose they are is gone; journal_bytes is the size of the fullest journal.
CREATE TABLE IF NOT EXISTS node_samples (
  ts                 DateTime64(3, 'UTC')   CODEC(Delta(8), ZSTD(1)),
  node               LowCardinality(String),
  uptime_s           Float64                CODEC(ZSTD(1)),
  health             LowCardinality(String),
  alerts             Array(LowCardinality(String)) CODEC(ZSTD(1)),
  calls_begun        UInt64                 CODEC(T64, ZSTD(1)),
  calls_ended        UInt64                 CODEC(T64, ZSTD(1)),
  calls_lost         UInt64                 CODEC(T64, ZSTD(1)),
  frames_dropped     UInt64                 CODEC(T64, ZSTD(1)),
  metered            UInt64                 CODEC(T64, ZSTD(1)),
  open_calls         UInt64                 CODEC(T64, ZSTD(1)),
  failed             UInt64                 CODEC(T64, ZSTD(1)),
  waiting            UInt64                 CODEC(T64, ZSTD(1)),
  lag_s              Float64                CODEC(ZSTD(1)),
  delivered          UInt64                 CODEC(T64, ZSTD(1)),
  set_aside          UInt64                 CODEC(T64, ZSTD(1)),
  retries            UInt64                 CODEC(T64, ZSTD(1)),
  journal_bytes      UInt64                 CODEC(T64, ZSTD(1)),
  journal_bytes_max  UInt64                 CODEC(T64, ZSTD(1)),
  loop_lag_p99_us    Nullable(UInt64)       CODEC(T64, ZSTD(1)),
  memory_bytes       UInt64                 CODEC(T64, ZSTD(1)),
  cpu_s              Float64                CODEC(ZSTD(1)),
  ingested_at        DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (node, ts)
TTL toDateTime(ts) + INTERVAL 30 DAY DELETE
SETTINGS non_replicated_deduplication_window = 10000;
-- What budgets held, minute by minute: one row for each budget and key, the fullest keys of each budget.
-- Amounts are in `unit`; NULL is unknown, or that there is no limit.
CREATE TABLE IF NOT EXISTS budget_samples (
  ts             DateTime64(3, 'UTC')   CODEC(Delta(8), ZSTD(1)),
  node           LowCardinality(String),
  budget         LowCardinality(String),
  key            String                 CODEC(ZSTD(1)),
  unit           LowCardinality(String),
  state          LowCardinality(String),
  action         LowCardinality(String),
  window_start   DateTime64(3, 'UTC')   CODEC(Delta(8), ZSTD(1)),
  window_end     Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
  limit_amount   Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  spent          Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  counted        Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  reserved       Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  forecast       Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  forecast_low   Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  forecast_high  Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
  unknown_calls  UInt64                 CODEC(T64, ZSTD(1)),
  refused_calls  UInt64                 CODEC(T64, ZSTD(1)),
  alerts         Array(LowCardinality(String)) CODEC(ZSTD(1)),
  ingested_at    DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (budget, key, ts)
TTL toDateTime(ts) + INTERVAL 400 DAY DELETE
SETTINGS non_replicated_deduplication_window = 10000;
