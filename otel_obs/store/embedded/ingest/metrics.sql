INSERT INTO otel_metrics_{form} ({columns})
WITH
    nanoseconds -> fromUnixTimestamp64Nano(toInt64(least(nanoseconds, 9223372036854775807)), 'UTC') AS moment
SELECT {selected}
FROM file('{files}', 'JSONCompactEachRow', $structure${structure}$structure$)
SETTINGS
    -- rows that repeat inside a block are left to FINAL and to merges
    optimize_on_insert = 0
