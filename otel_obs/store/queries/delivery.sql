-- Where are the records that were produced? A row for each instance and tier: its latest statement, and what arrived of its
-- numbers; and a row for each service with records that have no number, whose instance and tier are NULL.
-- A set holds 65536 numbers. Of the gaps only the first are told, so that only the first sets that lack numbers are looked
-- into; a gap may come in three pieces: the end of a set, sets that are not there at all, and the start of another.
WITH
    heard AS -- instances that said something in the window, or of which something arrived in it
    (
        SELECT service, instance
        FROM delivery
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
            AND ({service:String} = '' OR service = {service:String})
            AND ({instance:String} = '' OR instance = {instance:String})
        UNION DISTINCT
        SELECT service, instance
        FROM delivered_numbers
        WHERE ({service:String} = '' OR service = {service:String})
            AND ({instance:String} = '' OR instance = {instance:String})
        GROUP BY service, instance
        HAVING max(ingested_at) >= {from:DateTime64(9, 'UTC')} AND min(first_came) < {to:DateTime64(9, 'UTC')}
    ),
    told AS -- the latest statement of each that can be read; counts only grow, so that a clock set back does not matter
    (
        SELECT service, instance, tier, statement, if(isNull(statement.2), NULL, statement.3) AS numbered
        FROM
        (
            SELECT
                service, instance, tier,
                argMax(
                    tuple(
                        timestamp, produced, numbered, ifNull(journaled, 0), ifNull(unconfirmed, 0),
                        ifNull(sampled, 0), untaken, lost, ifNull(ended, false), ifNull(kill_switch, false), defects),
                    (isNotNull(produced) AND isNotNull(numbered), ifNull(ended, false), ifNull(produced, 0), ifNull(delivered, 0), timestamp, record_hash)) AS statement
            FROM delivery
            WHERE timestamp < {to:DateTime64(9, 'UTC')}
                AND (service, instance) IN (SELECT service, instance FROM heard)
                AND ({tier:String} = '' OR tier = {tier:String})
            GROUP BY service, instance, tier
        )
    ),
    sets AS
    (
        SELECT
            service, instance, tier, chunk, groupBitmapMergeState(offsets) AS held
        FROM delivered_numbers
        WHERE (service, instance) IN (SELECT service, instance FROM heard) AND ({tier:String} = '' OR tier = {tier:String})
        GROUP BY service, instance, tier, chunk
    ),
    placed AS -- each set beside what was said, and an empty one behind the last that should be there
    (
        SELECT service, instance, tier, chunk, held, numbered, false AS is_end
        FROM sets
        LEFT JOIN told USING (service, instance, tier)
        UNION ALL
        SELECT service, instance, tier, intDiv(ifNull(numbered, 0), 65536) + 1, bitmapBuild(emptyArrayUInt32()), numbered, true
        FROM told
    ),
    counted AS
    (
        SELECT
            *,
            bitmapCardinality(held) AS arrived,
            intDiv(ifNull(numbered, 0), 65536) AS last_chunk,
            multiIf(
                chunk > last_chunk, 0,
                chunk < last_chunk, arrived,
                bitmapCardinality(bitmapSubsetInRange(held, toUInt32(0), toUInt32(ifNull(numbered, 0) % 65536 + 1)))) AS stored,
            multiIf(chunk > last_chunk, 0, chunk < last_chunk, 65536, ifNull(numbered, 0) % 65536 + 1) > stored + (chunk = 0) AS lacks,
            lagInFrame(toNullable(chunk + 1), 1, 0) OVER
            (
                PARTITION BY service, instance, tier ORDER BY chunk ASC, is_end ASC
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS next
        FROM placed
    ),
    ranked AS
    (
        SELECT
            *,
            assumeNotNull(next) < least(chunk, last_chunk + 1) AS follows_nothing,
            sum(lacks OR follows_nothing) OVER
            (
                PARTITION BY service, instance, tier ORDER BY chunk ASC, is_end ASC
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS rank
        FROM counted
    ),
    holed AS
    (
        SELECT
            service, instance, tier, chunk, arrived, stored, numbered, last_chunk, next, follows_nothing,
            if(
                lacks AND rank <= 2 * {gaps:UInt64} + 2,
                arraySort(bitmapToArray(bitmapAndnot(bitmapBuild(range(toUInt32(65536))), held))),
                emptyArrayUInt32()) AS absent,
            arrayDifference(absent) AS steps,
            arrayConcat(
                if(
                    follows_nothing AND rank <= 2 * {gaps:UInt64} + 2,
                    [(greatest(assumeNotNull(next) * 65536, 1), least(chunk * 65536, assumeNotNull(numbered) + 1))],
                    []),
                arrayMap(
                    (first, last) -> (greatest(chunk * 65536 + first, 1), least(chunk * 65536 + last + 1, assumeNotNull(numbered) + 1)),
                    arrayFilter((offset, step) -> step != 1, absent, steps),
                    arrayFilter((offset, step) -> step != 1, absent, arrayPopFront(arrayPushBack(steps, 0))))) AS pieces
        FROM ranked
    ),
    arrivals AS
    (
        SELECT
            service, instance, tier,
            any(numbered) AS numbered,
            sum(arrived) AS arrived,
            sum(stored) AS stored,
            arraySlice(
                arraySort(groupArrayArray(arrayFilter(piece -> piece.1 < piece.2, pieces))), 1, 3 * {gaps:UInt64} + 3) AS pieces
        FROM holed
        GROUP BY service, instance, tier
    )
SELECT
    toString(service) AS service,
    toNullable(instance) AS instance,
    toNullable(toString(tier)) AS tier,
    if(isNull(numbered), NULL, statement.1) AS statement_at,
    if(isNull(numbered), NULL, statement.2) AS produced,
    numbered,
    arrived,
    stored,
    statement.4 AS journaled,
    statement.5 AS unconfirmed,
    statement.6 AS sampled,
    JSONExtractKeysAndValues(statement.7, 'UInt64') AS untaken,
    JSONExtractKeysAndValues(statement.8, 'UInt64') AS lost,
    multiIf(
        isNull(numbered), '',
        statement.9, 'ended',
        statement.1 < {to:DateTime64(9, 'UTC')} - toIntervalMinute(15), 'silent',
        'running') AS process,
    statement.10 AS kill_switch,
    statement.11 AS defects,
    pieces,
    {gaps:UInt64} AS most_gaps,
    toUInt64(0) AS not_numbered
FROM arrivals
LEFT JOIN told USING (service, instance, tier)
UNION ALL
SELECT toString(service), NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, [], [], '', false, [], [], 0, sum(records)
FROM
(
    SELECT ServiceName AS service, count() AS records
    FROM otel_traces FINAL
    PREWHERE seq = 0
    WHERE Timestamp >= {from:DateTime64(9, 'UTC')} AND Timestamp < {to:DateTime64(9, 'UTC')}
        AND ({service:String} = '' OR ServiceName = {service:String})
        AND ({instance:String} = '' OR ResourceAttributes['service.instance.id'] = {instance:String})
        AND ({tier:String} = '' OR SpanAttributes['otel_obs.tier'] = {tier:String})
        AND ServiceName != 'otel-obs-doctor' -- its marked span is no record of a bot's
    GROUP BY service
    UNION ALL
    SELECT ServiceName AS service, count() AS records -- a statement has no number, and is none that is missing
    FROM otel_logs FINAL
    PREWHERE seq = 0
    WHERE Timestamp >= {from:DateTime64(9, 'UTC')} AND Timestamp < {to:DateTime64(9, 'UTC')}
        AND ({service:String} = '' OR ServiceName = {service:String})
        AND ({instance:String} = '' OR ResourceAttributes['service.instance.id'] = {instance:String})
        AND ({tier:String} = '' OR LogAttributes['otel_obs.tier'] = {tier:String})
        AND EventName != 'delivery' AND LogAttributes['event.name'] != 'delivery'
    GROUP BY service
)
GROUP BY service
