-- Tamper evidence: one Merkle tree for each data directory, over rows, contents and audit entries.
-- A leaf commits to a row by an HMAC under a random nonce.  It has no age limit and outlives the row;
-- row and nonce are erased together.  See exporters.evidence.leaf for what is hashed.
CREATE TABLE IF NOT EXISTS leaves (
  tree         UUID                   CODEC(ZSTD(1)),
  number       UInt64                 CODEC(Delta(8), ZSTD(1)),
  kind         LowCardinality(String),
  form         UInt16                 CODEC(ZSTD(1)),
  ts           DateTime64(6, 'UTC')   CODEC(Delta(8), ZSTD(1)),
  call_id      UUID                   CODEC(ZSTD(1)),
  source       String                 CODEC(ZSTD(1)),
  revision     UInt32                 CODEC(ZSTD(1)),
  row_mac      String                 CODEC(NONE),
  content_mac  String                 CODEC(NONE),
  INDEX ix_call  call_id  TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX ix_ts    ts       TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (tree, number)
SETTINGS non_replicated_deduplication_window = 10000;
-- What opens the leaf: without its nonce, no value of the row can be guessed.
CREATE TABLE IF NOT EXISTS nonces (
  tree    UUID                   CODEC(ZSTD(1)),
  number  UInt64                 CODEC(Delta(8), ZSTD(1)),
  ts      DateTime64(6, 'UTC')   CODEC(Delta(8), ZSTD(1)),
  nonce   String                 CODEC(NONE)
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (tree, number)
SETTINGS old_parts_lifetime = 60, non_replicated_deduplication_window = 10000;
-- Which leaves' rows were deleted on purpose, and by which deletion: its entry in the audit log has
-- the number of them and a digest.
CREATE TABLE IF NOT EXISTS erased (
  deletion  UUID    CODEC(ZSTD(1)),
  tree      UUID    CODEC(ZSTD(1)),
  number    UInt64  CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (tree, number)
SETTINGS non_replicated_deduplication_window = 10000;
