-- A bot's health at one moment, from otel_logs; columns bear the audit's names. Total functions, as in 0002.
-- Retention follows the trigger: each 5 minutes 24 h, each hour and on change 7 days, each day (and what is unknown) 365.

CREATE TABLE IF NOT EXISTS health_snapshots
(
    service LowCardinality(String) CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    snapshot_trigger LowCardinality(String) CODEC(ZSTD(1)),
    instance String CODEC(ZSTD(1)),
    record_hash UInt128 CODEC(ZSTD(1)),
    environment LowCardinality(String) CODEC(ZSTD(1)),
    uptime_sec Nullable(Float64) CODEC(ZSTD(1)),
    error_rate_15m Nullable(Float64) CODEC(ZSTD(1)),
    order_reject_rate_1h Nullable(Float64) CODEC(ZSTD(1)),
    executed_1h Nullable(UInt64) CODEC(ZSTD(1)),
    vetoed_1h Nullable(UInt64) CODEC(ZSTD(1)),
    held_1h Nullable(UInt64) CODEC(ZSTD(1)),
    failed_1h Nullable(UInt64) CODEC(ZSTD(1)),
    vetoes_1h String CODEC(ZSTD(1)),
    throttle_events_1h Nullable(UInt64) CODEC(ZSTD(1)),
    ws_staleness_ms Nullable(Float64) CODEC(ZSTD(1)),
    funding_staleness_sec Nullable(Float64) CODEC(ZSTD(1)),
    last_market_update_ms Nullable(UInt64) CODEC(ZSTD(1)),
    market_data_gap_max_ms_1h Nullable(Float64) CODEC(ZSTD(1)),
    ws_reconnect_count_1h Nullable(UInt64) CODEC(ZSTD(1)),
    heartbeat_age_sec Nullable(Float64) CODEC(ZSTD(1)),
    event_loop_lag_max_ms_5m Nullable(Float64) CODEC(ZSTD(1)),
    sources String CODEC(ZSTD(1)),
    defects Array(String) CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta(4), ZSTD(1)),
    derivation UInt16 DEFAULT 1 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(derivation)
PARTITION BY toMonday(timestamp)
ORDER BY (service, timestamp, snapshot_trigger, instance, record_hash)
TTL ingested_at + toIntervalDay(365),
    ingested_at + toIntervalDay(1) DELETE WHERE snapshot_trigger = 'periodic_5m',
    ingested_at + toIntervalDay(7) DELETE WHERE snapshot_trigger IN ('periodic_1h', 'on_change')
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS health_snapshots_from_otel_logs TO health_snapshots AS
WITH
    LogAttributes AS a,
    [
        'health.uptime_sec', 'health.error_rate_15m', 'health.order_reject_rate_1h', 'health.ws_staleness_ms',
        'health.funding_staleness_sec', 'health.market_data_gap_max_ms_1h', 'health.heartbeat_age_sec',
        'health.event_loop_lag_max_ms_5m'
    ] AS measured,
    arrayMap(
        key -> if(isFinite(ifNull(toFloat64OrNull(a[key]), nan)), toFloat64OrNull(a[key]), NULL), measured) AS measures,
    [
        'health.executed_1h', 'health.vetoed_1h', 'health.held_1h', 'health.failed_1h', 'health.throttle_events_1h',
        'health.last_market_update_ms', 'health.ws_reconnect_count_1h'
    ] AS counted,
    arrayMap(key -> toUInt64OrNull(a[key]), counted) AS counts,
    ['health.vetoes_1h', 'health.sources'] AS maps
SELECT
    ServiceName AS service,
    Timestamp AS timestamp,
    a['health.snapshot_trigger'] AS snapshot_trigger,
    ResourceAttributes['service.instance.id'] AS instance,
    record_hash,
    ResourceAttributes['deployment.environment.name'] AS environment,
    measures[1] AS uptime_sec,
    measures[2] AS error_rate_15m,
    measures[3] AS order_reject_rate_1h,
    counts[1] AS executed_1h,
    counts[2] AS vetoed_1h,
    counts[3] AS held_1h,
    counts[4] AS failed_1h,
    if(isValidJSON(a['health.vetoes_1h']), a['health.vetoes_1h'], '') AS vetoes_1h,
    counts[5] AS throttle_events_1h,
    measures[4] AS ws_staleness_ms,
    measures[5] AS funding_staleness_sec,
    counts[6] AS last_market_update_ms,
    measures[6] AS market_data_gap_max_ms_1h,
    counts[7] AS ws_reconnect_count_1h,
    measures[7] AS heartbeat_age_sec,
    measures[8] AS event_loop_lag_max_ms_5m,
    if(isValidJSON(a['health.sources']), a['health.sources'], '') AS sources,
    arrayConcat(
        JSONExtract(a['otel_obs.defects'], 'Array(String)'),
        arrayMap(
            key -> concat(key, ' cannot be read'),
            arrayConcat(
                arrayFilter((key, measure) -> a[key] != '' AND isNull(measure), measured, measures),
                arrayFilter((key, number) -> a[key] != '' AND isNull(number), counted, counts))),
        arrayMap(key -> concat(key, ' is no JSON'), arrayFilter(key -> a[key] != '' AND NOT isValidJSON(a[key]), maps)),
        if(a['health.snapshot_trigger'] = '', ['health.snapshot_trigger is missing'], [])) AS defects
FROM otel_logs
WHERE EventName = 'health_snapshot' OR LogAttributes['event.name'] = 'health_snapshot';
