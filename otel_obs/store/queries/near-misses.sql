-- Which evaluations of a gate came close to its limit, on either side? The closest first.
SELECT
    timestamp, service, symbol, name AS gate, mode, verdict, observed, threshold, comparison, unit, margin, margin_ratio,
    outcome, span_id, trace_id,
    count() OVER () AS total,
    countIf(verdict = 'deny') OVER () AS denied,
    countIf(verdict IN ('pass', 'adjust')) OVER () AS passed
FROM gates FINAL
WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
    AND ({service:String} = '' OR service = {service:String})
    AND ({symbol:String} = '' OR symbol = {symbol:String})
    AND ({gate:String} = '' OR name = {gate:String})
    AND ({verdict:String} = '' OR verdict = {verdict:String})
    AND ({gate_mode:String} = '' OR mode = {gate_mode:String})
    -- rounded: a tenth of a limit is a tenth, whatever the last bit of a quotient says
    AND isNotNull(margin_ratio) AND round(abs(margin_ratio), 9) <= {near:Float64}
ORDER BY abs(margin_ratio), timestamp DESC, trace_id, span_id, ordinal
LIMIT {limit:UInt32}
