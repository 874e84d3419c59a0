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
    moment(started),
    lower(hex(tupleElement(span, 'trace_id'))),
    lower(hex(tupleElement(span, 'span_id'))),
    lower(hex(tupleElement(span, 'parent_span_id'))),
    tupleElement(span, 'trace_state'),
    tupleElement(span, 'name'),
    ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'][tupleElement(span, 'kind') + 1],
    resource_attributes['service.name'],
    resource_attributes,
    tupleElement(scope, 'name'),
    tupleElement(scope, 'version'),
    maps[1],
    if(ended > started, ended - started, 0),
    ['Unset', 'Ok', 'Error'][tupleElement(status, 'code') + 1],
    tupleElement(status, 'message'),
    arrayMap(event -> moment(tupleElement(event, 'time_unix_nano')), events),
    arrayMap(event -> toLowCardinality(tupleElement(event, 'name')), events),
    arraySlice(maps, 2, length(events)),
    arrayMap(link -> lower(hex(tupleElement(link, 'trace_id'))), links),
    arrayMap(link -> lower(hex(tupleElement(link, 'span_id'))), links),
    arrayMap(link -> tupleElement(link, 'trace_state'), links),
    arraySlice(maps, length(events) + 2)
FROM
(
    SELECT
        rendered[1][1] AS resource_attributes,
        scope,
        arrayJoin(arrayZip(spans, arrayPopFront(rendered))) AS span_and_maps,
        tupleElement(span_and_maps, 1) AS span,
        tupleElement(span_and_maps, 2) AS maps,
        tupleElement(span, 'start_time_unix_nano') AS started,
        tupleElement(span, 'end_time_unix_nano') AS ended,
        tupleElement(span, 'status') AS status,
        tupleElement(span, 'events') AS events,
        tupleElement(span, 'links') AS links
    FROM
    (
        -- all attributes are rendered in one place, those of the resource first and then, for each span, its own, its events'
        -- and its links': the engine analyses the lambdas anew at each mention
        WITH
            {values}
        SELECT
            tupleElement(scope_spans, 'scope') AS scope,
            tupleElement(scope_spans, 'spans') AS spans,
            arrayMap(
                lists -> arrayMap(pairs -> attributes(pairs), lists),
                arrayConcat(
                    [[resource_pairs]],
                    arrayMap(
                        span -> arrayConcat(
                            [tupleElement(span, 'attributes')],
                            arrayMap(event -> tupleElement(event, 'attributes'), tupleElement(span, 'events')),
                            arrayMap(link -> tupleElement(link, 'attributes'), tupleElement(span, 'links'))),
                        spans))) AS rendered
        FROM
        (
            SELECT
                tupleElement(tupleElement(resource_spans, 'resource'), 'attributes') AS resource_pairs,
                arrayJoin(tupleElement(resource_spans, 'scope_spans')) AS scope_spans
            FROM (SELECT arrayJoin(resource_spans) AS resource_spans FROM file('{files}', 'ProtobufSingle', $structure${structure}$structure$))
        )
    )
)
SETTINGS
    format_schema = '{schema}:Traces',
    input_format_protobuf_oneof_presence = 1,
    -- together these more than double the rate; rows that repeat inside a block are left to FINAL and to merges
    optimize_on_insert = 0,
    parallel_view_processing = 1,
    max_insert_threads = 2
