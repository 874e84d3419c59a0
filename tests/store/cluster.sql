CREATE DATABASE IF NOT EXISTS otel ON CLUSTER 'pair' ENGINE = Atomic;

CREATE TABLE IF NOT EXISTS otel.schema_migrations ON CLUSTER 'pair'
(
    version UInt32,
    name String,
    sha256 String,
    applied_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all_shards/{database}/{table}', '{shard}_{replica}')
ORDER BY version;

-- 0001_raw.sql
CREATE TABLE IF NOT EXISTS otel.otel_traces_local ON CLUSTER 'pair'
(
    Timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)),
    TraceState String CODEC(ZSTD(1)),
    SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(ZSTD(1)),
    StatusCode LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage String CODEC(ZSTD(1)),
    Events Nested
    (
        Timestamp DateTime64(9, 'UTC'),
        Name LowCardinality(String),
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    Links Nested
    (
        TraceId String,
        SpanId String,
        TraceState String,
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta(4), ZSTD(1)),
    INDEX by_trace TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_span SpanId TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toMonday(Timestamp)
PRIMARY KEY (ServiceName, toStartOfHour(Timestamp), Timestamp)
ORDER BY (ServiceName, toStartOfHour(Timestamp), Timestamp, TraceId, SpanId)
TTL ingested_at + toIntervalDay(90)
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS otel.otel_traces ON CLUSTER 'pair' AS otel.otel_traces_local
ENGINE = Distributed('pair', 'otel', 'otel_traces_local', cityHash64(TraceId))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

CREATE TABLE IF NOT EXISTS otel.otel_traces_trace_id_ts_local ON CLUSTER 'pair'
(
    TraceId String CODEC(ZSTD(1)),
    Start DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    End DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta(4), ZSTD(1)),
    INDEX by_trace TraceId TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toMonday(Start)
ORDER BY (TraceId, Start, End)
TTL ingested_at + toIntervalDay(90)
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS otel.otel_traces_trace_id_ts ON CLUSTER 'pair' AS otel.otel_traces_trace_id_ts_local
ENGINE = Distributed('pair', 'otel', 'otel_traces_trace_id_ts_local', cityHash64(TraceId))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel.otel_traces_trace_id_ts_from_otel_traces ON CLUSTER 'pair' TO otel.otel_traces_trace_id_ts_local AS
SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End
FROM otel.otel_traces_local
WHERE TraceId != ''
GROUP BY TraceId;

CREATE TABLE IF NOT EXISTS otel.otel_logs_local ON CLUSTER 'pair'
(
    Timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    TraceFlags UInt8,
    SeverityText LowCardinality(String) CODEC(ZSTD(1)),
    SeverityNumber UInt8,
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    Body String CODEC(ZSTD(1)),
    ResourceSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion LowCardinality(String) CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    LogAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    EventName String CODEC(ZSTD(1)),
    record_hash UInt128 DEFAULT reinterpretAsUInt128(sipHash128(SpanId, SeverityNumber, Body, mapSort(LogAttributes))) CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta(4), ZSTD(1)),
    INDEX by_trace TraceId TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toMonday(Timestamp)
PRIMARY KEY (ServiceName, toStartOfHour(Timestamp), Timestamp)
ORDER BY (ServiceName, toStartOfHour(Timestamp), Timestamp, TraceId, record_hash)
TTL ingested_at + toIntervalDay(90)
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS otel.otel_logs ON CLUSTER 'pair' AS otel.otel_logs_local
ENGINE = Distributed('pair', 'otel', 'otel_logs_local', cityHash64(ServiceName, Timestamp))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

INSERT INTO otel.schema_migrations (version, name, sha256) SELECT 1, '0001_raw.sql', '222443b697635b37b0b53252bf7888c3dfc19066986472cf49553ea4051e9ed2';

-- 0002_decisions.sql
CREATE TABLE IF NOT EXISTS otel.decisions_local ON CLUSTER 'pair'
(
    service LowCardinality(String) CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    parent_span_id String CODEC(ZSTD(1)),
    environment LowCardinality(String) CODEC(ZSTD(1)),
    strategy LowCardinality(String) CODEC(ZSTD(1)),
    symbol LowCardinality(String) CODEC(ZSTD(1)),
    side LowCardinality(String) CODEC(ZSTD(1)),
    what LowCardinality(String) CODEC(ZSTD(1)),
    why String CODEC(ZSTD(1)),
    confidence Nullable(Float64) CODEC(ZSTD(1)),
    alternatives String CODEC(ZSTD(1)),
    inputs String CODEC(ZSTD(1)),
    outcome LowCardinality(String) CODEC(ZSTD(1)),
    outcome_raw LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    veto_reason_primary LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    veto_reason_secondary Array(LowCardinality(String)) CODEC(ZSTD(1)),
    guard_details String CODEC(ZSTD(1)),
    veto_overridden Bool,
    order_id String CODEC(ZSTD(1)),
    error String CODEC(ZSTD(1)),
    duration_ns UInt64 CODEC(ZSTD(1)),
    gates Nested
    (
        name LowCardinality(String),
        verdict LowCardinality(Nullable(String)),
        mode LowCardinality(String),
        observed String,
        threshold String,
        comparison LowCardinality(String),
        unit LowCardinality(String),
        reason String,
        duration_ms Nullable(Float64)
    ) CODEC(ZSTD(1)),
    defects Array(String) CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta(4), ZSTD(1)),
    derivation UInt16 DEFAULT 1 CODEC(ZSTD(1)),
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_span span_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_outcome outcome TYPE set(8) GRANULARITY 4,
    INDEX by_veto veto_reason_primary TYPE set(64) GRANULARITY 4
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', derivation)
PARTITION BY toMonday(timestamp)
PRIMARY KEY (service, toStartOfHour(timestamp), timestamp)
ORDER BY (service, toStartOfHour(timestamp), timestamp, trace_id, span_id)
TTL ingested_at + toIntervalDay(730)
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS otel.decisions ON CLUSTER 'pair' AS otel.decisions_local
ENGINE = Distributed('pair', 'otel', 'decisions_local', cityHash64(trace_id))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel.decisions_from_otel_traces ON CLUSTER 'pair' TO otel.decisions_local AS
WITH
    SpanAttributes AS a,
    arrayFilter((gate, name) -> name = 'gate.evaluated', Events.Attributes, Events.Name) AS ledger,
    arrayMap(gate -> gate['gate.name'], ledger) AS names,
    arrayMap(
        gate -> nullIf(transform(
            lower(trim(BOTH ' \t\r\n' FROM gate['gate.verdict'])),
            ['pass', 'passed', 'allow', 'allowed', 'ok', 'true',
             'deny', 'denied', 'reject', 'rejected', 'block', 'blocked', 'veto', 'vetoed', 'fail', 'failed', 'false',
             'adjust', 'adjusted', 'resize', 'resized',
             'error', 'errored', 'exception'],
            ['pass', 'pass', 'pass', 'pass', 'pass', 'pass',
             'deny', 'deny', 'deny', 'deny', 'deny', 'deny', 'deny', 'deny', 'deny', 'deny', 'deny',
             'adjust', 'adjust', 'adjust', 'adjust',
             'error', 'error', 'error'],
            ''), ''),
        ledger) AS verdicts,
    arrayMap(gate -> if(lower(trim(BOTH ' \t\r\n' FROM gate['gate.mode'])) = 'shadow', 'shadow', 'enforce'), ledger) AS modes,
    arrayMap(ms -> if(isFinite(ifNull(ms, nan)), ms, NULL), arrayMap(gate -> toFloat64OrNull(gate['gate.duration_ms']), ledger)) AS durations,
    arrayFilter((gate, verdict, mode) -> ifNull(verdict = 'deny', 0) AND mode = 'enforce', ledger, verdicts, modes) AS denies,
    arrayMap(gate -> if(gate['gate.name'] = '', 'unnamed', gate['gate.name']), denies) AS denied_by,
    lower(trim(BOTH ' \t\r\n' FROM a['decision.outcome'])) AS word,
    multiIf(
        word = 'rejected', if(notEmpty(denies), 'vetoed', 'failed'),
        transform(word,
            ['executed', 'execute', 'acted', 'submitted', 'placed', 'sent', 'traded', 'filled',
             'vetoed', 'veto', 'denied', 'blocked', 'refused',
             'held', 'hold', 'skipped', 'skip', 'idle', 'none', 'no_action', 'ignored', 'pass',
             'failed', 'fail', 'failure', 'error', 'errored', 'exception'],
            ['executed', 'executed', 'executed', 'executed', 'executed', 'executed', 'executed', 'executed',
             'vetoed', 'vetoed', 'vetoed', 'vetoed', 'vetoed',
             'held', 'held', 'held', 'held', 'held', 'held', 'held', 'held', 'held',
             'failed', 'failed', 'failed', 'failed', 'failed', 'failed'],
            '')) AS meant,
    multiIf(
        meant = 'executed', 'executed',
        StatusCode = 'Error' OR has(Events.Name, 'exception') OR meant = 'failed', 'failed',
        notEmpty(denies) OR meant = 'vetoed', 'vetoed',
        'held') AS ended,
    arrayFilter((gate, n) -> n = 1, denies, arrayEnumerateUniq(denied_by)) AS first_denies,
    arrayMap(
        gate -> concat(
            toJSONString(if(gate['gate.name'] = '', 'unnamed', gate['gate.name'])),
            ':{', arrayStringConcat(arrayMap(
                key -> concat('"', substring(key, 6), '":', multiIf(
                    NOT mapContains(gate, key), if(key = 'gate.unit', '""', 'null'),
                    key = 'gate.unit', toJSONString(gate[key]),
                    isFinite(ifNull(toFloat64OrNull(gate[key]), nan)), toString(toFloat64OrNull(gate[key])),
                    startsWith(gate[key], '[') AND isValidJSON(gate[key]), gate[key],
                    toJSONString(gate[key]))),
                ['gate.observed', 'gate.threshold', 'gate.unit']), ','), '}'),
        first_denies) AS details,
    toFloat64OrNull(a['decision.confidence']) AS sure,
    ifNull(sure >= 0 AND sure <= 1, 0) AS sure_is_readable
SELECT
    ServiceName AS service,
    Timestamp AS timestamp,
    TraceId AS trace_id,
    SpanId AS span_id,
    ParentSpanId AS parent_span_id,
    ResourceAttributes['deployment.environment.name'] AS environment,
    a['strategy.name'] AS strategy,
    a['instrument.symbol'] AS symbol,
    a['order.side'] AS side,
    a['decision.what'] AS what,
    a['decision.why'] AS why,
    if(sure_is_readable, sure, NULL) AS confidence,
    if(isValidJSON(a['decision.alternatives']), a['decision.alternatives'], '') AS alternatives,
    if(isValidJSON(a['decision.inputs']), a['decision.inputs'], '') AS inputs,
    ended AS outcome,
    if(mapContains(a, 'decision.outcome'), a['decision.outcome'], NULL) AS outcome_raw,
    if(notEmpty(denied_by), denied_by[1], NULL) AS veto_reason_primary,
    arrayPopFront(denied_by) AS veto_reason_secondary,
    concat('{', arrayStringConcat(details, ','), '}') AS guard_details,
    ended = 'executed' AND notEmpty(denies) AS veto_overridden,
    a['order.id'] AS order_id,
    StatusMessage AS error,
    Duration AS duration_ns,
    names AS `gates.name`,
    verdicts AS `gates.verdict`,
    modes AS `gates.mode`,
    arrayMap(gate -> gate['gate.observed'], ledger) AS `gates.observed`,
    arrayMap(gate -> gate['gate.threshold'], ledger) AS `gates.threshold`,
    arrayMap(gate -> if(gate['gate.comparison'] IN ('at_most', 'at_least', 'between', 'equals'), gate['gate.comparison'], 'none'), ledger) AS `gates.comparison`,
    arrayMap(gate -> gate['gate.unit'], ledger) AS `gates.unit`,
    arrayMap(gate -> gate['gate.reason'], ledger) AS `gates.reason`,
    durations AS `gates.duration_ms`,
    arrayConcat(
        JSONExtract(a['otel_obs.defects'], 'Array(String)'),
        arrayFilter(text -> text != '', [
            if(TraceId = '' OR SpanId = '', 'trace or span id is missing', ''),
            if(mapContains(a, 'decision.confidence') AND NOT sure_is_readable, 'decision.confidence cannot be read', ''),
            if(a['decision.alternatives'] != '' AND NOT isValidJSON(a['decision.alternatives']), 'decision.alternatives is no JSON', ''),
            if(a['decision.inputs'] != '' AND NOT isValidJSON(a['decision.inputs']), 'decision.inputs is no JSON', ''),
            if(word != '' AND meant = '', 'decision.outcome is not known', ''),
            if(ended = 'vetoed' AND empty(denies), 'vetoed without an enforced deny', ''),
            if(has(names, ''), 'gate.name is missing', ''),
            if(arrayExists(verdict -> isNull(verdict), verdicts), 'gate.verdict cannot be read', ''),
            if(arrayExists(gate -> lower(trim(BOTH ' \t\r\n' FROM gate['gate.mode'])) NOT IN ('', 'enforce', 'shadow'), ledger), 'gate.mode is not known', ''),
            if(arrayExists(gate -> gate['gate.comparison'] NOT IN ('', 'at_most', 'at_least', 'between', 'equals', 'none'), ledger), 'gate.comparison is not known', ''),
            if(arrayExists((gate, ms) -> gate['gate.duration_ms'] != '' AND isNull(ms), ledger, durations), 'gate.duration_ms cannot be read', '')
        ])) AS defects
FROM otel.otel_traces_local
WHERE mapContains(SpanAttributes, 'decision.what');

CREATE TABLE IF NOT EXISTS otel.gates_local ON CLUSTER 'pair'
(
    service LowCardinality(String) CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    ordinal UInt32 CODEC(ZSTD(1)),
    strategy LowCardinality(String) CODEC(ZSTD(1)),
    symbol LowCardinality(String) CODEC(ZSTD(1)),
    outcome LowCardinality(String) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    verdict LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    mode LowCardinality(String) CODEC(ZSTD(1)),
    observed Nullable(Float64) CODEC(ZSTD(1)),
    threshold Nullable(Float64) CODEC(ZSTD(1)),
    observed_raw String CODEC(ZSTD(1)),
    threshold_raw String CODEC(ZSTD(1)),
    comparison LowCardinality(String) CODEC(ZSTD(1)),
    unit LowCardinality(String) CODEC(ZSTD(1)),
    reason String CODEC(ZSTD(1)),
    margin Nullable(Float64) CODEC(ZSTD(1)),
    margin_ratio Nullable(Float64) CODEC(ZSTD(1)),
    duration_ms Nullable(Float64) CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta(4), ZSTD(1)),
    derivation UInt16 DEFAULT 1 CODEC(ZSTD(1)),
    INDEX by_span span_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_name name TYPE set(64) GRANULARITY 4
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', derivation)
PARTITION BY toMonday(timestamp)
PRIMARY KEY (service, toStartOfHour(timestamp), timestamp)
ORDER BY (service, toStartOfHour(timestamp), timestamp, trace_id, span_id, ordinal)
TTL ingested_at + toIntervalDay(730)
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS otel.gates ON CLUSTER 'pair' AS otel.gates_local
ENGINE = Distributed('pair', 'otel', 'gates_local', cityHash64(trace_id))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel.gates_from_decisions ON CLUSTER 'pair' TO otel.gates_local AS
WITH
    toFloat64OrNull(observed_text) AS value,
    JSONExtract(threshold_text, 'Array(Nullable(Float64))') AS limits,
    length(limits) = 2 AND NOT has(limits, NULL) AS is_range,
    if(is_range, limits[1], NULL) AS low,
    if(is_range, limits[2], NULL) AS high,
    multiIf(
        comparison_name = 'between', multiIf(value - low <= high - value, low, value - low > high - value, high, NULL),
        toFloat64OrNull(threshold_text)) AS limit_value,
    multiIf(
        comparison_name = 'between', least(value - low, high - value),
        comparison_name = 'at_most', limit_value - value,
        comparison_name = 'at_least', value - limit_value,
        comparison_name = 'equals', -abs(value - limit_value),
        NULL) AS distance,
    isFinite(ifNull(distance, nan)) AS has_margin
SELECT
    service, timestamp, trace_id, span_id,
    toUInt32(number) AS ordinal,
    strategy, symbol, outcome,
    if(gate_name = '', 'unnamed', gate_name) AS name,
    gate_verdict AS verdict,
    gate_mode AS mode,
    if(isFinite(ifNull(value, nan)), value, NULL) AS observed,
    if(isFinite(ifNull(limit_value, nan)), limit_value, NULL) AS threshold,
    observed_text AS observed_raw,
    threshold_text AS threshold_raw,
    comparison_name AS comparison,
    gate_unit AS unit,
    gate_reason AS reason,
    if(has_margin, distance, NULL) AS margin,
    if(has_margin AND limit_value != 0, distance / abs(limit_value), NULL) AS margin_ratio,
    gate_duration_ms AS duration_ms,
    derivation
FROM otel.decisions_local
ARRAY JOIN
    arrayEnumerate(`gates.name`) AS number,
    `gates.name` AS gate_name,
    `gates.verdict` AS gate_verdict,
    `gates.mode` AS gate_mode,
    `gates.observed` AS observed_text,
    `gates.threshold` AS threshold_text,
    `gates.comparison` AS comparison_name,
    `gates.unit` AS gate_unit,
    `gates.reason` AS gate_reason,
    `gates.duration_ms` AS gate_duration_ms;

INSERT INTO otel.schema_migrations (version, name, sha256) SELECT 2, '0002_decisions.sql', '723eb2869b92ad3752bbe810edc903809979196617cc4254b5505b3b11e0c2f2';

-- 0003_traces_and_stages.sql
CREATE TABLE IF NOT EXISTS otel.traces_local ON CLUSTER 'pair'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', derivation)
PARTITION BY toMonday(timestamp)
PRIMARY KEY (service, toStartOfHour(timestamp), timestamp)
ORDER BY (service, toStartOfHour(timestamp), timestamp, trace_id, span_id)
TTL ingested_at + toIntervalDay(730)
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS otel.traces ON CLUSTER 'pair' AS otel.traces_local
ENGINE = Distributed('pair', 'otel', 'traces_local', cityHash64(trace_id))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel.traces_from_otel_traces ON CLUSTER 'pair' TO otel.traces_local AS
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
FROM otel.otel_traces_local
WHERE mapContains(SpanAttributes, 'trace.name');

CREATE TABLE IF NOT EXISTS otel.stages_local ON CLUSTER 'pair'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', derivation)
PARTITION BY toMonday(timestamp)
PRIMARY KEY (service, toStartOfHour(timestamp), timestamp)
ORDER BY (service, toStartOfHour(timestamp), timestamp, trace_id, span_id)
TTL ingested_at + toIntervalDay(730)
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS otel.stages ON CLUSTER 'pair' AS otel.stages_local
ENGINE = Distributed('pair', 'otel', 'stages_local', cityHash64(trace_id))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel.stages_from_otel_traces ON CLUSTER 'pair' TO otel.stages_local AS
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
FROM otel.otel_traces_local
WHERE mapContains(SpanAttributes, 'stage.name');

INSERT INTO otel.schema_migrations (version, name, sha256) SELECT 3, '0003_traces_and_stages.sql', '46560811a915e2d4f2d668397d58a843f1c3cbadf73002a9fdb692279eb77fdd';

-- 0004_orders_and_fills.sql
CREATE TABLE IF NOT EXISTS otel.orders_local ON CLUSTER 'pair'
(
    service LowCardinality(String) CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    order_id String CODEC(ZSTD(1)),
    status LowCardinality(String) CODEC(ZSTD(1)),
    record_hash UInt128 CODEC(ZSTD(1)),
    type LowCardinality(String) CODEC(ZSTD(1)),
    side LowCardinality(String) CODEC(ZSTD(1)),
    quantity Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    price Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    symbol LowCardinality(String) CODEC(ZSTD(1)),
    strategy LowCardinality(String) CODEC(ZSTD(1)),
    environment LowCardinality(String) CODEC(ZSTD(1)),
    decision_id String CODEC(ZSTD(1)),
    trade_id String CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    defects Array(String) CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta(4), ZSTD(1)),
    derivation UInt16 DEFAULT 1 CODEC(ZSTD(1)),
    INDEX by_order order_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_decision decision_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', derivation)
PARTITION BY toMonday(timestamp)
ORDER BY (service, timestamp, order_id, status, record_hash)
TTL ingested_at + toIntervalDay(3650)
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS otel.orders ON CLUSTER 'pair' AS otel.orders_local
ENGINE = Distributed('pair', 'otel', 'orders_local', cityHash64(service, timestamp))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel.orders_from_otel_logs ON CLUSTER 'pair' TO otel.orders_local AS
WITH
    LogAttributes AS a,
    text -> if(
        match(text, '^[+-]?([0-9]+[.]?[0-9]{0,20}0*|[.][0-9]{1,20}0*)([eE]([+]?[0-9]{1,3}|-0?[0-9]|-1[0-8]))?$')
            AND toDecimal256OrNull(text, 38) = toDecimal128OrNull(text, 18),
        toDecimal128OrNull(text, 18),
        NULL) AS amount_of,
    arrayMap(key -> amount_of(a[key]), ['order.quantity', 'order.price'] AS keys) AS amounts
SELECT
    ServiceName AS service,
    Timestamp AS timestamp,
    a['order.id'] AS order_id,
    a['order.status'] AS status,
    record_hash,
    a['order.type'] AS type,
    a['order.side'] AS side,
    amounts[1] AS quantity,
    amounts[2] AS price,
    a['instrument.symbol'] AS symbol,
    a['strategy.name'] AS strategy,
    ResourceAttributes['deployment.environment.name'] AS environment,
    a['decision.id'] AS decision_id,
    a['trade.id'] AS trade_id,
    TraceId AS trace_id,
    SpanId AS span_id,
    arrayConcat(
        JSONExtract(a['otel_obs.defects'], 'Array(String)'),
        arrayMap(
            key -> concat(key, ' cannot be read'),
            arrayFilter((key, amount) -> a[key] != '' AND isNull(amount), keys, amounts)),
        if(a['order.id'] = '', ['order.id is missing'], [])) AS defects
FROM otel.otel_logs_local
WHERE EventName = 'order' OR LogAttributes['event.name'] = 'order';

CREATE TABLE IF NOT EXISTS otel.fills_local ON CLUSTER 'pair'
(
    service LowCardinality(String) CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    order_id String CODEC(ZSTD(1)),
    fill_id String CODEC(ZSTD(1)),
    record_hash UInt128 CODEC(ZSTD(1)),
    side LowCardinality(String) CODEC(ZSTD(1)),
    price Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    quantity Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    fee Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    fee_currency LowCardinality(String) CODEC(ZSTD(1)),
    symbol LowCardinality(String) CODEC(ZSTD(1)),
    strategy LowCardinality(String) CODEC(ZSTD(1)),
    environment LowCardinality(String) CODEC(ZSTD(1)),
    decision_id String CODEC(ZSTD(1)),
    trade_id String CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    defects Array(String) CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta(4), ZSTD(1)),
    derivation UInt16 DEFAULT 1 CODEC(ZSTD(1)),
    INDEX by_order order_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_decision decision_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', derivation)
PARTITION BY toMonday(timestamp)
ORDER BY (service, timestamp, order_id, fill_id, record_hash)
TTL ingested_at + toIntervalDay(3650)
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS otel.fills ON CLUSTER 'pair' AS otel.fills_local
ENGINE = Distributed('pair', 'otel', 'fills_local', cityHash64(service, timestamp))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel.fills_from_otel_logs ON CLUSTER 'pair' TO otel.fills_local AS
WITH
    LogAttributes AS a,
    text -> if(
        match(text, '^[+-]?([0-9]+[.]?[0-9]{0,20}0*|[.][0-9]{1,20}0*)([eE]([+]?[0-9]{1,3}|-0?[0-9]|-1[0-8]))?$')
            AND toDecimal256OrNull(text, 38) = toDecimal128OrNull(text, 18),
        toDecimal128OrNull(text, 18),
        NULL) AS amount_of,
    arrayMap(key -> amount_of(a[key]), ['fill.price', 'fill.quantity', 'fill.fee'] AS keys) AS amounts
SELECT
    ServiceName AS service,
    Timestamp AS timestamp,
    a['order.id'] AS order_id,
    a['fill.id'] AS fill_id,
    record_hash,
    a['order.side'] AS side,
    amounts[1] AS price,
    amounts[2] AS quantity,
    amounts[3] AS fee,
    a['fill.fee_currency'] AS fee_currency,
    a['instrument.symbol'] AS symbol,
    a['strategy.name'] AS strategy,
    ResourceAttributes['deployment.environment.name'] AS environment,
    a['decision.id'] AS decision_id,
    a['trade.id'] AS trade_id,
    TraceId AS trace_id,
    SpanId AS span_id,
    arrayConcat(
        JSONExtract(a['otel_obs.defects'], 'Array(String)'),
        arrayMap(
            key -> concat(key, ' cannot be read'),
            arrayFilter((key, amount) -> a[key] != '' AND isNull(amount), keys, amounts)),
        if(a['fill.id'] = '', ['fill.id is missing'], [])) AS defects
FROM otel.otel_logs_local
WHERE EventName = 'fill' OR LogAttributes['event.name'] = 'fill';

INSERT INTO otel.schema_migrations (version, name, sha256) SELECT 4, '0004_orders_and_fills.sql', 'ac5d2cd21133b49e5733f563314c8a043dcd31b0fa24ed00ada33187b9115cba';

-- 0005_metrics.sql
CREATE TABLE IF NOT EXISTS otel.otel_metrics_gauge_local ON CLUSTER 'pair'
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    TimeUnix DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    Value Float64 CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Exemplars Nested
    (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9, 'UTC'),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(ZSTD(1)),
    series_hash UInt128 DEFAULT reinterpretAsUInt128(sipHash128(
        mapSort(ResourceAttributes), ScopeName, ScopeVersion, mapSort(ScopeAttributes), MetricUnit, mapSort(Attributes))) CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta(4), ZSTD(1))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toMonday(TimeUnix)
