-- Why did nothing happen? One row: the ledger of cycles and the ledger of decisions in [from, to).
-- A decision belongs to every cycle that is its ancestor. Where the only cycle of an OpenTelemetry trace is its root, all of
-- the trace's decisions are inside; elsewhere parents are followed, through whoever's spans lie between.
WITH RECURSIVE
    chosen AS
    (
        SELECT trace_id, span_id, outcome, veto_reason_primary
        FROM decisions FINAL
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
            AND ({service:String} = '' OR service = {service:String})
            AND ({symbol:String} = '' OR symbol = {symbol:String})
    ),
    cycles AS
    (
        SELECT trace_id, span_id, parent_span_id, status, idle_reason,
            timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
                AND ({service:String} = '' OR service = {service:String})
                AND ({symbol:String} = '' OR symbol = {symbol:String} OR symbol = '') AS in_window
        FROM traces FINAL
        WHERE ({intent:String} = '' OR intent = {intent:String})
            AND (
                trace_id IN (SELECT trace_id FROM chosen)
                OR (
                    timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
                    AND ({service:String} = '' OR service = {service:String})
                )
            )
    ),
    shapes AS
    (
        SELECT trace_id, count() = 1 AND any(parent_span_id) = '' AS is_simple, any(span_id) AS only_cycle
        FROM cycles
        GROUP BY trace_id
    ),
    inside AS
    (
        SELECT DISTINCT trace_id, span_id, parent_span_id
        FROM decisions FINAL
        WHERE trace_id IN (SELECT trace_id FROM shapes)
    ),
    parents AS
    (
        SELECT trace_id, span_id, any(parent_span_id) AS parent_span_id
        FROM
        (
            SELECT TraceId AS trace_id, SpanId AS span_id, ParentSpanId AS parent_span_id FROM otel_traces
            WHERE TraceId IN (SELECT trace_id FROM shapes WHERE NOT is_simple)
            UNION ALL
            SELECT trace_id, span_id, parent_span_id FROM traces
            WHERE trace_id IN (SELECT trace_id FROM shapes WHERE NOT is_simple)
            UNION ALL
            SELECT trace_id, span_id, parent_span_id FROM stages
            WHERE trace_id IN (SELECT trace_id FROM shapes WHERE NOT is_simple)
            UNION ALL
            SELECT trace_id, span_id, parent_span_id FROM decisions
            WHERE trace_id IN (SELECT trace_id FROM shapes WHERE NOT is_simple)
        )
        GROUP BY trace_id, span_id
    ),
    ancestors AS
    (
        SELECT trace_id, span_id AS decision, parent_span_id AS ancestor, 1 AS depth
        FROM inside
        WHERE trace_id IN (SELECT trace_id FROM shapes WHERE NOT is_simple)
        UNION ALL
        SELECT a.trace_id, a.decision, p.parent_span_id AS ancestor, a.depth + 1 AS depth
        FROM ancestors AS a
        INNER JOIN parents AS p ON p.trace_id = a.trace_id AND p.span_id = a.ancestor
        WHERE a.ancestor != '' AND a.depth < 100
    ),
    membership AS
    (
        SELECT i.trace_id AS trace_id, i.span_id AS decision, s.only_cycle AS cycle
        FROM inside AS i
        INNER JOIN shapes AS s ON s.trace_id = i.trace_id
        WHERE s.is_simple
        UNION ALL
        SELECT a.trace_id, a.decision, c.span_id
        FROM ancestors AS a
        INNER JOIN cycles AS c ON c.trace_id = a.trace_id AND c.span_id = a.ancestor
    ),
    judged AS
    (
        SELECT
            (trace_id, span_id) IN (SELECT trace_id, cycle FROM membership) AS is_decided,
            NOT is_decided AND status = 'failed' AS is_failed,
            NOT is_decided AND NOT is_failed AND idle_reason != '' AS is_idle,
            idle_reason
        FROM cycles
        WHERE in_window
    ),
    idle AS
    (
        SELECT idle_reason, count() AS n FROM judged WHERE is_idle GROUP BY idle_reason ORDER BY n DESC, idle_reason
    ),
    cycle_ledger AS
    (
        SELECT
            count() AS total,
            countIf(is_decided) AS decided,
            countIf(is_failed) AS failed,
            countIf(NOT is_decided AND NOT is_failed AND NOT is_idle) AS unexplained
        FROM judged
    ),
    vetoes AS
    (
        SELECT ifNull(veto_reason_primary, 'unnamed') AS gate, count() AS n
        FROM chosen
        WHERE outcome = 'vetoed'
        GROUP BY gate
        ORDER BY n DESC, gate
    ),
    decision_ledger AS
    (
        SELECT
            count() AS total,
            countIf(outcome = 'executed') AS executed,
            countIf(outcome = 'vetoed') AS vetoed,
            countIf(outcome = 'held') AS held,
            countIf(outcome = 'failed') AS failed,
            countIf((trace_id, span_id) NOT IN (SELECT trace_id, decision FROM membership)) AS outside_cycles,
            if(vetoed + executed + failed = 0, NULL, vetoed / (vetoed + executed + failed)) AS rejection_rate
        FROM chosen
    ),
    latest AS
    (
        SELECT max(at) AS at, count() > 0 AS is_recorded
        FROM
        (
            SELECT max(timestamp) AS at FROM decisions WHERE ({service:String} = '' OR service = {service:String}) HAVING count() > 0
            UNION ALL
            SELECT max(timestamp) AS at FROM traces WHERE ({service:String} = '' OR service = {service:String}) HAVING count() > 0
        )
    )
SELECT
    multiIf(
        NOT (SELECT is_recorded FROM latest), 'never_recorded',
        c.total = 0 AND d.total = 0, 'quiet',
        'active') AS state,
    if((SELECT is_recorded FROM latest), (SELECT at FROM latest), NULL) AS latest_record,
    c.total AS cycles_total,
    c.decided AS cycles_decided,
    (SELECT groupArray((idle_reason, n)) FROM idle) AS cycles_idle,
    c.failed AS cycles_failed,
    c.unexplained AS cycles_unexplained,
    d.total AS decisions,
    d.executed AS executed,
    d.vetoed AS vetoed,
    d.held AS held,
    d.failed AS failed,
    d.outside_cycles AS outside_cycles,
    (SELECT groupArray((gate, n)) FROM vetoes) AS by_gate,
    d.rejection_rate AS rejection_rate
FROM cycle_ledger AS c
CROSS JOIN decision_ledger AS d
