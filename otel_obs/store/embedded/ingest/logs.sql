INSERT INTO otel_logs
(
    Timestamp, TraceId, SpanId, TraceFlags, SeverityText, SeverityNumber, ServiceName, Body,
    ResourceSchemaUrl, ResourceAttributes, ScopeSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, LogAttributes, EventName
)
WITH
    {values}
SELECT
    moment(if(record.time_unix_nano = 0, record.observed_time_unix_nano, record.time_unix_nano)),
    lower(hex(record.trace_id)),
    lower(hex(record.span_id)),
    toUInt8(bitAnd(record.flags, 255)),
    record.severity_text,
    toUInt8(greatest(0, least(record.severity_number, 255))),
    resource_attributes['service.name'],
    value_text(record.body),
    resource_url,
    resource_attributes,
    scope_logs.schema_url,
    scope_logs.scope.name,
    scope_logs.scope.version,
    attributes(scope_logs.scope.attributes),
    attributes(record.attributes),
    record.event_name
FROM
(
    SELECT resource_attributes, resource_url, scope_logs, arrayJoin(scope_logs.log_records) AS record
    FROM
    (
        WITH
            {values}
        SELECT
            attributes(resource_logs.resource.attributes) AS resource_attributes,
            resource_logs.schema_url AS resource_url,
            arrayJoin(resource_logs.scope_logs) AS scope_logs
        FROM (SELECT arrayJoin(resource_logs) AS resource_logs FROM file('{files}', 'ProtobufSingle', $structure${structure}$structure$))
    )
)
SETTINGS
    format_schema = '{schema}:Logs',
    input_format_protobuf_oneof_presence = 1,
    -- together these more than double the rate; rows that repeat inside a block are left to FINAL and to merges
    optimize_on_insert = 0,
    parallel_view_processing = 1,
    max_insert_threads = 2
