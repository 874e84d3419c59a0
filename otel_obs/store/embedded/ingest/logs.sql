INSERT INTO otel_logs
(
    Timestamp, TraceId, SpanId, TraceFlags, SeverityText, SeverityNumber, ServiceName, Body,
    ResourceSchemaUrl, ResourceAttributes, ScopeSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, LogAttributes, EventName
)
WITH
    {values}
SELECT
    moment(if(tupleElement(record, 'time_unix_nano') = 0, tupleElement(record, 'observed_time_unix_nano'), tupleElement(record, 'time_unix_nano'))),
    lower(hex(tupleElement(record, 'trace_id'))),
    lower(hex(tupleElement(record, 'span_id'))),
    toUInt8(bitAnd(tupleElement(record, 'flags'), 255)),
    tupleElement(record, 'severity_text'),
    toUInt8(greatest(0, least(tupleElement(record, 'severity_number'), 255))),
    resource_attributes['service.name'],
    value_text(tupleElement(record, 'body')),
    resource_url,
    resource_attributes,
    scope_url,
    tupleElement(scope, 'name'),
    tupleElement(scope, 'version'),
    scope_attributes,
    record_attributes,
    tupleElement(record, 'event_name')
FROM
(
    SELECT
        rendered[1] AS resource_attributes,
        rendered[2] AS scope_attributes,
        resource_url,
        scope,
        scope_url,
        arrayJoin(arrayZip(records, arraySlice(rendered, 3))) AS record_and_attributes,
        tupleElement(record_and_attributes, 1) AS record,
        tupleElement(record_and_attributes, 2) AS record_attributes
    FROM
    (
        -- all attributes are rendered in one place: the engine analyses the lambdas anew at each mention
        WITH
            {values}
        SELECT
            resource_url,
            tupleElement(scope_logs, 'scope') AS scope,
            tupleElement(scope_logs, 'schema_url') AS scope_url,
            tupleElement(scope_logs, 'log_records') AS records,
            arrayMap(
                pairs -> attributes(pairs),
                arrayConcat(
                    [resource_pairs, tupleElement(scope, 'attributes')],
                    arrayMap(record -> tupleElement(record, 'attributes'), records))) AS rendered
        FROM
        (
            SELECT
                tupleElement(tupleElement(resource_logs, 'resource'), 'attributes') AS resource_pairs,
                tupleElement(resource_logs, 'schema_url') AS resource_url,
                arrayJoin(tupleElement(resource_logs, 'scope_logs')) AS scope_logs
            FROM (SELECT arrayJoin(resource_logs) AS resource_logs FROM file('{files}', 'ProtobufSingle', $structure${structure}$structure$))
        )
    )
)
SETTINGS
    format_schema = '{schema}:Logs',
    input_format_protobuf_oneof_presence = 1,
    -- together these more than double the rate; rows that repeat inside a block are left to FINAL and to merges
    optimize_on_insert = 0,
    parallel_view_processing = 1,
    max_insert_threads = 2
