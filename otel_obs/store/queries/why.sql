-- Why did nothing happen? One row: the ledger of cycles and the ledger of decisions in [from, to).
-- A decision belongs to every cycle that is its ancestor. Where the only cycle of an OpenTelemetry trace is its root, all
-- decisions of that trace are inside; elsewhere parents are followed, through whoever's spans lie between, for at most
-- 100 steps (a ring of parents ends there, too).
WITH
    touched AS -- OpenTelemetry traces with a decision or a cycle in the window; the rest of them may lie outside of it
    (
        SELECT trace_id FROM decisions
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
            AND ({service:String} = '' OR service = {service:String})
        UNION ALL
        SELECT trace_id FROM traces
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
            AND ({service:String} = '' OR service = {service:String})
    ),
    not_simple AS
    (
        SELECT trace_id FROM traces
        WHERE trace_id IN (SELECT trace_id FROM touched)
        GROUP BY trace_id
        HAVING uniqExact(span_id) > 1 OR any(parent_span_id) != ''
    ),
    spans AS
    (
        SELECT
            trace_id, span_id, parent_span_id, outcome, ifNull(veto_reason_primary, 'unnamed') AS gate,
            '' AS status, '' AS idle_reason, true AS is_decision, false AS is_cycle,
            timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
                AND ({service:String} = '' OR service = {service:String})
                AND ({symbol:String} = '' OR symbol = {symbol:String}) AS is_asked
        FROM decisions FINAL
        WHERE trace_id IN (SELECT trace_id FROM touched)
        UNION ALL
        SELECT
            trace_id, span_id, parent_span_id, '', '', status, idle_reason, false,
            {intent:String} = '' OR intent = {intent:String},
            timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
                AND ({service:String} = '' OR service = {service:String})
                AND ({symbol:String} = '' OR symbol IN ('', {symbol:String}))
        FROM traces FINAL
        WHERE trace_id IN (SELECT trace_id FROM touched)
        UNION ALL
        -- what may lie between a decision and its cycle
        SELECT TraceId, SpanId, ParentSpanId, '', '', '', '', false, false, false
        FROM otel_traces
        WHERE TraceId IN (SELECT trace_id FROM not_simple)
        UNION ALL
        -- the raw spans are kept for a shorter time than the typed ones
        SELECT trace_id, span_id, parent_span_id, '', '', '', '', false, false, false
        FROM stages
        WHERE trace_id IN (SELECT trace_id FROM not_simple)
    ),
    by_trace AS
    (
        SELECT
            groupArrayIf((span_id, parent_span_id, outcome, gate, is_asked), is_decision) AS its_decisions,
            groupArrayIf((span_id, parent_span_id, status, idle_reason, is_asked), is_cycle) AS its_cycles,
            mapFromArrays(groupArray(span_id), groupArray(parent_span_id)) AS parent_of,
            length(its_cycles) = 1 AND its_cycles[1].2 = '' AS is_simple,
            arrayMap(
                decision -> multiIf(
                    empty(its_cycles), [],
                    is_simple, [its_cycles[1].1],
                    arrayIntersect(
                        arrayMap(cycle -> cycle.1, its_cycles),
                        arrayFold(
                            (line, step) -> if(line[-1] = '', line, arrayPushBack(line, parent_of[line[-1]])),
                            range(100),
                            [decision.2]))),
                its_decisions) AS cycles_of_decisions,
            arrayDistinct(arrayFlatten(cycles_of_decisions)) AS decided,
            arrayFilter(cycle -> cycle.5, its_cycles) AS asked_cycles,
            arrayFilter(cycle -> NOT has(decided, cycle.1), asked_cycles) AS undecided,
            arrayFilter(cycle -> cycle.3 = 'failed', undecided) AS failed_cycles,
            arrayMap(cycle -> cycle.4, arrayFilter(cycle -> cycle.3 != 'failed' AND cycle.4 != '', undecided)) AS idle_reasons,
            arrayFilter(decision -> decision.5, its_decisions) AS asked_decisions,
            arrayMap(decision -> decision.4, arrayFilter(decision -> decision.3 = 'vetoed', asked_decisions)) AS vetoing_gates
        FROM spans
        GROUP BY trace_id
    ),
    recorded AS
    (
        SELECT max(latest) AS at
        FROM
        (
            SELECT maxOrNull(timestamp) AS latest FROM decisions WHERE {service:String} = '' OR service = {service:String}
            UNION ALL
            SELECT maxOrNull(timestamp) AS latest FROM traces WHERE {service:String} = '' OR service = {service:String}
        )
    )
SELECT
    (SELECT at FROM recorded) AS latest_record,
    multiIf(isNull(latest_record), 'never_recorded', cycles_total + decisions = 0, 'quiet', 'active') AS state,
    sum(length(asked_cycles)) AS cycles_total,
    sum(length(asked_cycles) - length(undecided)) AS cycles_decided,
    sum(length(failed_cycles)) AS cycles_failed,
    sum(length(undecided) - length(failed_cycles) - length(idle_reasons)) AS cycles_unexplained,
    sumMap(mapFromArrays(idle_reasons, arrayMap(reason -> 1, idle_reasons))) AS cycles_idle,
    sum(length(asked_decisions)) AS decisions,
    sum(arrayCount(decision -> decision.3 = 'executed', asked_decisions)) AS executed,
    sum(length(vetoing_gates)) AS vetoed,
    sum(arrayCount(decision -> decision.3 = 'held', asked_decisions)) AS held,
    sum(arrayCount(decision -> decision.3 = 'failed', asked_decisions)) AS failed,
    sum(arrayCount((decision, its) -> decision.5 AND empty(its), its_decisions, cycles_of_decisions)) AS outside_cycles,
    sumMap(mapFromArrays(vetoing_gates, arrayMap(gate -> 1, vetoing_gates))) AS by_gate,
    if(vetoed + executed + failed = 0, NULL, vetoed / (vetoed + executed + failed)) AS rejection_rate
FROM by_trace
