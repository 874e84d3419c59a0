-- What became of each order: asked for by a decision, submitted, filled? The latest first.
-- An order's present state is its latest status by event time. A decision that acted without any order seen is listed, too.
-- What merely finds candidates reads without FINAL: a row too many there is left out by the window in the end.
WITH
    asked AS
    (
        SELECT service, timestamp, span_id, order_id, what, toString(side) AS side, toString(symbol) AS symbol
        FROM decisions FINAL
        WHERE outcome = 'executed'
    ),
    deciders AS
    (
        SELECT service, order_id, span_id FROM decisions
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')} AND outcome = 'executed'
    ),
    chosen AS -- every order of which anything, or whose decision, falls into the window; the rest of it may lie outside
    (
        SELECT service, order_id FROM orders
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
        UNION ALL
        SELECT service, order_id FROM fills
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
        UNION ALL
        SELECT service, order_id FROM deciders
        UNION ALL
        SELECT service, order_id FROM orders WHERE decision_id IN (SELECT span_id FROM deciders)
        UNION ALL
        SELECT service, order_id FROM fills WHERE decision_id IN (SELECT span_id FROM deciders)
    ),
    events AS
    (
        SELECT *
        FROM
        (
            SELECT
                service, order_id, timestamp, record_hash, toString(status) AS status, quantity AS ordered, '' AS execution,
                NULL::Nullable(Decimal(38, 18)) AS price, NULL::Nullable(Decimal(38, 18)) AS amount, NULL::Nullable(Decimal(38, 18)) AS fee, '' AS currency,
                toString(side) AS side, toString(symbol) AS symbol, decision_id, trade_id
            FROM orders FINAL
            UNION ALL
            SELECT
                service, order_id, timestamp, record_hash, '', NULL, if(fill_id = '', toString(record_hash), fill_id),
                price, quantity, fee, toString(fee_currency), toString(side), toString(symbol), decision_id, trade_id
            FROM fills FINAL
        )
        WHERE order_id != '' AND (service, order_id) IN (SELECT service, order_id FROM chosen)
        ORDER BY timestamp, record_hash -- an execution is its id: told twice, in other words, it is still one
        LIMIT 1 BY service, order_id, execution, if(execution = '', cityHash64(timestamp, status, record_hash), 0)
    ),
    told AS
    (
        SELECT
            service, order_id,
            min(timestamp) AS told_at,
            minOrNullIf(timestamp, status = 'submitted') AS submitted_at,
            -- of one moment (a replay's bar) the status that is furthest along
            argMaxIf(status, (timestamp, indexOf(['submitted', 'accepted', 'partially_filled', 'cancelled', 'expired', 'rejected', 'filled'], status), status), status != '') AS latest_status,
            argMaxIf(ordered, (timestamp, indexOf(['submitted', 'accepted', 'partially_filled', 'cancelled', 'expired', 'rejected', 'filled'], status), ordered), isNotNull(ordered)) AS ordered,
            countIf(execution != '') AS fills,
            minOrNullIf(timestamp, execution != '') AS first_fill_at,
            maxOrNullIf(timestamp, execution != '') AS last_fill_at,
            sumOrNull(toDecimal256(amount, 18)) AS filled,
            sumMapIf(map(currency, toDecimal256(ifNull(fee, toDecimal128(0, 18)), 18)), isNotNull(fee)) AS fees,
            -- 18 digits of each factor make 36; where one is too large for an exact sum, or unknown, there is no average
            countIf(execution != '' AND (isNull(price) OR isNull(amount) OR abs(price) >= toDecimal128('1000000000000000000', 18) OR abs(amount) >= toDecimal128('1000000000000000000', 18))) = 0 AS is_exact,
            sumIf(
                toDecimal256(ifNull(price, toDecimal128(0, 18)), 18) * toDecimal256(ifNull(amount, toDecimal128(0, 18)), 18),
                ifNull(abs(price) < toDecimal128('1000000000000000000', 18) AND abs(amount) < toDecimal128('1000000000000000000', 18), false)) AS notional,
            argMinIf(side, (timestamp, side), side != '') AS order_side,
            argMinIf(symbol, (timestamp, symbol), symbol != '') AS order_symbol,
            argMinIf(decision_id, (timestamp, decision_id), decision_id != '') AS by_decision,
            argMinIf(trade_id, (timestamp, trade_id), trade_id != '') AS trade
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
        LEFT JOIN
        (
            SELECT service, order_id, argMin(span_id, (timestamp, span_id)) AS span_id
            FROM asked
            WHERE order_id != ''
            GROUP BY service, order_id
        ) AS named USING (service, order_id)
        UNION ALL
        SELECT
            service, order_id, timestamp, NULL, '', NULL, NULL, 0, map(), NULL, NULL, false, 0, side, symbol, '', span_id
        FROM asked
        WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
            AND (service, order_id) NOT IN
            (
                SELECT service, order_id FROM orders WHERE order_id IN (SELECT order_id FROM deciders WHERE order_id != '')
                UNION ALL
                SELECT service, order_id FROM fills WHERE order_id IN (SELECT order_id FROM deciders WHERE order_id != '')
            )
            AND span_id NOT IN
            (
                SELECT decision_id FROM orders WHERE order_id != '' AND decision_id IN (SELECT span_id FROM deciders)
                UNION ALL
                SELECT decision_id FROM fills WHERE order_id != '' AND decision_id IN (SELECT span_id FROM deciders)
            )
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
    l.filled AS filled,
    if(is_exact AND ifNull(l.filled != 0, false), divideDecimal(notional, assumeNotNull(l.filled), 18), NULL) AS average_price,
    fees,
    fills,
    submitted_at,
    first_fill_at,
    last_fill_at,
    decider AS decision_id,
    trade AS trade_id,
    count() OVER () AS total,
    sumMap(map(state, 1)) OVER () AS states
FROM lines AS l
LEFT ANY JOIN asked AS d ON d.span_id = l.decider
WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')}
    AND ({service:String} = '' OR service = {service:String})
    AND ({symbol:String} = '' OR symbol = {symbol:String})
    AND ({state:String} = '' OR state = {state:String} OR ({state:String} = 'open' AND state NOT IN ('filled', 'cancelled', 'expired', 'rejected')))
ORDER BY timestamp DESC, service, order_id, decision_id
LIMIT {limit:UInt32}
