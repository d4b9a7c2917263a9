-- What a call would cost at list price: by the shipped tariffs alone, without a plan and without the
-- user's own prices.  It is never added to cost_usd.  Rows from before have NULL and '', and are not in
-- listed_calls: so nothing has to be filled in, and repricing gives them their list price.
-- A correction by an older version has list_status '' and leaves the list price as it was.
-- credential_kind is the kind of the caller's credential, from a closed list; '' was not noted.
ALTER TABLE calls ADD COLUMN IF NOT EXISTS
  credential_kind LowCardinality(String) AFTER counts;
ALTER TABLE calls ADD COLUMN IF NOT EXISTS
  list_usd Nullable(Decimal(38, 18)) CODEC(ZSTD(1)) AFTER credential_kind;
ALTER TABLE calls ADD COLUMN IF NOT EXISTS
  list_status LowCardinality(String) AFTER list_usd;
ALTER TABLE corrections ADD COLUMN IF NOT EXISTS
  old_list_usd Nullable(Decimal(38, 18)) CODEC(ZSTD(1)) AFTER counts;
ALTER TABLE corrections ADD COLUMN IF NOT EXISTS
  old_list_status LowCardinality(String) AFTER old_list_usd;
ALTER TABLE corrections ADD COLUMN IF NOT EXISTS
  list_usd Nullable(Decimal(38, 18)) CODEC(ZSTD(1)) AFTER old_list_status;
ALTER TABLE corrections ADD COLUMN IF NOT EXISTS
  list_status LowCardinality(String) AFTER list_usd;
ALTER TABLE calls_1m ADD COLUMN IF NOT EXISTS
  listed_calls SimpleAggregateFunction(sum, UInt64) AFTER cost_usd;
ALTER TABLE calls_1m ADD COLUMN IF NOT EXISTS
  list_inexact_calls SimpleAggregateFunction(sum, UInt64) AFTER listed_calls;
ALTER TABLE calls_1m ADD COLUMN IF NOT EXISTS
  list_usd SimpleAggregateFunction(sum, Nullable(Decimal(38, 18))) AFTER list_inexact_calls;
ALTER TABLE calls_1h ADD COLUMN IF NOT EXISTS
  listed_calls SimpleAggregateFunction(sum, UInt64) AFTER reported_usd;
ALTER TABLE calls_1h ADD COLUMN IF NOT EXISTS
  list_inexact_calls SimpleAggregateFunction(sum, UInt64) AFTER listed_calls;
ALTER TABLE calls_1h ADD COLUMN IF NOT EXISTS
  list_usd SimpleAggregateFunction(sum, Nullable(Decimal(38, 18))) AFTER list_inexact_calls;
-- The rollups get list prices through views of their own.  MODIFY QUERY of the existing ones would
-- change the identity by which the engine knows a repeated batch, until it is restarted: one that is
-- sent again across that moment would count twice.
CREATE MATERIALIZED VIEW IF NOT EXISTS list_1m_mv TO calls_1m AS
SELECT
  toStartOfMinute(t.ts) AS minute,
  t.project AS project,
  t.environment AS environment,
  t.provider AS provider,
  t.request_model AS request_model,
  t.response_model AS response_model,
  t.outcome AS outcome,
  t.error_type AS error_type,
  toUInt64(0) AS calls,
  countIf(t.list_usd IS NOT NULL) AS listed_calls,
  countIf(t.list_status IN ('estimated', 'partial')) AS list_inexact_calls,
  sum(t.list_usd) AS list_usd
FROM calls AS t
GROUP BY
  minute, project, environment, provider, request_model, response_model, outcome, error_type;

CREATE MATERIALIZED VIEW IF NOT EXISTS list_1h_mv TO calls_1h AS
SELECT
  toStartOfHour(t.ts) AS hour,
  t.project AS project,
  t.environment AS environment,
  t.team AS team,
  t.feature AS feature,
  t.key_id AS key_id,
  t.provider AS provider,
  t.operation AS operation,
  t.request_model AS request_model,
  t.response_model AS response_model,
  toUInt64(0) AS calls,
  countIf(t.list_usd IS NOT NULL) AS listed_calls,
  countIf(t.list_status IN ('estimated', 'partial')) AS list_inexact_calls,
  sum(t.list_usd) AS list_usd
FROM calls AS t
GROUP BY
  hour, project, environment, team, feature, key_id, provider, operation, request_model,
  response_model;

CREATE MATERIALIZED VIEW IF NOT EXISTS corrections_list_1m_mv TO calls_1m AS
SELECT
  toStartOfMinute(t.ts) AS minute,
  t.project AS project,
  t.environment AS environment,
  t.provider AS provider,
  t.request_model AS request_model,
  t.response_model AS response_model,
  t.outcome AS outcome,
  t.error_type AS error_type,
  toUInt64(0) AS calls,
  countIf(t.list_usd IS NOT NULL) - countIf(t.old_list_usd IS NOT NULL) AS listed_calls,
  countIf(t.list_status IN ('estimated', 'partial'))
    - countIf(t.old_list_status IN ('estimated', 'partial')) AS list_inexact_calls,
  sum(if(t.list_usd IS NULL AND t.old_list_usd IS NULL, NULL,
    ifNull(t.list_usd, 0) - ifNull(t.old_list_usd, 0))) AS list_usd
FROM corrections AS t
GROUP BY
  minute, project, environment, provider, request_model, response_model, outcome, error_type;

CREATE MATERIALIZED VIEW IF NOT EXISTS corrections_list_1h_mv TO calls_1h AS
SELECT
  toStartOfHour(t.ts) AS hour,
  t.project AS project,
  t.environment AS environment,
  t.team AS team,
  t.feature AS feature,
  t.key_id AS key_id,
  t.provider AS provider,
  t.operation AS operation,
  t.request_model AS request_model,
  t.response_model AS response_model,
  toUInt64(0) AS calls,
  countIf(t.list_usd IS NOT NULL) - countIf(t.old_list_usd IS NOT NULL) AS listed_calls,
  countIf(t.list_status IN ('estimated', 'partial'))
    - countIf(t.old_list_status IN ('estimated', 'partial')) AS list_inexact_calls,
  sum(if(t.list_usd IS NULL AND t.old_list_usd IS NULL, NULL,
    ifNull(t.list_usd, 0) - ifNull(t.old_list_usd, 0))) AS list_usd
FROM corrections AS t
GROUP BY
  hour, project, environment, team, feature, key_id, provider, operation, request_model,
  response_model;
