-- How often does each gate let a candidate pass, and where does the observed value stand against the limit?
SELECT
    name AS gate,
    mode,
    count() AS evaluations,
    countIf(verdict IN ('pass', 'adjust')) AS passed,
    countIf(verdict = 'deny') AS denied,
    countIf(verdict = 'error') AS errors,
    countIf(isNull(verdict)) AS unreadable,
    passed / count() AS pass_rate,
    quantileExactInclusiveIf(0.5)(ifNull(observed, nan), isNotNull(observed)) AS median_observed_or_nan,
    if(isNaN(median_observed_or_nan), NULL, median_observed_or_nan) AS median_observed,
    quantileExactInclusiveIf(0.5)(ifNull(threshold, nan), isNotNull(threshold)) AS median_threshold_or_nan,
    if(isNaN(median_threshold_or_nan), NULL, median_threshold_or_nan) AS median_threshold,
    minOrNull(threshold) AS lowest_threshold,
    maxOrNull(threshold) AS highest_threshold,
    topK(1)(comparison)[1] AS comparison,
    topK(1)(unit)[1] AS unit,
    -- rounded: a tenth of a limit is a tenth, whatever the last bit of a quotient says
    countIf(round(abs(margin_ratio), 9) <= {near:Float64}) AS near_misses,
    countIf(round(abs(margin_ratio), 9) <= {near:Float64} AND verdict = 'deny') AS near_denials
FROM gates FINAL
WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
    AND ({service:String} = '' OR service = {service:String})
    AND ({symbol:String} = '' OR symbol = {symbol:String})
GROUP BY name, mode
ORDER BY denied DESC, evaluations DESC, gate, mode
