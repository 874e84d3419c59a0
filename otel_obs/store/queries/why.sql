-- Why did nothing happen? One row: the ledger of cycles and the ledger of decisions in [from, to).
-- A decision belongs to every cycle that is itself or above it. Where the only cycle of an OpenTelemetry trace is its root,
-- all decisions of that trace are inside; elsewhere parents are followed, through whoever's spans lie between, for at most
-- 100 steps (a ring of parents ends there, too).
-- The engine runs a WITH query anew wherever it is named, but a scalar subquery once: so what is needed in several places
-- is gathered into arrays. No recursion: the engine may cancel a recursive step that nobody waits for. No array is taken
-- along into a lambda, where it would be copied for every row.
WITH
    ( -- OpenTelemetry traces with a decision or a cycle in the window; the rest of them may lie outside of it
        SELECT groupUniqArray(trace_id)
        FROM
        (
            SELECT trace_id FROM decisions
            WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
                AND ({service:String} = '' OR service = {service:String})
                AND ({symbol:String} = '' OR symbol = {symbol:String})
            UNION ALL
            SELECT trace_id FROM traces
            WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
                AND ({service:String} = '' OR service = {service:String})
                AND ({symbol:String} = '' OR symbol IN ('', {symbol:String}))
                AND ({intent:String} = '' OR intent = {intent:String})
        )
    ) AS touched,
    ( -- those whose decisions may lie beside a cycle, or in several
        SELECT groupArray(trace_id)
        FROM
        (
            SELECT trace_id
            FROM traces
            WHERE trace_id IN (SELECT arrayJoin(touched)) AND ({intent:String} = '' OR intent = {intent:String})
            GROUP BY trace_id
            HAVING uniqExact(span_id) > 1 OR any(parent_span_id) != ''
        )
    ) AS tangled,
    ( -- every span of these and its parent, as hashes
        SELECT (groupArray(span), groupArray(parent))
        FROM
        (
            SELECT
                cityHash64(trace_id, span_id) AS span,
                any(if(parent_span_id = '', 0, cityHash64(trace_id, parent_span_id))) AS parent
            FROM
            (
                SELECT TraceId AS trace_id, SpanId AS span_id, ParentSpanId AS parent_span_id FROM otel_traces
                WHERE TraceId IN (SELECT arrayJoin(tangled))
                UNION ALL -- the raw spans are kept for a shorter time than the typed ones
                SELECT trace_id, span_id, parent_span_id FROM traces WHERE trace_id IN (SELECT arrayJoin(tangled))
                UNION ALL
                SELECT trace_id, span_id, parent_span_id FROM stages WHERE trace_id IN (SELECT arrayJoin(tangled))
                UNION ALL
                SELECT trace_id, span_id, parent_span_id FROM decisions WHERE trace_id IN (SELECT arrayJoin(tangled))
            )
            GROUP BY span
        )
    ) AS links,
    spans AS
    (
        SELECT
            true AS is_cycle, trace_id, cityHash64(trace_id, span_id) AS span, parent_span_id AS parent_of_cycle,
            status AS ended, '' AS gate, idle_reason,
            timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
                AND ({service:String} = '' OR service = {service:String})
                AND ({symbol:String} = '' OR symbol IN ('', {symbol:String})) AS is_asked
        FROM traces FINAL
        WHERE trace_id IN (SELECT arrayJoin(touched)) AND ({intent:String} = '' OR intent = {intent:String})
        UNION ALL
        SELECT
            false, trace_id, cityHash64(trace_id, span_id), '', outcome, ifNull(veto_reason_primary, 'unnamed'), '',
            timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
                AND ({service:String} = '' OR service = {service:String})
                AND ({symbol:String} = '' OR symbol = {symbol:String})
        FROM decisions FINAL
        WHERE trace_id IN (SELECT arrayJoin(touched))
    ),
    members AS -- in tangled traces: the decisions that are in a cycle, and the cycles that they are in
    (
        SELECT DISTINCT arrayJoin([(false, decision), (true, above)]) AS member
        FROM
        (
            SELECT
                cityHash64(trace_id, span_id) AS decision,
                arrayJoin(arrayFold(
                    (line, step) -> if(line[-1] = 0, line, arrayPushBack(line, transform(line[-1], links.1, links.2, 0))),
                    range(100),
                    [decision])) AS above
            FROM decisions
            WHERE trace_id IN (SELECT arrayJoin(tangled))
        )
        WHERE above IN (
            SELECT cityHash64(trace_id, span_id) FROM traces
            WHERE trace_id IN (SELECT arrayJoin(tangled)) AND ({intent:String} = '' OR intent = {intent:String}))
    ),
    judged AS
    (
        SELECT
            is_cycle, ended, gate, idle_reason,
            multiIf(
                cycles_of_trace > 1 OR parent_of_first_cycle != '', (is_cycle, span) IN (SELECT member FROM members),
                is_cycle, decisions_of_trace > 0,
                cycles_of_trace > 0) AS is_member
        FROM
        (
            SELECT *,
                countIf(is_cycle) OVER (PARTITION BY trace_id) AS cycles_of_trace,
                countIf(NOT is_cycle) OVER (PARTITION BY trace_id) AS decisions_of_trace,
                max(parent_of_cycle) OVER (PARTITION BY trace_id) AS parent_of_first_cycle
            FROM spans
        )
        WHERE is_asked
    ),
    ( -- of whom and what is asked about, whenever it was
        SELECT max(latest)
        FROM
        (
            SELECT maxOrNull(timestamp) AS latest FROM decisions
            WHERE ({service:String} = '' OR service = {service:String}) AND ({symbol:String} = '' OR symbol = {symbol:String})
            UNION ALL
            SELECT maxOrNull(timestamp) AS latest FROM traces
            WHERE ({service:String} = '' OR service = {service:String})
                AND ({symbol:String} = '' OR symbol IN ('', {symbol:String}))
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
