-- Which names of one kind do records carry? The most used first.
SELECT name
FROM
(
    SELECT toString(service) AS name FROM decisions WHERE {kind:String} = 'service'
    UNION ALL
    SELECT toString(service) FROM traces WHERE {kind:String} = 'service'
    UNION ALL
    SELECT toString(service) FROM health_snapshots WHERE {kind:String} = 'service'
    UNION ALL
    SELECT toString(service) FROM delivery WHERE {kind:String} = 'service'
    UNION ALL
    SELECT toString(service) FROM delivered_numbers WHERE {kind:String} = 'service'
    UNION ALL
    SELECT toString(symbol) FROM decisions WHERE {kind:String} = 'symbol'
    UNION ALL
    SELECT toString(symbol) FROM traces WHERE {kind:String} = 'symbol'
    UNION ALL
    SELECT toString(name) FROM gates WHERE {kind:String} = 'gate'
    UNION ALL
    SELECT toString(intent) FROM traces WHERE {kind:String} = 'intent'
    UNION ALL
    SELECT toString(domain) FROM traces WHERE {kind:String} = 'domain'
    UNION ALL
    SELECT toString(project) FROM traces WHERE {kind:String} = 'project'
)
WHERE name != ''
GROUP BY name
ORDER BY count() DESC, name
LIMIT 1000
