-- Which decisions arrived since a moment, the earliest first? Arrival is told in whole seconds.
SELECT
    timestamp, service, symbol, side, what, why, confidence, outcome, veto_reason_primary, veto_overridden,
    span_id, trace_id, ingested_at,
    count() OVER () AS total
FROM decisions FINAL
WHERE ingested_at >= {since:DateTime('UTC')}
    AND ({service:String} = '' OR service = {service:String})
    AND ({symbol:String} = '' OR symbol = {symbol:String})
    AND ({outcome:String} = '' OR outcome = {outcome:String})
    AND ({gate:String} = '' OR veto_reason_primary = {gate:String})
ORDER BY ingested_at, timestamp, trace_id, span_id
LIMIT {limit:UInt32}
