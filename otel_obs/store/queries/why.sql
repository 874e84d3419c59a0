-- Why did nothing happen? One row: the ledger of cycles and the ledger of decisions in [from, to).
-- A decision belongs to every cycle that is itself or above it. Where the only cycle of an OpenTelemetry trace is its root,
-- all decisions of that trace are inside; elsewhere (a tangled trace) parents are followed, through whoever's spans lie
-- between, for at most 100 steps (a ring of parents ends there, too).
-- The engine runs a WITH query anew wherever it is named, but a scalar subquery once. No recursion: the engine may cancel a
-- recursive step that nobody waits for. An array that a lambda takes along is copied for each element: good for the many
-- small traces, deadly for one that holds a whole session, whose parents are therefore looked up in one constant table.
WITH
    touched AS -- OpenTelemetry traces with a decision or a cycle in the window; the rest of them may lie outside of it
    (
        SELECT trace_id FROM decisions
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')} AND ({service:String} = '' OR service = {service:String})
        UNION ALL
        SELECT trace_id FROM traces
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')} AND ({service:String} = '' OR service = {service:String})
    ),
    (
        SELECT groupArray(trace_id)
        FROM
        (
            SELECT trace_id
            FROM traces
            WHERE trace_id IN (SELECT trace_id FROM touched) AND ({intent:String} = '' OR intent = {intent:String})
            GROUP BY trace_id
            HAVING uniqExact(span_id) > 1 OR any(parent_span_id) != ''
        )
    ) AS tangled,
    lines AS -- every span of these, and its parent
    (
        SELECT
            trace_id, is_decision, is_cycle, cityHash64(trace_id, span_id) AS span,
            if(parent_span_id = '', 0, cityHash64(trace_id, parent_span_id)) AS parent
        FROM
        (
            SELECT trace_id, span_id, parent_span_id, true AS is_decision, false AS is_cycle
            FROM decisions
            WHERE trace_id IN (SELECT arrayJoin(tangled))
            UNION ALL
            SELECT trace_id, span_id, parent_span_id, false, ({intent:String} = '' OR intent = {intent:String})
            FROM traces
            WHERE trace_id IN (SELECT arrayJoin(tangled))
            UNION ALL
            SELECT TraceId, SpanId, ParentSpanId, false, false
            FROM otel_traces
            WHERE TraceId IN (SELECT arrayJoin(tangled))
            UNION ALL -- the raw spans are kept for a shorter time than the typed ones
            SELECT trace_id, span_id, parent_span_id, false, false
            FROM stages
            WHERE trace_id IN (SELECT arrayJoin(tangled))
        )
    ),
    (SELECT groupArray(trace_id) FROM (SELECT trace_id FROM lines GROUP BY trace_id HAVING count() > 500)) AS large,
    (
        SELECT (groupArray(span), groupArray(parent))
        FROM (SELECT span, any(parent) AS parent FROM lines WHERE trace_id IN (SELECT arrayJoin(large)) GROUP BY span)
    ) AS links,
    lineage AS -- each decision of a tangled trace, and all that is above it
    (
        SELECT
            span AS decision,
            arrayJoin(arrayFold(
                (line, step) -> if(line[-1] = 0, line, arrayPushBack(line, transform(line[-1], links.1, links.2, 0))),
                range(100),
                [span])) AS above
        FROM lines
        WHERE is_decision AND trace_id IN (SELECT arrayJoin(large))
        UNION ALL
        SELECT pair.1, pair.2
        FROM
        (
            SELECT
                arrayJoin(arrayFlatten(arrayMap(
                    decision -> arrayMap(
                        above -> (decision, above),
                        arrayFold(
                            (line, step) -> if(line[-1] = 0, line, arrayPushBack(line, parent_of[line[-1]])),
                            range(100),
                            [decision])),
                    decisions))) AS pair
            FROM
            (
                SELECT
                    groupUniqArrayIf(span, is_decision) AS decisions,
                    mapFromArrays(groupArray(span), groupArray(parent)) AS parent_of
                FROM lines
                GROUP BY trace_id
                HAVING count() <= 500
            )
        )
    ),
    members AS -- the decisions that are in a cycle, and the cycles that they are in
    (
        SELECT DISTINCT arrayJoin([(false, decision), (true, above)]) AS member
        FROM lineage
        WHERE above IN (SELECT span FROM lines WHERE is_cycle)
    ),
    spans AS
    (
        SELECT
            true AS is_cycle, trace_id, cityHash64(trace_id, span_id) AS span, parent_span_id AS parent_of_cycle,
            status AS ended, '' AS gate, idle_reason,
            timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
                AND ({service:String} = '' OR service = {service:String})
                AND ({symbol:String} = '' OR symbol IN ('', {symbol:String})) AS is_asked
        FROM traces FINAL
        WHERE trace_id IN (SELECT trace_id FROM touched) AND ({intent:String} = '' OR intent = {intent:String})
        UNION ALL
        SELECT
            false, trace_id, cityHash64(trace_id, span_id), '', outcome, ifNull(veto_reason_primary, 'unnamed'), '',
            timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
                AND ({service:String} = '' OR service = {service:String})
                AND ({symbol:String} = '' OR symbol = {symbol:String})
        FROM decisions FINAL
        WHERE trace_id IN (SELECT trace_id FROM touched)
    ),
    judged AS
    (
        SELECT
            is_cycle, ended, gate, idle_reason,
            multiIf(
                cycles_of_trace > 1 OR parent_of_only_cycle != '', (is_cycle, span) IN (SELECT member FROM members),
                is_cycle, decisions_of_trace > 0,
                cycles_of_trace > 0) AS is_member
        FROM
        (
            SELECT *,
                countIf(is_cycle) OVER (PARTITION BY trace_id) AS cycles_of_trace,
                countIf(NOT is_cycle) OVER (PARTITION BY trace_id) AS decisions_of_trace,
                max(parent_of_cycle) OVER (PARTITION BY trace_id) AS parent_of_only_cycle
            FROM spans
        )
        WHERE is_asked
    ),
    ( -- of what is asked about, whenever it was
        SELECT max(latest)
        FROM
        (
            SELECT maxOrNull(timestamp) AS latest FROM decisions
            WHERE ({service:String} = '' OR service = {service:String}) AND ({symbol:String} = '' OR symbol = {symbol:String})
            UNION ALL
            SELECT maxOrNull(timestamp) AS latest FROM traces
            WHERE ({service:String} = '' OR service = {service:String}) AND ({symbol:String} = '' OR symbol IN ('', {symbol:String}))
        )
    ) AS latest
