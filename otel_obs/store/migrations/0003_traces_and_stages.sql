-- Traces (runs and cycles) and their stages, derived from otel_traces. Total functions, as in 0002.

CREATE TABLE IF NOT EXISTS traces
(
    service LowCardinality(String) CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    parent_span_id String CODEC(ZSTD(1)),
    environment LowCardinality(String) CODEC(ZSTD(1)),
    strategy LowCardinality(String) CODEC(ZSTD(1)),
    symbol LowCardinality(String) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    project LowCardinality(String) CODEC(ZSTD(1)),
    intent LowCardinality(String) CODEC(ZSTD(1)),
    domain LowCardinality(String) CODEC(ZSTD(1)),
    query String CODEC(ZSTD(1)),
    evidence String CODEC(ZSTD(1)),
    output String CODEC(ZSTD(1)),
    score Nullable(Float64) CODEC(ZSTD(1)),
    score_max Nullable(Float64) CODEC(ZSTD(1)),
    passed Nullable(Bool),
    principles String CODEC(ZSTD(1)),
    gaps Array(String) CODEC(ZSTD(1)),
    idle_reason LowCardinality(String) CODEC(ZSTD(1)),
    status LowCardinality(String) CODEC(ZSTD(1)),
    error String CODEC(ZSTD(1)),
    duration_ns UInt64 CODEC(ZSTD(1)),
    defects Array(String) CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta(4), ZSTD(1)),
    derivation UInt16 DEFAULT 1 CODEC(ZSTD(1)),
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_span span_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree(derivation)
PARTITION BY toMonday(timestamp)
PRIMARY KEY (service, toStartOfHour(timestamp), timestamp)
ORDER BY (service, toStartOfHour(timestamp), timestamp, trace_id, span_id)
TTL ingested_at + toIntervalDay(730)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS traces_from_otel_traces TO traces AS
WITH
    SpanAttributes AS a,
    toFloat64OrNull(a['trace.score']) AS score_value,
    toFloat64OrNull(a['trace.score_max']) AS score_max_value,
    lower(a['trace.passed']) AS passed_word,
    ['trace.evidence', 'trace.output', 'trace.principles'] AS maps
SELECT
    ServiceName AS service,
    Timestamp AS timestamp,
    TraceId AS trace_id,
    SpanId AS span_id,
    ParentSpanId AS parent_span_id,
    ResourceAttributes['deployment.environment.name'] AS environment,
    a['strategy.name'] AS strategy,
    a['instrument.symbol'] AS symbol,
    a['trace.name'] AS name,
    a['trace.project'] AS project,
    a['trace.intent'] AS intent,
    a['trace.domain'] AS domain,
    a['trace.query'] AS query,
    if(isValidJSON(a['trace.evidence']), a['trace.evidence'], '') AS evidence,
    if(isValidJSON(a['trace.output']), a['trace.output'], '') AS output,
    if(isFinite(ifNull(score_value, nan)), score_value, NULL) AS score,
    if(isFinite(ifNull(score_max_value, nan)), score_max_value, NULL) AS score_max,
    multiIf(passed_word IN ('true', '1'), true, passed_word IN ('false', '0'), false, NULL) AS passed,
    if(isValidJSON(a['trace.principles']), a['trace.principles'], '') AS principles,
    JSONExtract(a['trace.gaps'], 'Array(String)') AS gaps,
    a['trace.idle_reason'] AS idle_reason,
    if(StatusCode = 'Error', 'failed', 'complete') AS status,
    StatusMessage AS error,
    Duration AS duration_ns,
    arrayConcat(
        JSONExtract(a['otel_obs.defects'], 'Array(String)'),
        arrayFilter(text -> text != '', [
            if(TraceId = '' OR SpanId = '', 'trace or span id is missing', ''),
            if(a['trace.score'] != '' AND NOT isFinite(ifNull(score_value, nan)), 'trace.score cannot be read', ''),
            if(a['trace.score_max'] != '' AND NOT isFinite(ifNull(score_max_value, nan)), 'trace.score_max cannot be read', ''),
            if(passed_word NOT IN ('', 'true', 'false', '1', '0'), 'trace.passed cannot be read', ''),
            multiIf(
                a['trace.gaps'] = '' OR JSONType(a['trace.gaps']) = 'Array', '',
                isValidJSON(a['trace.gaps']), 'trace.gaps cannot be read',
                'trace.gaps is no JSON')
        ]),
        arrayMap(
            key -> concat(key, ' is no JSON'),
            arrayFilter(key -> a[key] != '' AND NOT isValidJSON(a[key]), maps))) AS defects
FROM otel_traces
WHERE mapContains(SpanAttributes, 'trace.name');

CREATE TABLE IF NOT EXISTS stages
(
    service LowCardinality(String) CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    parent_span_id String CODEC(ZSTD(1)),
    environment LowCardinality(String) CODEC(ZSTD(1)),
    symbol LowCardinality(String) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    evidence String CODEC(ZSTD(1)),
    output String CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    input_tokens Nullable(UInt64) CODEC(ZSTD(1)),
    output_tokens Nullable(UInt64) CODEC(ZSTD(1)),
    status LowCardinality(String) CODEC(ZSTD(1)),
    error String CODEC(ZSTD(1)),
    duration_ns UInt64 CODEC(ZSTD(1)),
    defects Array(String) CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta(4), ZSTD(1)),
    derivation UInt16 DEFAULT 1 CODEC(ZSTD(1)),
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree(derivation)
PARTITION BY toMonday(timestamp)
PRIMARY KEY (service, toStartOfHour(timestamp), timestamp)
ORDER BY (service, toStartOfHour(timestamp), timestamp, trace_id, span_id)
TTL ingested_at + toIntervalDay(730)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS stages_from_otel_traces TO stages AS
WITH
    SpanAttributes AS a,
    ['gen_ai.usage.input_tokens', 'gen_ai.usage.output_tokens'] AS counts
SELECT
    ServiceName AS service,
    Timestamp AS timestamp,
    TraceId AS trace_id,
    SpanId AS span_id,
    ParentSpanId AS parent_span_id,
    ResourceAttributes['deployment.environment.name'] AS environment,
    a['instrument.symbol'] AS symbol,
    a['stage.name'] AS name,
    if(isValidJSON(a['stage.evidence']), a['stage.evidence'], '') AS evidence,
    if(isValidJSON(a['stage.output']), a['stage.output'], '') AS output,
    a['gen_ai.request.model'] AS model,
    toUInt64OrNull(a['gen_ai.usage.input_tokens']) AS input_tokens,
    toUInt64OrNull(a['gen_ai.usage.output_tokens']) AS output_tokens,
    if(StatusCode = 'Error', 'failed', 'complete') AS status,
    StatusMessage AS error,
    Duration AS duration_ns,
    arrayConcat(
        JSONExtract(a['otel_obs.defects'], 'Array(String)'),
        arrayMap(
            key -> concat(key, ' is no JSON'),
            arrayFilter(key -> a[key] != '' AND NOT isValidJSON(a[key]), ['stage.evidence', 'stage.output'])),
        arrayMap(
            key -> concat(key, ' cannot be read'),
            arrayFilter(key -> a[key] != '' AND isNull(toUInt64OrNull(a[key])), counts))) AS defects
FROM otel_traces
WHERE mapContains(SpanAttributes, 'stage.name');
