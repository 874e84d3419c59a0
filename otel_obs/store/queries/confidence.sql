-- How did decisions end, by how sure the bot was? Tenths of confidence; the last one holds 1, an unknown one stands last.
SELECT
    if(isNull(confidence), NULL, arrayCount(edge -> assumeNotNull(confidence) >= edge / 10, range(1, 10))) AS tenth, -- times ten would round up what lies right below an edge
    tenth / 10 AS low,
    (tenth + 1) / 10 AS high,
    count() AS decisions,
    countIf(outcome = 'executed') AS executed,
    countIf(outcome = 'vetoed') AS vetoed,
    countIf(outcome = 'held') AS held,
    countIf(outcome = 'failed') AS failed,
    if(executed + vetoed + failed = 0, NULL, vetoed / (executed + vetoed + failed)) AS rejection_rate
FROM decisions FINAL
WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
    AND ({service:String} = '' OR service = {service:String})
    AND ({symbol:String} = '' OR symbol = {symbol:String})
GROUP BY tenth
ORDER BY tenth ASC NULLS LAST
