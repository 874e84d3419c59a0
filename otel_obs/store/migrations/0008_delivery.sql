-- The delivery ledger: what each process says it sent (delivery), and which of its numbers arrived (delivered_numbers).
-- Total functions, as in 0002. A record's number; 0 where it has none that a ledger could be held against: another SDK's.

ALTER TABLE otel_traces ADD COLUMN IF NOT EXISTS seq UInt64 MATERIALIZED
    if(ResourceAttributes['service.instance.id'] = '', 0, ifNull(toUInt64OrNull(SpanAttributes['otel_obs.seq']), 0))
    CODEC(Delta(8), ZSTD(1));

ALTER TABLE otel_logs ADD COLUMN IF NOT EXISTS seq UInt64 MATERIALIZED
    if(ResourceAttributes['service.instance.id'] = '', 0, ifNull(toUInt64OrNull(LogAttributes['otel_obs.seq']), 0))
    CODEC(Delta(8), ZSTD(1));

CREATE TABLE IF NOT EXISTS delivery
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
ENGINE = ReplacingMergeTree(derivation)
PARTITION BY toMonday(timestamp)
ORDER BY (service, instance, tier, timestamp, record_hash)
TTL ingested_at + toIntervalDay(365)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, ttl_only_drop_parts = 1;

-- Counts beyond 10¹⁵ are no counts; without a bound their sums would leave 64 bits.
CREATE MATERIALIZED VIEW IF NOT EXISTS delivery_from_otel_logs TO delivery AS
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
FROM otel_logs
WHERE EventName = 'delivery' OR LogAttributes['event.name'] = 'delivery';

-- The numbers that arrived, as a set: a repeated one changes nothing, however batches were cut. One row for 65536 numbers
-- (dense ones take some 30 bytes), which many inserts share. Offsets have 32 bits: a set of UInt16 counts modulo 65536.
CREATE TABLE IF NOT EXISTS delivered_numbers
(
    service LowCardinality(String) CODEC(ZSTD(1)),
    instance String CODEC(ZSTD(1)),
    tier LowCardinality(String) CODEC(ZSTD(1)),
    chunk UInt64 CODEC(ZSTD(1)),
    offsets AggregateFunction(groupBitmap, UInt32) CODEC(ZSTD(1)),
    first_came SimpleAggregateFunction(min, DateTime('UTC')) CODEC(ZSTD(1)),
    ingested_at SimpleAggregateFunction(max, DateTime('UTC')) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY (service, instance, tier, chunk)
TTL ingested_at + toIntervalDay(365);

CREATE MATERIALIZED VIEW IF NOT EXISTS delivered_numbers_from_otel_traces TO delivered_numbers AS
SELECT
    ServiceName AS service,
    ResourceAttributes['service.instance.id'] AS instance,
    SpanAttributes['otel_obs.tier'] AS tier,
    intDiv(seq, 65536) AS chunk,
    groupBitmapState(toUInt32(seq % 65536)) AS offsets,
    min(raw.ingested_at) AS first_came,
    max(raw.ingested_at) AS ingested_at
FROM otel_traces AS raw
WHERE seq > 0
GROUP BY service, instance, tier, chunk;

CREATE MATERIALIZED VIEW IF NOT EXISTS delivered_numbers_from_otel_logs TO delivered_numbers AS
SELECT
    ServiceName AS service,
    ResourceAttributes['service.instance.id'] AS instance,
    LogAttributes['otel_obs.tier'] AS tier,
    intDiv(seq, 65536) AS chunk,
    groupBitmapState(toUInt32(seq % 65536)) AS offsets,
    min(raw.ingested_at) AS first_came,
    max(raw.ingested_at) AS ingested_at
FROM otel_logs AS raw
WHERE seq > 0
GROUP BY service, instance, tier, chunk;
