-- How a value of OTLP becomes text, as the Collector's ClickHouse exporter writes it: scalars plain, lists and maps as JSON.
-- A value deeper than the engine can read stops the statement (Code 395); the receiver then rewrites that body and tries again.
inner -> if(
    throwIf(inner.which IN ('array_value', 'kvlist_value') AND notEmpty(concat(inner.array_value, inner.kvlist_value)), 'value nested too deeply for the engine'),
    '',
    multiIf(
        inner.which = 'string_value', toJSONString(inner.string_value),
        inner.which = 'int_value', toString(inner.int_value),
        inner.which = 'double_value', if(isFinite(inner.double_value), toString(inner.double_value), toJSONString(toString(inner.double_value))),
        inner.which = 'bool_value', if(inner.bool_value, 'true', 'false'),
        inner.which = 'bytes_value', toJSONString(base64Encode(inner.bytes_value)),
        inner.which = 'array_value', '[]',
        inner.which = 'kvlist_value', '{}',
        'null')) AS inner_text,
any -> multiIf(
    any.which = 'string_value', any.string_value,
    any.which = 'double_value', toString(any.double_value),
    any.which = 'int_value', toString(any.int_value),
    any.which = 'bool_value', if(any.bool_value, 'true', 'false'),
    any.which = 'array_value', concat('[', arrayStringConcat(arrayMap(item -> inner_text(item), any.array_value_values), ','), ']'),
    any.which = 'kvlist_value', concat('{', arrayStringConcat(arrayMap(pair -> concat(toJSONString(pair.key), ':', inner_text(pair.value)), any.kvlist_value_values), ','), '}'),
    any.which = 'bytes_value', base64Encode(any.bytes_value),
    '') AS value_text,
pairs -> mapFromArrays(arrayMap(pair -> toLowCardinality(pair.key), pairs), arrayMap(pair -> value_text(pair.value), pairs)) AS attributes,
nanoseconds -> fromUnixTimestamp64Nano(toInt64(least(nanoseconds, 9223372036854775807)), 'UTC') AS moment
