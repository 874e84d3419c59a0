-- Which principles fall short most often? A trace counts for a principle that it was scored by, or that it names as a gap.
SELECT
    principle,
    count() AS runs,
    countIf(is_gap) AS failures,
    failures / runs AS failure_rate,
    if(countIf(isNotNull(score)) = 0, NULL, sum(ifNull(score, 0)) / countIf(isNotNull(score))) AS average_score,
    maxOrNullIf(at, is_gap) AS last_failure
FROM
(
    SELECT
        timestamp AS at,
        arrayJoin(arrayDistinct(arrayConcat(gaps, JSONExtractKeys(principles)))) AS principle,
        has(gaps, principle) AS is_gap,
        -- JSONExtract would read 1 from true, and a number, even NaN, from a text
        if(JSONType(principles, principle) IN ('Int64', 'UInt64', 'Double'), JSONExtract(principles, principle, 'Nullable(Float64)'), NULL) AS score
    FROM traces FINAL
    WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
        AND ({service:String} = '' OR service = {service:String})
        AND ({intent:String} = '' OR intent = {intent:String})
        AND ({domain:String} = '' OR domain = {domain:String})
        AND ({project:String} = '' OR project = {project:String})
)
GROUP BY principle
HAVING runs >= {min_runs:UInt32}
ORDER BY failures DESC, failure_rate DESC, principle
