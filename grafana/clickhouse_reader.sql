-- A read-only ClickHouse user, for Grafana and for `taximeter report` on other machines.
--
--   clickhouse-client --multiquery < grafana/clickhouse_reader.sql
--
-- Choose a password first.  `taximeter` below is store.database.  On a cluster, add ON CLUSTER to all
-- three statements; only there do the tables named *_local exist.  The user cannot write to any table:
-- readonly = 1 forbids it, and so does the grant.

CREATE SETTINGS PROFILE IF NOT EXISTS taximeter_reader SETTINGS
    readonly = 1,
    -- Grafana's ClickHouse plugin sets this with every query and fails if it may not.
    max_execution_time = 60 CHANGEABLE_IN_READONLY,
    max_result_rows = 1000000,
    max_memory_usage = 4000000000,
    -- Taximeter needs these to read exact decimals as text.  A read-only user may not set them itself.
    date_time_output_format = 'iso',
    output_format_json_quote_decimals = 1,
    output_format_json_quote_64bit_integers = 0,
    output_format_json_quote_denormals = 0,
    output_format_decimal_trailing_zeros = 0;

CREATE USER IF NOT EXISTS taximeter_reader
    IDENTIFIED WITH sha256_password BY 'choose a password'
    SETTINGS PROFILE 'taximeter_reader';

-- Table by table, to leave out `contents`, which holds captured prompts and answers, `audit`, which
-- holds who changed what, and `leaves`, `nonces` and `erased`, which show that nothing was changed.
GRANT
    SELECT ON taximeter.calls,
    SELECT ON taximeter.corrections,
    SELECT ON taximeter.priced_calls,
    SELECT ON taximeter.sockets,
    SELECT ON taximeter.refusals,
    SELECT ON taximeter.call_sums,
    SELECT ON taximeter.sums_1h,
    SELECT ON taximeter.usage_1h,
    SELECT ON taximeter.latency_1h,
    SELECT ON taximeter.quantities_1h,
    SELECT ON taximeter.counts_1h,
    SELECT ON taximeter.spend_15m,
    SELECT ON taximeter.spend_tags_15m,
    SELECT ON taximeter.meters,
    SELECT ON taximeter.told_alerts,
    SELECT ON taximeter.eval_runs,
    SELECT ON taximeter.eval_results,
    SELECT ON taximeter.feedback,
    SELECT ON taximeter.feedback_verdicts,
    SELECT ON taximeter.node_samples,
    SELECT ON taximeter.budget_samples,
    SELECT ON taximeter.trace_ts,
    SELECT ON taximeter.schema_files,
    SELECT ON taximeter.calls_local,
    SELECT ON taximeter.corrections_local,
    SELECT ON taximeter.priced_calls_local,
    SELECT ON taximeter.sockets_local,
    SELECT ON taximeter.refusals_local,
    SELECT ON taximeter.call_sums_local,
    SELECT ON taximeter.sums_1h_local,
    SELECT ON taximeter.usage_1h_local,
    SELECT ON taximeter.latency_1h_local,
    SELECT ON taximeter.quantities_1h_local,
    SELECT ON taximeter.counts_1h_local,
    SELECT ON taximeter.spend_15m_local,
    SELECT ON taximeter.spend_tags_15m_local,
    SELECT ON taximeter.meters_local,
    SELECT ON taximeter.told_alerts_local,
    SELECT ON taximeter.eval_runs_local,
    SELECT ON taximeter.eval_results_local,
    SELECT ON taximeter.feedback_local,
    SELECT ON taximeter.feedback_verdicts_local,
    SELECT ON taximeter.node_samples_local,
    SELECT ON taximeter.budget_samples_local,
    SELECT ON taximeter.trace_ts_local,
    SELECT ON taximeter.schema_files_local
TO taximeter_reader;
