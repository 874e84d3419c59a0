-- Typed facts from otel_logs: one row for each status of an order, one for each execution. Total functions, as in 0002.
-- Amounts are Decimal(38, 18): what has more digits than that is NULL and named, never rounded in silence.

CREATE TABLE IF NOT EXISTS orders
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
ENGINE = ReplacingMergeTree(derivation)
PARTITION BY toMonday(timestamp)
ORDER BY (service, timestamp, order_id, status, record_hash)
TTL ingested_at + toIntervalDay(3650)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS orders_from_otel_logs TO orders AS
WITH
    LogAttributes AS a,
    -- an amount reads exactly, or not at all: a scale that holds every digit the pattern lets through must agree
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
FROM otel_logs
WHERE EventName = 'order' OR LogAttributes['event.name'] = 'order';

CREATE TABLE IF NOT EXISTS fills
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
ENGINE = ReplacingMergeTree(derivation)
PARTITION BY toMonday(timestamp)
ORDER BY (service, timestamp, order_id, fill_id, record_hash)
TTL ingested_at + toIntervalDay(3650)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS fills_from_otel_logs TO fills AS
WITH
    LogAttributes AS a,
    -- as in orders
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
FROM otel_logs
WHERE EventName = 'fill' OR LogAttributes['event.name'] = 'fill';
