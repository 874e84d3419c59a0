-- Which traces did not pass their quality gate, the latest first?
SELECT
    timestamp, service, name, project, intent, domain, symbol, query, status, score, score_max, passed, gaps, idle_reason,
    duration_ns / 1e6 AS duration_ms, span_id, trace_id,
    count() OVER () AS total
FROM traces FINAL
WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
    AND ({service:String} = '' OR service = {service:String})
    AND ({intent:String} = '' OR intent = {intent:String})
    AND ({domain:String} = '' OR domain = {domain:String})
    AND ({project:String} = '' OR project = {project:String})
    AND passed = false
ORDER BY timestamp DESC, trace_id, span_id
LIMIT {limit:UInt32}
