-- What was recorded, and how did it end? One row for each service, and one for all of them.
SELECT
    if(grouping(service_name) = 1, NULL, service_name) AS service,
    min(at) AS first_record,
    max(at) AS latest_record,
    countIf(kind = 'trace') AS traces,
    countIf(kind = 'trace' AND ended = 'failed') AS traces_failed,
    countIf(kind = 'decision') AS decisions,
    countIf(kind = 'decision' AND ended = 'executed') AS executed,
    countIf(kind = 'decision' AND ended = 'vetoed') AS vetoed,
    countIf(kind = 'decision' AND ended = 'held') AS held,
    countIf(kind = 'decision' AND ended = 'failed') AS failed,
    if(executed + vetoed + failed = 0, NULL, vetoed / (executed + vetoed + failed)) AS rejection_rate,
    uniqExactIf((service_name, order_id), kind = 'order' AND order_id != '') AS orders,
    uniqExactIf((service_name, order_id, execution), kind = 'fill') AS fills, -- an execution is its id, as in orders
    countIf(isNotNull(score_value)) AS scored,
    if(scored = 0, NULL, sum(ifNull(score_value, 0)) / scored) AS average_score,
    countIf(ifNull(passed_gate, false)) AS passed,
    countIf(NOT ifNull(passed_gate, true)) AS not_passed,
    sum(toUInt128(tokens_in)) AS input_tokens, -- a sum of the columns' own types would wrap without a word
    sum(toUInt128(tokens_out)) AS output_tokens,
    sum(toDecimal256(cost, 18)) AS cost_usd
FROM
(
    SELECT
        'trace' AS kind, service AS service_name, symbol, timestamp AS at, toString(status) AS ended, '' AS order_id, '' AS execution,
        score AS score_value, passed AS passed_gate, toUInt64(0) AS tokens_in, toUInt64(0) AS tokens_out, toDecimal128(0, 18) AS cost
    FROM traces FINAL
    UNION ALL
    SELECT 'decision', service, symbol, timestamp, toString(outcome), '', '', NULL, NULL, 0, 0, 0 FROM decisions FINAL
    UNION ALL
    SELECT 'order', service, symbol, timestamp, '', order_id, '', NULL, NULL, 0, 0, 0 FROM orders FINAL
    UNION ALL
    SELECT 'fill', service, symbol, timestamp, '', order_id, if(fill_id = '', toString(record_hash), fill_id), NULL, NULL, 0, 0, 0 FROM fills FINAL
    UNION ALL
    SELECT
        'stage', service, symbol, timestamp, '', '', '', NULL, NULL, ifNull(input_tokens, 0), ifNull(output_tokens, 0),
        ifNull(cost_usd, toDecimal128(0, 18))
    FROM stages FINAL
)
WHERE at >= {from:DateTime64(9, 'UTC')} AND at < {to:DateTime64(9, 'UTC')}
    AND ({service:String} = '' OR service_name = {service:String})
    AND ({symbol:String} = '' OR symbol = {symbol:String})
GROUP BY GROUPING SETS ((service_name), ())
HAVING count() > 0
ORDER BY grouping(service_name) DESC, decisions DESC, service_name
