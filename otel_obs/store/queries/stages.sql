-- How long does each stage take, and which one is the bottleneck? Own time is that in which no stage directly inside ran.
-- Stages inside that overlap count once. In a replay all of them begin at the moment of the one that they are in: there
-- they are taken as one after the other.
WITH
    spans AS
    (
        SELECT *, cityHash64(trace_id, span_id) AS span
        FROM stages FINAL
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
            AND ({service:String} = '' OR service = {service:String})
            AND ({symbol:String} = '' OR symbol = {symbol:String})
    ),
    nested AS -- each stage in a stage, as nanoseconds from the outer one's start
    (
        SELECT
            p.span AS span, i.duration_ns AS inner_ns, p.duration_ns AS outer_ns,
            toInt128(toUnixTimestamp64Nano(i.timestamp)) - toUnixTimestamp64Nano(p.timestamp) AS starts,
            toUInt64(greatest(starts, 0)) AS begins,
            toUInt64(greatest(least(starts + inner_ns, toInt128(outer_ns)), 0)) AS ends
        FROM
        (
            SELECT timestamp, duration_ns, cityHash64(trace_id, parent_span_id) AS parent
            FROM stages FINAL
            WHERE parent_span_id != ''
        ) AS i
        INNER JOIN (SELECT span, timestamp, duration_ns FROM spans) AS p ON p.span = i.parent
    ),
    inside AS
    (
        SELECT
            span,
            if(countIf(starts != 0) = 0, sum(toUInt128(inner_ns)), toUInt128(intervalLengthSumIf(begins, ends, ends > begins))) AS inside_ns
        FROM nested
        GROUP BY span
    )
SELECT
    s.name AS stage,
    count() AS runs,
    countIf(s.status = 'failed') AS failed,
    quantileExactInclusive(0.5)(s.duration_ns) / 1e6 AS p50_ms,
    quantileExactInclusive(0.95)(s.duration_ns) / 1e6 AS p95_ms,
    quantileExactInclusive(0.99)(s.duration_ns) / 1e6 AS p99_ms,
    max(s.duration_ns) / 1e6 AS max_ms,
    sum(toUInt128(s.duration_ns)) / 1e6 AS total_ms, -- here and below: a sum of the column's own type would wrap without a word
    sum(if(s.duration_ns > i.inside_ns, s.duration_ns - i.inside_ns, toUInt128(0))) AS own_ns,
    own_ns / 1e6 AS own_ms,
    if(sum(own_ns) OVER () = 0, NULL, own_ns / sum(own_ns) OVER ()) AS share,
    sum(toUInt128(ifNull(s.input_tokens, 0))) AS input_tokens,
    sum(toUInt128(ifNull(s.output_tokens, 0))) AS output_tokens,
    sum(toDecimal256(ifNull(s.cost_usd, toDecimal128(0, 18)), 18)) AS cost_usd
FROM spans AS s
LEFT JOIN inside AS i ON i.span = s.span
GROUP BY s.name
ORDER BY own_ns DESC, stage
