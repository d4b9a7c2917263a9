-- What our own count makes of a call whose provider reported its usage; NULL: not counted.
ALTER TABLE calls ADD COLUMN IF NOT EXISTS
  counted_input_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)) AFTER socket_id;
ALTER TABLE calls ADD COLUMN IF NOT EXISTS
  counted_output_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)) AFTER counted_input_tokens;
-- How many of the inexact calls are lower bounds, which decides how a sum is marked.  Views of
-- their own, for the few calls that are: what calls_1h_mv selects stays as it is.  Hours before
-- this file have 0, and their inexact calls count as estimates.
ALTER TABLE calls_1h ADD COLUMN IF NOT EXISTS
  partial_calls SimpleAggregateFunction(sum, UInt64) AFTER inexact_calls;
CREATE MATERIALIZED VIEW IF NOT EXISTS partial_1h_mv TO calls_1h AS
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
  countIf(t.cost_status = 'partial') AS partial_calls
FROM calls AS t
GROUP BY
  hour, project, environment, team, feature, key_id, provider, operation, request_model,
  response_model
HAVING partial_calls != 0;
CREATE MATERIALIZED VIEW IF NOT EXISTS corrections_partial_1h_mv TO calls_1h AS
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
  countIf(t.cost_status = 'partial') - countIf(t.old_cost_status = 'partial') AS partial_calls
FROM corrections AS t
GROUP BY
  hour, project, environment, team, feature, key_id, provider, operation, request_model,
  response_model
HAVING partial_calls != 0;
