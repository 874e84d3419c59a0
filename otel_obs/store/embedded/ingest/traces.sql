INSERT INTO otel_traces
(
    Timestamp, TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName, ResourceAttributes,
    ScopeName, ScopeVersion, SpanAttributes, Duration, StatusCode, StatusMessage,
    Events.Timestamp, Events.Name, Events.Attributes,
    Links.TraceId, Links.SpanId, Links.TraceState, Links.Attributes
)
WITH
    {values}
SELECT
    moment(span.start_time_unix_nano),
    lower(hex(span.trace_id)),
    lower(hex(span.span_id)),
    lower(hex(span.parent_span_id)),
    span.trace_state,
    span.name,
    ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'][span.kind + 1],
    resource_attributes['service.name'],
    resource_attributes,
    scope_spans.scope.name,
    scope_spans.scope.version,
    attributes(span.attributes),
    if(span.end_time_unix_nano > span.start_time_unix_nano, span.end_time_unix_nano - span.start_time_unix_nano, 0),
    ['Unset', 'Ok', 'Error'][span.status.code + 1],
    span.status.message,
    arrayMap(event -> moment(event.time_unix_nano), span.events),
    arrayMap(event -> toLowCardinality(event.name), span.events),
    arrayMap(event -> attributes(event.attributes), span.events),
    arrayMap(link -> lower(hex(link.trace_id)), span.links),
    arrayMap(link -> lower(hex(link.span_id)), span.links),
    arrayMap(link -> link.trace_state, span.links),
    arrayMap(link -> attributes(link.attributes), span.links)
FROM
(
    SELECT resource_attributes, scope_spans, arrayJoin(scope_spans.spans) AS span
    FROM
    (
        WITH
            {values}
        SELECT attributes(resource_spans.resource.attributes) AS resource_attributes, arrayJoin(resource_spans.scope_spans) AS scope_spans
        FROM (SELECT arrayJoin(resource_spans) AS resource_spans FROM file('{files}', 'ProtobufSingle', $structure${structure}$structure$))
    )
)
SETTINGS
    format_schema = '{schema}:Traces',
    input_format_protobuf_oneof_presence = 1,
    -- together these more than double the rate; rows that repeat inside a block are left to FINAL and to merges
    optimize_on_insert = 0,
    parallel_view_processing = 1,
    max_insert_threads = 2
