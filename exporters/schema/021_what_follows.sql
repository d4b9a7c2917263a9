-- Rows leave out what follows from the rest of the row: trace and span, where they are those of the call
-- id, and most of a receipt (exporters/receipt.py).  Nothing is filled in: versions write side by side,
-- and rows from before have all of it.
-- `trace` and `span` are the real ids of old and new rows.
ALTER TABLE calls ADD COLUMN IF NOT EXISTS
  trace String ALIAS if(empty(trace_id), lower(hex(substring(SHA256(toString(call_id)), 1, 16))), trace_id) AFTER ingested_at;
ALTER TABLE calls ADD COLUMN IF NOT EXISTS
  span String ALIAS if(empty(span_id), lower(hex(substring(SHA256(toString(call_id)), 17, 8))), span_id) AFTER trace;
-- Of new parts, and of old ones once they are merged; until then the index of trace_id finds their calls.
ALTER TABLE calls ADD INDEX IF NOT EXISTS
  ix_own_trace if(empty(trace_id), lower(hex(substring(SHA256(toString(call_id)), 1, 16))), trace_id)
  TYPE bloom_filter(0.01) GRANULARITY 1;
-- Codecs, as in 020.  Level 9 finds more in ids that begin with the time.  Starts of hours are whole
-- multiples of an hour, so that one of them takes 5 bits of a day.
ALTER TABLE calls
  MODIFY COLUMN call_id CODEC(ZSTD(9)),
  MODIFY COLUMN response_id CODEC(ZSTD(9)),
  MODIFY COLUMN session_id CODEC(ZSTD(9)),
  MODIFY COLUMN source CODEC(ZSTD(9));
ALTER TABLE sums_1h
  MODIFY COLUMN hour CODEC(GCD, T64, ZSTD(1));
ALTER TABLE spend_15m
  MODIFY COLUMN bucket CODEC(GCD, T64, ZSTD(1));
ALTER TABLE spend_tags_15m
  MODIFY COLUMN bucket CODEC(GCD, T64, ZSTD(1));
-- Made anew for the columns above, as in 008.
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
  if(ifNull(c.revision, 0) = 0, t.saved_cache_usd, c.price.12) AS saved_cache_usd,
  if(ifNull(c.revision, 0) = 0, t.saved_batch_usd, c.price.13) AS saved_batch_usd,
  if(ifNull(c.list.2, '') = '', t.list_usd, c.list.1) AS list_usd,
  if(ifNull(c.list.2, '') = '', t.list_status, c.list.2) AS list_status
), ifNull(c.revision, 0) AS revision, t.trace AS trace, t.span AS span
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
        n.counts, n.saved_cache_usd, n.saved_batch_usd
      ),
      n.revision
    ) AS price,
    argMaxIf(tuple(n.list_usd, n.list_status), n.revision, n.list_status != '') AS list
  FROM corrections AS n
  GROUP BY ts, call_id, source
) AS c ON t.ts = c.ts AND t.call_id = c.call_id AND t.source = c.source;
