-- Which evaluations of a gate came close to its limit, on either side? The closest first.
SELECT
    timestamp, service, symbol, name AS gate, mode, verdict, observed, threshold, comparison, unit, margin, margin_ratio,
    outcome, span_id, trace_id,
    count() OVER () AS total
FROM gates FINAL
WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
    AND ({service:String} = '' OR service = {service:String})
    AND ({symbol:String} = '' OR symbol = {symbol:String})
    AND ({gate:String} = '' OR name = {gate:String})
    AND isNotNull(margin_ratio) AND abs(margin_ratio) <= {near:Float64}
ORDER BY abs(margin_ratio), timestamp DESC, trace_id, span_id, ordinal
LIMIT {limit:UInt32}
