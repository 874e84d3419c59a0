-- What took longest? For a trace also the stage that took most of it.
WITH found AS
    (
        SELECT timestamp, service, symbol, kind, name, duration_ns, status, span_id, trace_id
        FROM
        (
            SELECT timestamp, service, symbol, 'trace' AS kind, toString(name) AS name, duration_ns, toString(status) AS status, span_id, trace_id
            FROM traces FINAL
            WHERE {kind:String} IN ('', 'trace')
            UNION ALL
            SELECT timestamp, service, symbol, 'stage', toString(name), duration_ns, toString(status), span_id, trace_id
            FROM stages FINAL
            WHERE {kind:String} IN ('', 'stage')
            UNION ALL
            SELECT timestamp, service, symbol, 'decision', toString(what), duration_ns, toString(outcome), span_id, trace_id
            FROM decisions FINAL
            WHERE {kind:String} IN ('', 'decision')
        )
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
            AND ({service:String} = '' OR service = {service:String})
            AND ({symbol:String} = '' OR symbol = {symbol:String})
        ORDER BY duration_ns DESC, timestamp DESC, trace_id, span_id, kind
        LIMIT {limit:UInt32}
    )
SELECT
    timestamp, service, symbol, kind, name, duration_ns / 1e6 AS duration_ms, status,
    longest.2 AS longest_stage,
    if(longest.2 = '', NULL, longest.1 / 1e6) AS longest_stage_ms,
    span_id, trace_id
FROM found
LEFT JOIN
(
    SELECT trace_id, parent_span_id, max((duration_ns, toString(name))) AS longest
    FROM stages FINAL
    WHERE parent_span_id != '' AND trace_id IN (SELECT trace_id FROM found)
    GROUP BY trace_id, parent_span_id
) AS inside ON inside.trace_id = found.trace_id AND inside.parent_span_id = found.span_id
ORDER BY duration_ns DESC, timestamp DESC, trace_id, span_id, kind
