-- How fresh was what each source gave, how long was it silent, and was it connected? The worst first.
WITH
    -- a text of another kind than was meant is NULL
    JSONExtract(told, 'staleness_ms', 'Nullable(Float64)') AS staleness,
    JSONExtract(told, 'gap_max_ms_1h', 'Nullable(Float64)') AS gap,
    JSONExtract(told, 'reconnects_1h', 'Nullable(UInt64)') AS reconnects,
    JSONExtract(told, 'last_update_ms', 'Nullable(Int64)') AS updated,
    JSONExtract(told, 'connected', 'Nullable(Bool)') AS is_connected,
    JSONExtractString(told, 'state') AS stands
SELECT
    toString(service) AS service,
    source,
    argMax(JSONExtractString(told, 'kind'), (timestamp, record_hash)) AS kind,
    argMax(stands, (timestamp, record_hash)) AS state,
    argMax(tuple(is_connected), (timestamp, record_hash)).1 AS connected,
    count() AS snapshots,
    countIf(stands = 'never_seen') AS never_seen,
    countIf(stands = 'stale') AS stale,
    countIf(stands = 'closed') AS closed,
    countIf(is_connected = false) AS disconnected,
    maxOrNull(staleness) AS staleness_max_ms,
    maxOrNull(gap) AS gap_max_ms,
    maxOrNull(reconnects) AS reconnects_max_1h,
    maxOrNull(if(updated BETWEEN 0 AND 9223372036854, fromUnixTimestamp64Milli(assumeNotNull(updated), 'UTC'), NULL)) AS last_update,
    max(timestamp) AS last_snapshot
FROM
(
    SELECT service, timestamp, record_hash, pair.1 AS source, pair.2 AS told
    FROM health_snapshots FINAL
    ARRAY JOIN JSONExtractKeysAndValuesRaw(sources) AS pair
    WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
        AND ({service:String} = '' OR service = {service:String})
)
WHERE {source:String} = '' OR source = {source:String}
GROUP BY service, source
ORDER BY indexOf(['never_seen', 'stale', 'seen', 'fresh', 'closed'], state), never_seen + stale DESC, gap_max_ms DESC, service, source
