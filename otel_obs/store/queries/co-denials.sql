-- Which gates deny together, and which deny alone? Counted in decisions; other is NULL where no second gate denied.
WITH denied AS
    (
        SELECT arraySort(groupUniqArray(name)) AS names
        FROM gates FINAL
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
            AND ({service:String} = '' OR service = {service:String})
            AND ({symbol:String} = '' OR symbol = {symbol:String})
            AND ({gate_mode:String} = '' OR mode = {gate_mode:String})
            AND verdict = 'deny'
        GROUP BY service, timestamp, trace_id, span_id
    ),
    (
        SELECT mapFromArrays(groupArray(name), groupArray(times))
        FROM (SELECT arrayJoin(names) AS name, count() AS times FROM denied GROUP BY name)
    ) AS denials
SELECT
    pair.1 AS gate,
    if(pair.2 = '', NULL, pair.2) AS other,
    count() AS together,
    denials[gate] AS gate_denied,
    if(isNull(other), NULL, denials[pair.2]) AS other_denied,
    together / gate_denied AS share,
    if(isNull(other), NULL, together / (gate_denied + denials[pair.2] - together)) AS overlap
FROM
(
    SELECT
        arrayJoin(if(
            length(names) = 1,
            [(toString(names[1]), '')],
            arrayFlatten(arrayMap(
                gate -> arrayMap(other -> (toString(gate), toString(other)), arrayFilter(other -> other != gate, names)),
                names)))) AS pair
    FROM denied
)
GROUP BY pair
ORDER BY together DESC, gate, pair.2
