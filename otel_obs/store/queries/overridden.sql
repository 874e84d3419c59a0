-- Which decisions acted though an enforced gate had denied, the latest first?
SELECT
    timestamp, service, symbol, side, what, why,
    ifNull(veto_reason_primary, 'unnamed') AS denied_by,
    veto_reason_secondary AS also_denied_by,
    guard_details, order_id, span_id, trace_id,
    count() OVER () AS total
FROM decisions FINAL
WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
    AND ({service:String} = '' OR service = {service:String})
    AND ({symbol:String} = '' OR symbol = {symbol:String})
    AND ({gate:String} = '' OR veto_reason_primary = {gate:String} OR has(veto_reason_secondary, {gate:String}))
    AND veto_overridden
ORDER BY timestamp DESC, trace_id, span_id
LIMIT {limit:UInt32}
