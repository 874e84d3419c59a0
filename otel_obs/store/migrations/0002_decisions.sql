-- Decisions with their gate ledger, and one row for each gate. Derived from otel_traces, whoever wrote it.
-- The view is a total function of any strings: what cannot be read is NULL and named in defects.
-- It says in SQL what otel_obs/contract/outcome.py says in Python; a test holds the two against each other.

CREATE TABLE IF NOT EXISTS decisions
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
ENGINE = ReplacingMergeTree(derivation)
PARTITION BY toMonday(timestamp)
PRIMARY KEY (service, toStartOfHour(timestamp), timestamp)
ORDER BY (service, toStartOfHour(timestamp), timestamp, trace_id, span_id)
TTL ingested_at + toIntervalDay(730)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS decisions_from_otel_traces TO decisions AS
WITH
    SpanAttributes AS a,
    -- the ledger: one map for each gate.evaluated event, in order
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
    -- how it ended
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
    -- the first denial of each gate, as JSON
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
FROM otel_traces
WHERE mapContains(SpanAttributes, 'decision.what');

CREATE TABLE IF NOT EXISTS gates
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
ENGINE = ReplacingMergeTree(derivation)
PARTITION BY toMonday(timestamp)
PRIMARY KEY (service, toStartOfHour(timestamp), timestamp)
ORDER BY (service, toStartOfHour(timestamp), timestamp, trace_id, span_id, ordinal)
TTL ingested_at + toIntervalDay(730)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

-- Margin: distance from the limit, positive inside it; for between, from the nearer limit, which is then the threshold.
CREATE MATERIALIZED VIEW IF NOT EXISTS gates_from_decisions TO gates AS
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
FROM decisions
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
