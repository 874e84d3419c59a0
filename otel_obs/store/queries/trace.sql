-- Every span of one trace, with what it says of itself.
SELECT
    SpanId AS span_id,
    ParentSpanId AS parent_span_id,
    SpanName AS name,
    ServiceName AS service,
    Timestamp AS timestamp,
    Duration AS duration_ns,
    StatusCode AS status,
    StatusMessage AS error,
    mapSort(SpanAttributes) AS attributes,
    d.outcome AS outcome,
    d.veto_reason_primary AS veto_reason_primary,
    length(d.`gates.name`) AS gates_evaluated
FROM otel_traces AS s FINAL
LEFT JOIN (SELECT span_id, outcome, veto_reason_primary, `gates.name` FROM decisions FINAL WHERE trace_id = {id:String}) AS d
    ON d.span_id = s.SpanId
WHERE TraceId = {id:String}
ORDER BY Timestamp, SpanId