PRIMARY KEY (ServiceName, MetricName, toStartOfHour(TimeUnix))
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), series_hash, TimeUnix, StartTimeUnix)
TTL ingested_at + toIntervalDay(90)
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS otel.otel_metrics_gauge ON CLUSTER 'pair' AS otel.otel_metrics_gauge_local
ENGINE = Distributed('pair', 'otel', 'otel_metrics_gauge_local', cityHash64(ServiceName, MetricName))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

CREATE TABLE IF NOT EXISTS otel.otel_metrics_sum_local ON CLUSTER 'pair'
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    TimeUnix DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    Value Float64 CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Exemplars Nested
    (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9, 'UTC'),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(ZSTD(1)),
    AggregationTemporality Int32 CODEC(ZSTD(1)),
    IsMonotonic Bool CODEC(ZSTD(1)),
    series_hash UInt128 DEFAULT reinterpretAsUInt128(sipHash128(
        mapSort(ResourceAttributes), ScopeName, ScopeVersion, mapSort(ScopeAttributes), MetricUnit, mapSort(Attributes), AggregationTemporality, IsMonotonic)) CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta(4), ZSTD(1))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toMonday(TimeUnix)
PRIMARY KEY (ServiceName, MetricName, toStartOfHour(TimeUnix))
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), series_hash, TimeUnix, StartTimeUnix)
TTL ingested_at + toIntervalDay(90)
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS otel.otel_metrics_sum ON CLUSTER 'pair' AS otel.otel_metrics_sum_local
ENGINE = Distributed('pair', 'otel', 'otel_metrics_sum_local', cityHash64(ServiceName, MetricName))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

