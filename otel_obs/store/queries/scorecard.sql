-- Everything that is said in the traces whose id, or whose own span's id, begins with one of these: traces, stages, decisions.
-- What lies between them comes along as mere links to parents, as far as the raw spans are still kept.
WITH
    wanted AS
    (
        SELECT DISTINCT trace_id
        FROM traces
        WHERE arrayExists(id -> id != '' AND (startsWith(trace_id, id) OR startsWith(span_id, id)), {ids:Array(String)})
        LIMIT 100
    )
SELECT *
FROM
(
    SELECT
        'trace' AS kind, trace_id, span_id, parent_span_id, timestamp, duration_ns, service, toString(symbol) AS symbol, toString(status) AS status, error,
        toString(name) AS name, toString(project) AS project, toString(intent) AS intent, toString(domain) AS domain, query,
        score, score_max, passed, principles, gaps, toString(idle_reason) AS idle_reason, evidence, output,
        NULL::Nullable(UInt64) AS input_tokens, NULL::Nullable(UInt64) AS output_tokens, NULL::Nullable(Decimal(38, 18)) AS cost_usd,
        '' AS why, NULL::Nullable(Float64) AS confidence, false AS overridden,
        []::Array(Tuple(String, Nullable(String), String, String, String, String, String)) AS ledger
    FROM traces FINAL
    WHERE trace_id IN (SELECT trace_id FROM wanted)
    UNION ALL
    SELECT
        'stage', trace_id, span_id, parent_span_id, timestamp, duration_ns, service, toString(symbol), toString(status), error,
        toString(name), '', '', '', '',
        NULL, NULL, NULL, '', [], '', evidence, output,
        input_tokens, output_tokens, cost_usd,
        '', NULL, false, []
    FROM stages FINAL
    WHERE trace_id IN (SELECT trace_id FROM wanted)
    UNION ALL
    SELECT
        'decision', trace_id, span_id, parent_span_id, timestamp, duration_ns, service, toString(symbol), toString(outcome), error,
        toString(what), '', '', '', '',
        NULL, NULL, NULL, '', [], '', '', '',
        NULL, NULL, NULL,
        why, confidence, veto_overridden,
        arrayZip(
            arrayMap(x -> toString(x), `gates.name`), arrayMap(x -> toNullable(toString(x)), `gates.verdict`), arrayMap(x -> toString(x), `gates.mode`),
            `gates.observed`, `gates.threshold`, arrayMap(x -> toString(x), `gates.comparison`), arrayMap(x -> toString(x), `gates.unit`))
    FROM decisions FINAL
    WHERE trace_id IN (SELECT trace_id FROM wanted)
    UNION ALL
    SELECT
        'span', TraceId, SpanId, ParentSpanId, Timestamp, Duration, ServiceName, '', '', '',
        '', '', '', '', '',
        NULL, NULL, NULL, '', [], '', '', '',
        NULL, NULL, NULL,
        '', NULL, false, []
    FROM otel_traces FINAL
    WHERE TraceId IN (SELECT trace_id FROM wanted)
        AND NOT (mapContains(SpanAttributes, 'trace.name') OR mapContains(SpanAttributes, 'stage.name') OR mapContains(SpanAttributes, 'decision.what'))
)
ORDER BY timestamp, trace_id, span_id, kind
