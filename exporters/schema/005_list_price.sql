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