CREATE TABLE IF NOT EXISTS otel.otel_metrics_histogram_local ON CLUSTER 'pair'
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    TimeUnix DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    Count UInt64 CODEC(Delta(8), ZSTD(1)),
    Sum Float64 CODEC(ZSTD(1)),
    BucketCounts Array(UInt64) CODEC(ZSTD(1)),
    ExplicitBounds Array(Float64) CODEC(ZSTD(1)),
    Exemplars Nested
    (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9, 'UTC'),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Min Float64 CODEC(ZSTD(1)),
    Max Float64 CODEC(ZSTD(1)),
    AggregationTemporality Int32 CODEC(ZSTD(1)),
    series_hash UInt128 DEFAULT reinterpretAsUInt128(sipHash128(
        mapSort(ResourceAttributes), ScopeName, ScopeVersion, mapSort(ScopeAttributes), MetricUnit, mapSort(Attributes), AggregationTemporality)) CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta(4), ZSTD(1))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toMonday(TimeUnix)
PRIMARY KEY (ServiceName, MetricName, toStartOfHour(TimeUnix))
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), series_hash, TimeUnix, StartTimeUnix)
TTL ingested_at + toIntervalDay(90)
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS otel.otel_metrics_histogram ON CLUSTER 'pair' AS otel.otel_metrics_histogram_local
ENGINE = Distributed('pair', 'otel', 'otel_metrics_histogram_local', cityHash64(ServiceName, MetricName))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

