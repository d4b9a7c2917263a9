-- What our own count makes of a call whose provider reported its usage; NULL: not counted.
ALTER TABLE calls ADD COLUMN IF NOT EXISTS
  counted_input_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)) AFTER socket_id;
ALTER TABLE calls ADD COLUMN IF NOT EXISTS
  counted_output_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)) AFTER counted_input_tokens;
-- A view has the columns that its table had when it was made.
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
