-- How long does each stage take, and which one is the bottleneck? Own time leaves out the stages that lie inside.
WITH
    spans AS
    (
        SELECT *
        FROM stages FINAL
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
            AND ({service:String} = '' OR service = {service:String})
            AND ({symbol:String} = '' OR symbol = {symbol:String})
    ),
    inner_stages AS
    (
        SELECT trace_id, parent_span_id, sum(duration_ns) AS inside_ns
        FROM stages FINAL
        WHERE parent_span_id != '' AND trace_id IN (SELECT trace_id FROM spans)
        GROUP BY trace_id, parent_span_id
    )
SELECT
    s.name AS stage,
    count() AS runs,
    countIf(s.status = 'failed') AS failed,
    quantileExactInclusive(0.5)(s.duration_ns) / 1e6 AS p50_ms,
    quantileExactInclusive(0.95)(s.duration_ns) / 1e6 AS p95_ms,
    quantileExactInclusive(0.99)(s.duration_ns) / 1e6 AS p99_ms,
    max(s.duration_ns) / 1e6 AS max_ms,
    sum(s.duration_ns) / 1e6 AS total_ms,
    sum(if(s.duration_ns > i.inside_ns, s.duration_ns - i.inside_ns, 0)) AS own_ns,
    own_ns / 1e6 AS own_ms,
    if(sum(own_ns) OVER () = 0, NULL, own_ns / sum(own_ns) OVER ()) AS share,
    sum(ifNull(s.input_tokens, 0)) AS input_tokens,
    sum(ifNull(s.output_tokens, 0)) AS output_tokens,
    sum(ifNull(s.cost_usd, toDecimal128(0, 18))) AS cost_usd
FROM spans AS s
LEFT JOIN inner_stages AS i ON i.trace_id = s.trace_id AND i.parent_span_id = s.span_id
GROUP BY s.name
ORDER BY own_ns DESC, stage