CREATE TABLE IF NOT EXISTS otel.otel_metrics_exponential_histogram_local ON CLUSTER 'pair'
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    TimeUnix DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    Count UInt64 CODEC(Delta(8), ZSTD(1)),
    Sum Float64 CODEC(ZSTD(1)),
    Scale Int32 CODEC(ZSTD(1)),
    ZeroCount UInt64 CODEC(ZSTD(1)),
    PositiveOffset Int32 CODEC(ZSTD(1)),
    PositiveBucketCounts Array(UInt64) CODEC(ZSTD(1)),
    NegativeOffset Int32 CODEC(ZSTD(1)),
    NegativeBucketCounts Array(UInt64) CODEC(ZSTD(1)),
    Exemplars Nested
    (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9, 'UTC'),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Min Float64 CODEC(ZSTD(1)),
    Max Float64 CODEC(ZSTD(1)),
    AggregationTemporality Int32 CODEC(ZSTD(1)),
    series_hash UInt128 DEFAULT reinterpretAsUInt128(sipHash128(
        mapSort(ResourceAttributes), ScopeName, ScopeVersion, mapSort(ScopeAttributes), MetricUnit, mapSort(Attributes), AggregationTemporality)) CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta(4), ZSTD(1))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toMonday(TimeUnix)
