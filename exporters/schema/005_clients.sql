-- The SDK or agent that made a call, `name/version`: a column, and a dimension of the hourly rollup.
-- Rows from before have ''.  The views of the rollup are made anew: MODIFY QUERY would change the
-- identity by which the engine knows a repeated batch, not at once but at its next restart.  A batch
-- that was written just before this and is sent again just after may count twice in the rollup, and one
-- that an older version writes between the two statements not at all; `taximeter store check --repair`
-- mends both.
ALTER TABLE calls ADD COLUMN IF NOT EXISTS
  client LowCardinality(String) AFTER counts;
ALTER TABLE corrections ADD COLUMN IF NOT EXISTS
  client LowCardinality(String) AFTER error_type;
ALTER TABLE calls_1h ADD COLUMN IF NOT EXISTS
  client LowCardinality(String) AFTER response_model,
  MODIFY ORDER BY (
    project, environment, team, feature, key_id, provider, operation, request_model, response_model,
    hour, client
  );
DROP VIEW IF EXISTS calls_1h_mv;
CREATE MATERIALIZED VIEW IF NOT EXISTS calls_1h_mv TO calls_1h AS
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
  t.client AS client,
  count() AS calls,
  countIf(t.outcome != 'ok') AS errors,
  countIf(t.cost_usd IS NULL) AS unpriced_calls,
  countIf(t.cost_status IN ('estimated', 'partial')) AS inexact_calls,
  sum(t.input_tokens_total) AS input_tokens_total,
  sum(t.output_tokens_total) AS output_tokens_total,
  sum(t.cache_read_tokens) AS cache_read_tokens,
  sum(t.cache_write_tokens) AS cache_write_tokens,
  sum(t.reasoning_tokens) AS reasoning_tokens,
  sum(t.cost_usd) AS cost_usd,
  sum(t.cost_input_usd) AS cost_input_usd,
  sum(t.cost_output_usd) AS cost_output_usd,
  sum(t.cost_cache_read_usd) AS cost_cache_read_usd,
  sum(t.cost_cache_write_usd) AS cost_cache_write_usd,
  sum(t.cost_other_usd) AS cost_other_usd,
  sum(t.reported_usd) AS reported_usd,
  quantilesDDState(0.01, 0.5, 0.95, 0.99)(t.duration_us) AS duration_q,
  quantilesDDState(0.01, 0.5, 0.95, 0.99)(t.first_token_us) AS first_token_q,
  uniqCombinedState(12)(t.user_id) AS users
FROM calls AS t
GROUP BY
  hour, project, environment, team, feature, key_id, provider, operation, request_model,
  response_model, client;
DROP VIEW IF EXISTS corrections_1h_mv;
CREATE MATERIALIZED VIEW IF NOT EXISTS corrections_1h_mv TO calls_1h AS
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
  t.client AS client,
  toUInt64(0) AS calls,
  countIf(t.cost_usd IS NULL) - countIf(t.old_cost_usd IS NULL) AS unpriced_calls,
  countIf(t.cost_status IN ('estimated', 'partial'))
    - countIf(t.old_cost_status IN ('estimated', 'partial')) AS inexact_calls,
  sum(if(t.cost_usd IS NULL AND t.old_cost_usd IS NULL, NULL,
    ifNull(t.cost_usd, 0) - ifNull(t.old_cost_usd, 0))) AS cost_usd,
  sum(if(t.cost_input_usd IS NULL AND t.old_cost_input_usd IS NULL, NULL,
    ifNull(t.cost_input_usd, 0) - ifNull(t.old_cost_input_usd, 0))) AS cost_input_usd,
  sum(if(t.cost_output_usd IS NULL AND t.old_cost_output_usd IS NULL, NULL,
    ifNull(t.cost_output_usd, 0) - ifNull(t.old_cost_output_usd, 0))) AS cost_output_usd,
  sum(if(t.cost_cache_read_usd IS NULL AND t.old_cost_cache_read_usd IS NULL, NULL,
    ifNull(t.cost_cache_read_usd, 0) - ifNull(t.old_cost_cache_read_usd, 0))) AS cost_cache_read_usd,
  sum(if(t.cost_cache_write_usd IS NULL AND t.old_cost_cache_write_usd IS NULL, NULL,
    ifNull(t.cost_cache_write_usd, 0) - ifNull(t.old_cost_cache_write_usd, 0))) AS cost_cache_write_usd,
  sum(if(t.cost_other_usd IS NULL AND t.old_cost_other_usd IS NULL, NULL,
    ifNull(t.cost_other_usd, 0) - ifNull(t.old_cost_other_usd, 0))) AS cost_other_usd
FROM corrections AS t
GROUP BY
  hour, project, environment, team, feature, key_id, provider, operation, request_model,
  response_model, client;
-- Its columns are those that `calls` had when it was made.
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
  if(ifNull(c.revision, 0) = 0, t.counts, c.price.11) AS counts
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
    ) AS price
  FROM corrections AS n
  GROUP BY ts, call_id, source
) AS c ON t.ts = c.ts AND t.call_id = c.call_id AND t.source = c.source;
