-- What became of each order: asked for by a decision, submitted, filled? The latest first.
-- An order's present state is its latest status by event time. A decision that acted without any order seen is listed, too.
WITH
    asked AS
    (
        SELECT service, timestamp, span_id, order_id, what, toString(side) AS side, toString(symbol) AS symbol
        FROM decisions FINAL
        WHERE outcome = 'executed'
    ),
    chosen AS -- every order of which anything falls into the window, the rest of it may lie outside
    (
        SELECT service, order_id FROM orders
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
        UNION ALL
        SELECT service, order_id FROM fills
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
        UNION ALL
        SELECT service, order_id FROM asked
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
    ),
    deciders AS
    (
        SELECT span_id FROM asked
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
    ),
    events AS
    (
        SELECT
            service, order_id, timestamp, toString(status) AS status, quantity AS ordered, '' AS execution,
            NULL::Nullable(Decimal(38, 18)) AS price, NULL::Nullable(Decimal(38, 18)) AS amount, NULL::Nullable(Decimal(38, 18)) AS fee, '' AS currency,
            toString(side) AS side, toString(symbol) AS symbol, decision_id, trade_id
        FROM orders FINAL
        WHERE order_id != '' AND ((service, order_id) IN (SELECT service, order_id FROM chosen) OR decision_id IN (SELECT span_id FROM deciders))
        UNION ALL -- an execution is its id: told twice, in other words, it is still one
        SELECT
            service, order_id, timestamp, '', NULL, if(fill_id = '', toString(record_hash), fill_id),
            price, quantity, fee, toString(fee_currency), toString(side), toString(symbol), decision_id, trade_id
        FROM (SELECT * FROM fills FINAL ORDER BY timestamp, record_hash)
        WHERE order_id != '' AND ((service, order_id) IN (SELECT service, order_id FROM chosen) OR decision_id IN (SELECT span_id FROM deciders))
        LIMIT 1 BY service, order_id, if(fill_id = '', toString(record_hash), fill_id)
    ),
    told AS
    (
        SELECT
            service, order_id,
            min(timestamp) AS told_at,
            minOrNullIf(timestamp, status = 'submitted') AS submitted_at,
            -- of one moment (a replay's bar) the status that is furthest along
            argMaxIf(status, (timestamp, indexOf(['submitted', 'accepted', 'partially_filled', 'cancelled', 'expired', 'rejected', 'filled'], status), status), status != '') AS latest_status,
            argMaxIf(ordered, timestamp, isNotNull(ordered)) AS ordered,
            countIf(execution != '') AS fills,
            minOrNullIf(timestamp, execution != '') AS first_fill_at,
            maxOrNullIf(timestamp, execution != '') AS last_fill_at,
            sumOrNull(toDecimal256(amount, 18)) AS filled,
            sumMapIf(map(currency, toDecimal256(ifNull(fee, toDecimal128(0, 18)), 18)), isNotNull(fee)) AS fees,
            -- 18 digits of each factor make 36; where one is too large for an exact sum, or unknown, there is no average
            countIf(execution != '' AND (isNull(price) OR isNull(amount) OR abs(price) >= 1e18 OR abs(amount) >= 1e18)) = 0 AS is_exact,
            sumIf(
                toDecimal256(ifNull(price, toDecimal128(0, 18)), 18) * toDecimal256(ifNull(amount, toDecimal128(0, 18)), 18),
                ifNull(abs(price) < 1e18 AND abs(amount) < 1e18, false)) AS notional,
            argMinIf(side, timestamp, side != '') AS order_side,
            argMinIf(symbol, timestamp, symbol != '') AS order_symbol,
            argMinIf(decision_id, timestamp, decision_id != '') AS by_decision,
            argMinIf(trade_id, timestamp, trade_id != '') AS trade
        FROM events
        GROUP BY service, order_id
    ),
    lines AS
    (
        SELECT
            t.service AS service, t.order_id AS order_id, told_at, submitted_at, latest_status, ordered, filled, fills, fees,
            first_fill_at, last_fill_at, is_exact, notional, order_side, order_symbol, trade,
            if(t.by_decision != '', t.by_decision, named.span_id) AS decider
        FROM told AS t
        LEFT ANY JOIN (SELECT service, order_id, span_id FROM asked WHERE order_id != '') AS named USING (service, order_id)
        UNION ALL
        SELECT
            service, order_id, timestamp, NULL, '', NULL, NULL, 0, map(), NULL, NULL, false, 0, side, symbol, '', span_id
        FROM asked
        WHERE span_id IN (SELECT span_id FROM deciders)
            AND span_id NOT IN (SELECT by_decision FROM told)
            AND (service, order_id) NOT IN (SELECT service, order_id FROM told)
    )
SELECT
    if(d.span_id != '', d.timestamp, told_at) AS timestamp,
    if(d.span_id != '', d.service, l.service) AS service,
    if(order_symbol != '', order_symbol, d.symbol) AS symbol,
    if(order_side != '', order_side, d.side) AS side,
    d.what AS what,
    order_id,
    multiIf(
        latest_status IN ('filled', 'cancelled', 'expired', 'rejected'), latest_status,
        ifNull(filled >= ordered, false), 'filled',
        fills > 0, if(latest_status = '', 'filled', 'partly filled'),
        latest_status != '', latest_status,
        'asked') AS state,
    latest_status,
    ordered,
    toDecimal128OrNull(toString(filled), 18) AS filled,
    if(is_exact AND ifNull(filled != 0, false), toDecimal128OrNull(toString(divideDecimal(notional, assumeNotNull(filled), 18)), 18), NULL) AS average_price,
    fees,
    fills,
    submitted_at,
    first_fill_at,
    last_fill_at,
    decider AS decision_id,
    trade AS trade_id,
    count() OVER () AS total,
    countIf(state = 'asked') OVER () AS only_asked,
    countIf(state = 'filled') OVER () AS whole,
    countIf(state = 'partly filled') OVER () AS part
FROM lines AS l
LEFT ANY JOIN asked AS d ON d.span_id = l.decider
WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
    AND ({service:String} = '' OR service = {service:String})
    AND ({symbol:String} = '' OR symbol = {symbol:String})
ORDER BY timestamp DESC, service, order_id, decision_id
LIMIT {limit:UInt32}