PRIMARY KEY (ServiceName, MetricName, toStartOfHour(TimeUnix))
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), series_hash, TimeUnix, StartTimeUnix)
TTL ingested_at + toIntervalDay(90)
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS otel.otel_metrics_exponential_histogram ON CLUSTER 'pair' AS otel.otel_metrics_exponential_histogram_local
ENGINE = Distributed('pair', 'otel', 'otel_metrics_exponential_histogram_local', cityHash64(ServiceName, MetricName))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

CREATE TABLE IF NOT EXISTS otel.otel_metrics_summary_local ON CLUSTER 'pair'
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    TimeUnix DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    Count UInt64 CODEC(Delta(8), ZSTD(1)),
    Sum Float64 CODEC(ZSTD(1)),
    ValueAtQuantiles Nested
    (
        Quantile Float64,
        Value Float64
    ) CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    series_hash UInt128 DEFAULT reinterpretAsUInt128(sipHash128(
        mapSort(ResourceAttributes), ScopeName, ScopeVersion, mapSort(ScopeAttributes), MetricUnit, mapSort(Attributes))) CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta(4), ZSTD(1))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toMonday(TimeUnix)
PRIMARY KEY (ServiceName, MetricName, toStartOfHour(TimeUnix))
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), series_hash, TimeUnix, StartTimeUnix)
TTL ingested_at + toIntervalDay(90)
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS otel.otel_metrics_summary ON CLUSTER 'pair' AS otel.otel_metrics_summary_local
ENGINE = Distributed('pair', 'otel', 'otel_metrics_summary_local', cityHash64(ServiceName, MetricName))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

