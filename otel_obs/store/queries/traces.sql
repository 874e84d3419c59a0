-- Which traces were there, by intent, domain, project, status and score? The latest first.
SELECT
    timestamp, service, name, project, intent, domain, symbol, query, status, score, score_max, passed, gaps, idle_reason,
    duration_ns / 1e6 AS duration_ms, span_id, trace_id,
    count() OVER () AS total
FROM traces FINAL
WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
    AND ({service:String} = '' OR service = {service:String})
    AND ({symbol:String} = '' OR symbol = {symbol:String})
    AND ({intent:String} = '' OR intent = {intent:String})
    AND ({domain:String} = '' OR domain = {domain:String})
    AND ({project:String} = '' OR project = {project:String})
    AND ({status:String} = '' OR status = {status:String})
    AND ({quality:String} = '' OR ifNull(passed = ({quality:String} = 'passed'), false))
    AND (isNull({min_score:Nullable(Float64)}) OR ifNull(score >= {min_score:Nullable(Float64)}, false))
    AND (isNull({max_score:Nullable(Float64)}) OR ifNull(score <= {max_score:Nullable(Float64)}, false))
ORDER BY timestamp DESC, trace_id, span_id
LIMIT {limit:UInt32}
