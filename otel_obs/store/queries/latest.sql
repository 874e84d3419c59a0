-- When is the latest record of what is asked about? NULL where there is none.
SELECT max(at) AS latest
FROM
(
    SELECT maxOrNull(timestamp) AS at FROM decisions
    WHERE ({service:String} = '' OR service = {service:String}) AND ({symbol:String} = '' OR symbol = {symbol:String})
    UNION ALL
    SELECT maxOrNull(timestamp) FROM traces
    WHERE ({service:String} = '' OR service = {service:String}) AND ({symbol:String} = '' OR symbol IN ('', {symbol:String}))
)
