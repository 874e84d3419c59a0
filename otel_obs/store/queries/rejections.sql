-- Which gate refused how much, hour by hour in the reader's time zone?
WITH
    chosen AS
    (
        SELECT
            toStartOfHour(toTimeZone(timestamp, {tz:String})) AS hour,
            outcome,
            ifNull(veto_reason_primary, 'unnamed') AS gate
        FROM decisions FINAL
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
            AND ({service:String} = '' OR service = {service:String})
            AND ({symbol:String} = '' OR symbol = {symbol:String})
    ),
    hours AS
    (
        SELECT
            hour,
            count() AS decisions,
            countIf(outcome = 'vetoed') AS vetoed,
            countIf(outcome IN ('vetoed', 'executed', 'failed')) AS candidates
        FROM chosen
        GROUP BY hour
    )
SELECT
    g.hour AS hour,
    g.gate AS gate,
    g.vetoes AS vetoes,
    g.vetoes / h.vetoed AS share,
    h.decisions AS decisions,
    h.vetoed AS vetoed,
    h.vetoed / h.candidates AS rejection_rate
FROM (SELECT hour, gate, count() AS vetoes FROM chosen WHERE outcome = 'vetoed' GROUP BY hour, gate) AS g
INNER JOIN hours AS h ON h.hour = g.hour
ORDER BY hour, vetoes DESC, gate