SELECT
    latest AS latest_record,
    multiIf(isNull(latest), 'never_recorded', count() = 0, 'quiet', 'active') AS state,
    countIf(is_cycle) AS cycles_total,
    countIf(is_cycle AND is_member) AS cycles_decided,
    countIf(is_cycle AND NOT is_member AND ended = 'failed') AS cycles_failed,
    sumMapIf(map(idle_reason, 1), is_cycle AND NOT is_member AND ended != 'failed' AND idle_reason != '') AS cycles_idle,
    countIf(is_cycle AND NOT is_member AND ended != 'failed' AND idle_reason = '') AS cycles_unexplained,
    countIf(NOT is_cycle) AS decisions,
    countIf(NOT is_cycle AND ended = 'executed') AS executed,
    countIf(NOT is_cycle AND ended = 'vetoed') AS vetoed,
    countIf(NOT is_cycle AND ended = 'held') AS held,
    countIf(NOT is_cycle AND ended = 'failed') AS failed,
    countIf(NOT is_cycle AND NOT is_member) AS outside_cycles,
    sumMapIf(map(gate, 1), NOT is_cycle AND ended = 'vetoed') AS by_gate,
    if(vetoed + executed + failed = 0, NULL, vetoed / (vetoed + executed + failed)) AS rejection_rate
FROM judged
