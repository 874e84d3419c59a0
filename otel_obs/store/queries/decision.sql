-- One decision, whole: what, why, with which gates, and what came of it. An id may be cut short, if it stays unique.
SELECT
    d.*,
    (
        SELECT groupArray((order_id, status, type, side, quantity, price, timestamp))
        FROM (SELECT * FROM orders FINAL WHERE decision_id IN (SELECT span_id FROM decisions WHERE startsWith(span_id, {id:String})) ORDER BY timestamp, order_id, status)
    ) AS orders,
    (
        SELECT groupArray((fill_id, order_id, side, quantity, price, fee, fee_currency, timestamp))
        FROM (SELECT * FROM fills FINAL WHERE decision_id IN (SELECT span_id FROM decisions WHERE startsWith(span_id, {id:String})) ORDER BY timestamp, fill_id)
    ) AS fills
FROM decisions AS d FINAL
WHERE startsWith(span_id, {id:String})
ORDER BY timestamp, trace_id
LIMIT 2
