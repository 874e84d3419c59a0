-- Which gates deny together, and which deny alone? Counted in decisions; other is NULL where no second gate denied.
-- A gate that is paired with itself tells all that it denied.
WITH
    denied AS
    (
        SELECT
            arrayDistinct(arrayMap(
                name -> if(name = '', 'unnamed', toString(name)),
                arrayFilter(
                    (name, verdict, gate_mode) -> ifNull(verdict = 'deny', false) AND ({gate_mode:String} = '' OR gate_mode = {gate_mode:String}),
                    `gates.name`, `gates.verdict`, `gates.mode`))) AS names,
            count() AS times,
            countIf(outcome = 'vetoed') AS vetoes
        FROM decisions FINAL
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
            AND ({service:String} = '' OR service = {service:String})
            AND ({symbol:String} = '' OR symbol = {symbol:String})
            AND notEmpty(names)
        GROUP BY names
    ),
    pairs AS
    (
        SELECT pair.1 AS name, pair.2 AS with_name, sum(times) AS decisions, sum(vetoes) AS vetoed
        FROM denied
        ARRAY JOIN arrayConcat(
            if(length(names) = 1, [(names[1], '')], []),
            arrayFlatten(arrayMap(name -> arrayMap(with_name -> (name, with_name), names), names))) AS pair
        GROUP BY pair
    )
SELECT
    name AS gate,
    nullIf(with_name, '') AS other,
    decisions AS together,
    vetoed,
    gate_denied,
    if(with_name = '', NULL, with_name_denied) AS other_denied,
    together / gate_denied AS share,
    if(with_name = '', NULL, together / (gate_denied + with_name_denied - together)) AS overlap
FROM
(
    SELECT
        *,
        sumIf(decisions, name = with_name) OVER (PARTITION BY name) AS gate_denied,
        sumIf(decisions, name = with_name) OVER (PARTITION BY with_name) AS with_name_denied
    FROM pairs
)
WHERE name != with_name
ORDER BY together DESC, gate, with_name