INSERT INTO otel.schema_migrations (version, name, sha256) SELECT 5, '0005_metrics.sql', '175d9304ca1348bf06e2fc63882919201de04d73c573be6904362b57a35602fe';

-- 0006_costs.sql
ALTER TABLE otel.stages_local ON CLUSTER 'pair' ADD COLUMN IF NOT EXISTS cost_usd Nullable(Decimal(38, 18)) CODEC(ZSTD(1)) AFTER output_tokens;

ALTER TABLE otel.stages ON CLUSTER 'pair' ADD COLUMN IF NOT EXISTS cost_usd Nullable(Decimal(38, 18)) CODEC(ZSTD(1)) AFTER output_tokens;

ALTER TABLE otel.stages_from_otel_traces ON CLUSTER 'pair' MODIFY QUERY
WITH
    SpanAttributes AS a,
    ['gen_ai.usage.input_tokens', 'gen_ai.usage.output_tokens'] AS counts,
    a['stage.cost_usd'] AS cost_text,
    if(
        match(cost_text, '^[+-]?([0-9]+[.]?[0-9]{0,20}0*|[.][0-9]{1,20}0*)([eE]([+]?[0-9]{1,3}|-0?[0-9]|-1[0-8]))?$')
            AND toDecimal256OrNull(cost_text, 38) = toDecimal128OrNull(cost_text, 18),
        toDecimal128OrNull(cost_text, 18),
        NULL) AS cost
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
    cost AS cost_usd,
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
            arrayFilter(key -> a[key] != '' AND isNull(toUInt64OrNull(a[key])), counts)),
        if(cost_text != '' AND isNull(cost), ['stage.cost_usd cannot be read'], [])) AS defects
