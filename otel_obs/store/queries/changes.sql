-- What differs between the window [from, to) and the one it is held against, [base_from, base_to)?
-- Only what differs is listed. Where the windows are not equally long, counts are per hour, or per day from two days on;
-- a window without length has none of these. A limit that takes more than five texts moves: its median alone is told.
WITH
    {from:DateTime64(9, 'UTC')} AS start, {to:DateTime64(9, 'UTC')} AS end,
    {base_from:DateTime64(9, 'UTC')} AS base_start, {base_to:DateTime64(9, 'UTC')} AS base_end,
    dateDiff('nanosecond', start, end) AS length_ns,
    dateDiff('nanosecond', base_start, base_end) AS base_length_ns,
    if(greatest(length_ns, base_length_ns) < 172800000000000, 3.6e12, 8.64e13) AS unit_ns,
    if(length_ns = base_length_ns, 1, unit_ns / nullIf(length_ns, 0)) AS per_now,
    if(length_ns = base_length_ns, 1, unit_ns / nullIf(base_length_ns, 0)) AS per_base,
    multiIf(length_ns = base_length_ns, '', unit_ns = 3.6e12, ' per hour', ' per day') AS each,
    made AS
    (
        SELECT timestamp >= start AND timestamp < end AS is_now, timestamp >= base_start AND timestamp < base_end AS is_base,
            service, symbol, outcome
        FROM decisions FINAL
        WHERE (is_now OR is_base)
            AND ({service:String} = '' OR service = {service:String})
            AND ({symbol:String} = '' OR symbol = {symbol:String})
    ),
    counted AS
    (
        SELECT subject, name, [is_base, is_now] AS side, outcome
        FROM made
        ARRAY JOIN ['all', 'service', 'symbol'] AS subject, ['', toString(service), toString(symbol)] AS name
        WHERE subject = 'all' OR name != ''
    ),
    ended AS -- decisions of each subject, as [before, after]
    (
        SELECT
            subject, name,
            sumForEach(side) AS made,
            sumForEach(arrayMap(x -> x AND outcome = 'executed', side)) AS executed,
            sumForEach(arrayMap(x -> x AND outcome = 'vetoed', side)) AS vetoed,
            sumForEach(arrayMap(x -> x AND outcome = 'held', side)) AS held,
            sumForEach(arrayMap(x -> x AND outcome = 'failed', side)) AS failed,
            arrayMap((v, e, f) -> if(v + e + f = 0, NULL, v / (v + e + f)), vetoed, executed, failed) AS rate
        FROM counted
        GROUP BY subject, name
    ),
    evaluated AS -- by limit first, so that a text is made once for each
    (
        SELECT
            concat(name, if(mode = 'shadow', ' (shadow)', '')) AS gate,
            trim(BOTH ' ' FROM concat(transform(toString(comparison), ['at_most', 'at_least', 'equals', 'between'], ['≤ ', '≥ ', '= ', 'in '], ''), threshold_raw, ' ', unit)) AS said,
            sumForEach([is_base, is_now]) AS asked,
            sumForEach([is_base AND ifNull(verdict = 'deny', false), is_now AND ifNull(verdict = 'deny', false)]) AS denied,
            quantileExactInclusiveStateIf(0.5)(assumeNotNull(threshold), is_base AND isNotNull(threshold)) AS base_limits,
            quantileExactInclusiveStateIf(0.5)(assumeNotNull(threshold), is_now AND isNotNull(threshold)) AS now_limits,
            quantileExactInclusiveStateIf(0.5)(assumeNotNull(observed), is_base AND isNotNull(observed)) AS base_seen,
            quantileExactInclusiveStateIf(0.5)(assumeNotNull(observed), is_now AND isNotNull(observed)) AS now_seen,
            minOrNullIf(timestamp, is_now) AS first_now
        FROM
        (
            SELECT timestamp, name, mode, verdict, observed, threshold, comparison, threshold_raw, unit,
                timestamp >= start AND timestamp < end AS is_now,
                timestamp >= base_start AND timestamp < base_end AS is_base
            FROM gates FINAL
            WHERE (is_now OR is_base)
                AND ({service:String} = '' OR service = {service:String})
                AND ({symbol:String} = '' OR symbol = {symbol:String})
        )
        GROUP BY name, mode, comparison, threshold_raw, unit
    ),
    limits AS
    (
        SELECT
            gate,
            sumForEach(evaluated.asked) AS asked,
            sumForEach(evaluated.denied) AS denied,
            arrayMap((d, n) -> if(n = 0, NULL, d / n), denied, asked) AS rate,
            [quantileExactInclusiveMerge(0.5)(base_limits), quantileExactInclusiveMerge(0.5)(now_limits)] AS middle,
            [quantileExactInclusiveMerge(0.5)(base_seen), quantileExactInclusiveMerge(0.5)(now_seen)] AS seen,
            minOrNullIf(first_now, evaluated.asked[1] = 0 AND evaluated.asked[2] > 0) AS since,
            arrayMap(
                texts -> if(length(texts) > 5, '', arrayStringConcat(arraySort(texts), ', ')),
                [groupUniqArrayIf(6)(said, evaluated.asked[1] > 0), groupUniqArrayIf(6)(said, evaluated.asked[2] > 0)]) AS texts
        FROM evaluated
        GROUP BY gate
    ),
    measures AS
    (
        SELECT
            subject, name, line.1 AS measure, line.2 AS is_count, line.3 AS numbers, ['', ''] AS texts,
            [made[1] > 0, made[2] > 0] AS is_there, NULL::Nullable(DateTime64(9, 'UTC')) AS since
        FROM ended
        ARRAY JOIN [
            ('decisions', true, arrayMap(x -> toNullable(toFloat64(x)), made)),
            ('executed', true, arrayMap(x -> toNullable(toFloat64(x)), executed)),
            ('vetoed', true, arrayMap(x -> toNullable(toFloat64(x)), vetoed)),
            ('held', true, arrayMap(x -> toNullable(toFloat64(x)), held)),
            ('failed', true, arrayMap(x -> toNullable(toFloat64(x)), failed)),
            ('rejection rate', false, rate)] AS line
        WHERE subject = 'all' OR line.1 IN ('decisions', 'rejection rate')
        UNION ALL
        SELECT
            'gate', gate, line.1, line.2, line.3, line.4, [asked[1] > 0, asked[2] > 0], if(line.1 = 'limit', since, NULL)
        FROM limits
        ARRAY JOIN [
            ('evaluations', true, arrayMap(x -> toNullable(toFloat64(x)), asked), ['', '']),
            ('denied', false, rate, ['', '']),
            ('median observed', false, arrayMap(x -> if(isNaN(x), NULL, x), seen), ['', '']),
            ('limit', false, arrayMap(x -> if(isNaN(x), NULL, x), middle), texts)] AS line
    )
SELECT
    subject, name,
    concat(measure, if(is_count, each, '')) AS measure,
    numbers[1] * if(is_count, per_base, 1) AS before,
    numbers[2] * if(is_count, per_now, 1) AS after,
    after - before AS difference,
    texts[1] AS before_text,
    texts[2] AS after_text,
    multiIf(
        is_there[1] AND NOT is_there[2], 'vanished',
        is_there[2] AND NOT is_there[1], 'appeared',
        isNotNull(difference) AND difference > 0, 'rose',
        isNotNull(difference) AND difference < 0, 'fell',
        'changed') AS change,
    since
FROM measures
WHERE (is_there[1] OR is_there[2])
    AND (texts[1] != texts[2] OR isNull(before) != isNull(after) OR ifNull(before != after, false))
ORDER BY
    subject = 'gate' AND measures.measure = 'limit' DESC, indexOf(['all', 'gate', 'symbol', 'service'], subject), change IN ('appeared', 'vanished') DESC,
    name, indexOf(['decisions', 'rejection rate', 'executed', 'vetoed', 'held', 'failed', 'denied', 'median observed', 'evaluations'], measures.measure)
