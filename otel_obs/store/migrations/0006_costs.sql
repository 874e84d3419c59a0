-- What a stage cost, in US dollars, exactly; and an index for what arrived lately (`otel-obs tail`, retention).
-- Stages stored before this have no cost. The view is a total function, as in 0002.

ALTER TABLE stages ADD COLUMN IF NOT EXISTS cost_usd Nullable(Decimal(38, 18)) CODEC(ZSTD(1)) AFTER output_tokens;

ALTER TABLE stages_from_otel_traces MODIFY QUERY
WITH
    SpanAttributes AS a,
    ['gen_ai.usage.input_tokens', 'gen_ai.usage.output_tokens'] AS counts,
    -- as in orders
    a['stage.cost_usd'] AS cost_text,
    if(
        match(cost_text, '^[+-]?([0-9]+[.]?[0-9]{0,20}0*|[.][0-9]{1,20}0*)([eE]([+]?[0-9]{1,3}|-0?[0-9]|-1[0-8]))?$')
            AND toDecimal256OrNull(cost_text, 38) = toDecimal128OrNull(cost_text, 18),
        toDecimal128OrNull(cost_text, 18),
        NULL) AS cost
SELECT
    ServiceName AS service,
    Timestamp AS timestamp,
    TraceId AS trace_id,
    SpanId AS span_id,
    ParentSpanId AS parent_span_id,
    ResourceAttributes['deployment.environment.name'] AS environment,
    a['instrument.symbol'] AS symbol,
    a['stage.name'] AS name,
    if(isValidJSON(a['stage.evidence']), a['stage.evidence'], '') AS evidence,
    if(isValidJSON(a['stage.output']), a['stage.output'], '') AS output,
    a['gen_ai.request.model'] AS model,
    toUInt64OrNull(a['gen_ai.usage.input_tokens']) AS input_tokens,
    toUInt64OrNull(a['gen_ai.usage.output_tokens']) AS output_tokens,
    cost AS cost_usd,
    if(StatusCode = 'Error', 'failed', 'complete') AS status,
    StatusMessage AS error,
    Duration AS duration_ns,
    arrayConcat(
        JSONExtract(a['otel_obs.defects'], 'Array(String)'),
        arrayMap(
            key -> concat(key, ' is no JSON'),
            arrayFilter(key -> a[key] != '' AND NOT isValidJSON(a[key]), ['stage.evidence', 'stage.output'])),
        arrayMap(
            key -> concat(key, ' cannot be read'),
            arrayFilter(key -> a[key] != '' AND isNull(toUInt64OrNull(a[key])), counts)),
        if(cost_text != '' AND isNull(cost), ['stage.cost_usd cannot be read'], [])) AS defects
FROM otel_traces
WHERE mapContains(SpanAttributes, 'stage.name');

ALTER TABLE decisions ADD INDEX IF NOT EXISTS by_arrival ingested_at TYPE minmax GRANULARITY 1;