FROM otel.otel_traces_local
WHERE mapContains(SpanAttributes, 'stage.name');

ALTER TABLE otel.decisions_local ON CLUSTER 'pair' ADD INDEX IF NOT EXISTS by_arrival ingested_at TYPE minmax GRANULARITY 1;

INSERT INTO otel.schema_migrations (version, name, sha256) SELECT 6, '0006_costs.sql', '16584bd9129b30601353e3855e3c0a21271e172cf512c8426806544dcb31f31e';

-- 0007_health_snapshots.sql
CREATE TABLE IF NOT EXISTS otel.health_snapshots_local ON CLUSTER 'pair'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', derivation)
PARTITION BY toMonday(timestamp)
ORDER BY (service, timestamp, snapshot_trigger, instance, record_hash)
TTL ingested_at + toIntervalDay(365),
    ingested_at + toIntervalDay(1) DELETE WHERE snapshot_trigger = 'periodic_5m',
    ingested_at + toIntervalDay(7) DELETE WHERE snapshot_trigger IN ('periodic_1h', 'on_change')
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1;

CREATE TABLE IF NOT EXISTS otel.health_snapshots ON CLUSTER 'pair' AS otel.health_snapshots_local
ENGINE = Distributed('pair', 'otel', 'health_snapshots_local', cityHash64(service, timestamp))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel.health_snapshots_from_otel_logs ON CLUSTER 'pair' TO otel.health_snapshots_local AS
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
FROM otel.otel_logs_local
WHERE EventName = 'health_snapshot' OR LogAttributes['event.name'] = 'health_snapshot';

INSERT INTO otel.schema_migrations (version, name, sha256) SELECT 7, '0007_health_snapshots.sql', 'c75cd2b0c1e5e1d3814f7546eb7cd608935e7793943210f45517a7105565702f';

-- 0008_delivery.sql
ALTER TABLE otel.otel_traces_local ON CLUSTER 'pair' ADD COLUMN IF NOT EXISTS seq UInt64 MATERIALIZED
    if(ResourceAttributes['service.instance.id'] = '', 0, ifNull(toUInt64OrNull(SpanAttributes['otel_obs.seq']), 0))
    CODEC(Delta(8), ZSTD(1));

ALTER TABLE otel.otel_traces ON CLUSTER 'pair' ADD COLUMN IF NOT EXISTS seq UInt64 MATERIALIZED
    if(ResourceAttributes['service.instance.id'] = '', 0, ifNull(toUInt64OrNull(SpanAttributes['otel_obs.seq']), 0))
    CODEC(Delta(8), ZSTD(1));

ALTER TABLE otel.otel_logs_local ON CLUSTER 'pair' ADD COLUMN IF NOT EXISTS seq UInt64 MATERIALIZED
    if(ResourceAttributes['service.instance.id'] = '', 0, ifNull(toUInt64OrNull(LogAttributes['otel_obs.seq']), 0))
    CODEC(Delta(8), ZSTD(1));

ALTER TABLE otel.otel_logs ON CLUSTER 'pair' ADD COLUMN IF NOT EXISTS seq UInt64 MATERIALIZED
    if(ResourceAttributes['service.instance.id'] = '', 0, ifNull(toUInt64OrNull(LogAttributes['otel_obs.seq']), 0))
    CODEC(Delta(8), ZSTD(1));

CREATE TABLE IF NOT EXISTS otel.delivery_local ON CLUSTER 'pair'
(
    service LowCardinality(String) CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    instance String CODEC(ZSTD(1)),
    tier LowCardinality(String) CODEC(ZSTD(1)),
    record_hash UInt128 CODEC(ZSTD(1)),
    environment LowCardinality(String) CODEC(ZSTD(1)),
    produced Nullable(UInt64) CODEC(ZSTD(1)),
    numbered Nullable(UInt64) CODEC(ZSTD(1)),
    delivered Nullable(UInt64) CODEC(ZSTD(1)),
    journaled Nullable(UInt64) CODEC(ZSTD(1)),
    unconfirmed Nullable(UInt64) CODEC(ZSTD(1)),
    sampled Nullable(UInt64) CODEC(ZSTD(1)),
    untaken String CODEC(ZSTD(1)),
    lost String CODEC(ZSTD(1)),
    ended Nullable(Bool) CODEC(ZSTD(1)),
    kill_switch Nullable(Bool) CODEC(ZSTD(1)),
    defects Array(String) CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta(4), ZSTD(1)),
    derivation UInt16 DEFAULT 1 CODEC(ZSTD(1))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', derivation)
