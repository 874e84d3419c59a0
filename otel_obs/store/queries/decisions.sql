-- Which decisions were there, the latest first?
SELECT
    timestamp, service, symbol, side, what, why, confidence, outcome, veto_reason_primary, veto_overridden,
    span_id, trace_id,
    count() OVER () AS total
FROM decisions FINAL
WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
    AND ({service:String} = '' OR service = {service:String})
    AND ({symbol:String} = '' OR symbol = {symbol:String})
    AND ({outcome:String} = '' OR outcome = {outcome:String})
    AND ({gate:String} = '' OR veto_reason_primary = {gate:String})
ORDER BY timestamp DESC, trace_id, span_id
LIMIT {limit:UInt32}
