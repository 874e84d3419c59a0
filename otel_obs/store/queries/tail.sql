-- Which decisions arrived since a moment, the earliest first? Arrival is told in whole seconds and is seen
-- a little later, so what arrived shortly before that moment is told again: whoever asks leaves out what it has seen.
SELECT
    timestamp, service, symbol, side, what, why, confidence, outcome, veto_reason_primary, veto_overridden,
    span_id, trace_id,
    toUnixTimestamp(ingested_at) AS arrived,
    count() OVER () AS total
FROM decisions FINAL
WHERE ingested_at >= toDateTime({since:UInt32} - 15, 'UTC')
    AND ({service:String} = '' OR service = {service:String})
    AND ({symbol:String} = '' OR symbol = {symbol:String})
    AND ({outcome:String} = '' OR outcome = {outcome:String})
    AND ({gate:String} = '' OR veto_reason_primary = {gate:String})
ORDER BY arrived, timestamp, trace_id, span_id