PARTITION BY toMonday(timestamp)
ORDER BY (service, instance, tier, timestamp, record_hash)
TTL ingested_at + toIntervalDay(365)
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS otel.delivery ON CLUSTER 'pair' AS otel.delivery_local
ENGINE = Distributed('pair', 'otel', 'delivery_local', cityHash64(service, timestamp))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel.delivery_from_otel_logs ON CLUSTER 'pair' TO otel.delivery_local AS
WITH
    LogAttributes AS a,
    [
        'delivery.produced', 'delivery.numbered', 'delivery.delivered', 'delivery.journaled', 'delivery.unconfirmed',
        'delivery.sampled'
    ] AS counted,
    arrayMap(
        key -> if(ifNull(toUInt64OrNull(a[key]), 18446744073709551615) <= 1000000000000000, toUInt64OrNull(a[key]), NULL),
        counted) AS counts,
    ['delivery.ended', 'delivery.kill_switch'] AS switches,
    arrayMap(key -> multiIf(lower(a[key]) = 'true', true, lower(a[key]) = 'false', false, NULL), switches) AS flags,
    ['delivery.untaken', 'delivery.lost'] AS maps,
    arrayMap(
        key -> if(
            isValidJSON(a[key]) AND JSONType(a[key]) = 'Object'
                AND arrayAll(pair -> match(pair.2, '^[0-9]{1,15}$'), JSONExtractKeysAndValuesRaw(a[key])),
            a[key],
            ''),
        maps) AS reasons
SELECT
    ServiceName AS service,
    Timestamp AS timestamp,
    ResourceAttributes['service.instance.id'] AS instance,
    a['delivery.tier'] AS tier,
    record_hash,
    ResourceAttributes['deployment.environment.name'] AS environment,
    counts[1] AS produced,
    counts[2] AS numbered,
    counts[3] AS delivered,
    counts[4] AS journaled,
    counts[5] AS unconfirmed,
    counts[6] AS sampled,
    reasons[1] AS untaken,
    reasons[2] AS lost,
    flags[1] AS ended,
    flags[2] AS kill_switch,
    arrayConcat(
        JSONExtract(a['otel_obs.defects'], 'Array(String)'),
        arrayMap(
            key -> concat(key, ' cannot be read'),
            arrayConcat(
                arrayFilter((key, number) -> a[key] != '' AND isNull(number), counted, counts),
                arrayFilter((key, flag) -> a[key] != '' AND isNull(flag), switches, flags),
                arrayFilter((key, reason) -> a[key] != '' AND reason = '', maps, reasons))),
        arrayMap(
            key -> concat(key, ' is missing'),
            arrayFilter(key -> a[key] = '', ['delivery.tier', 'delivery.produced', 'delivery.numbered'])),
        if(ResourceAttributes['service.instance.id'] = '', ['service.instance.id is missing'], [])) AS defects
FROM otel.otel_logs_local
WHERE EventName = 'delivery' OR LogAttributes['event.name'] = 'delivery';

CREATE TABLE IF NOT EXISTS otel.delivered_numbers_local ON CLUSTER 'pair'
(
    service LowCardinality(String) CODEC(ZSTD(1)),
    instance String CODEC(ZSTD(1)),
    tier LowCardinality(String) CODEC(ZSTD(1)),
    chunk UInt64 CODEC(ZSTD(1)),
    offsets AggregateFunction(groupBitmap, UInt32) CODEC(ZSTD(1)),
    first_came SimpleAggregateFunction(min, DateTime('UTC')) CODEC(ZSTD(1)),
    ingested_at SimpleAggregateFunction(max, DateTime('UTC')) CODEC(ZSTD(1))
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY (service, instance, tier, chunk)
TTL ingested_at + toIntervalDay(365)
SETTINGS replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0;

CREATE TABLE IF NOT EXISTS otel.delivered_numbers ON CLUSTER 'pair' AS otel.delivered_numbers_local
ENGINE = Distributed('pair', 'otel', 'delivered_numbers_local', cityHash64(service, instance, tier, chunk))
SETTINGS fsync_after_insert = 1, fsync_directories = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel.delivered_numbers_from_otel_traces ON CLUSTER 'pair' TO otel.delivered_numbers_local AS
SELECT
    ServiceName AS service,
    ResourceAttributes['service.instance.id'] AS instance,
    SpanAttributes['otel_obs.tier'] AS tier,
    intDiv(seq, 65536) AS chunk,
    groupBitmapState(toUInt32(seq % 65536)) AS offsets,
    min(raw.ingested_at) AS first_came,
    max(raw.ingested_at) AS ingested_at
FROM otel.otel_traces_local AS raw
WHERE seq > 0
GROUP BY service, instance, tier, chunk;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel.delivered_numbers_from_otel_logs ON CLUSTER 'pair' TO otel.delivered_numbers_local AS
SELECT
    ServiceName AS service,
    ResourceAttributes['service.instance.id'] AS instance,
    LogAttributes['otel_obs.tier'] AS tier,
    intDiv(seq, 65536) AS chunk,
    groupBitmapState(toUInt32(seq % 65536)) AS offsets,
    min(raw.ingested_at) AS first_came,
    max(raw.ingested_at) AS ingested_at
FROM otel.otel_logs_local AS raw
WHERE seq > 0
GROUP BY service, instance, tier, chunk;

INSERT INTO otel.schema_migrations (version, name, sha256) SELECT 8, '0008_delivery.sql', 'e5ef10fd62c390499fdb69a247e4b75e529206d1a018501e696f7c2b23448b02';
