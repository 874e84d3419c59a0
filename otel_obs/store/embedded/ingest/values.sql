-- How a value of OTLP becomes text, as the Collector's ClickHouse exporter writes it: scalars plain, lists and maps as JSON
-- with sorted keys. To the letter: a record that comes on both ways is one row only if both wrote the same.
-- A value deeper than the engine can read stops the statement (Code 395); the receiver then rewrites that body and tries again.
-- Fields are taken with tupleElement: to resolve `span.name` the engine looks through every field of so deep a type, which
-- took most of the time of a small statement.
number -> if(abs(number) >= 1e21, replaceOne(toString(number), 'e', 'e+'), toString(number)) AS number_text,
inner -> if(
    throwIf(
        tupleElement(inner, 'which') IN ('array_value', 'kvlist_value') AND notEmpty(concat(tupleElement(inner, 'array_value'), tupleElement(inner, 'kvlist_value'))),
        'value nested too deeply for the engine'),
    '',
    multiIf(
        tupleElement(inner, 'which') = 'string_value', toJSONString(tupleElement(inner, 'string_value')),
        tupleElement(inner, 'which') = 'int_value', toString(tupleElement(inner, 'int_value')),
        tupleElement(inner, 'which') = 'double_value', if(isFinite(tupleElement(inner, 'double_value')), number_text(tupleElement(inner, 'double_value')), toJSONString(toString(tupleElement(inner, 'double_value')))),
        tupleElement(inner, 'which') = 'bool_value', if(tupleElement(inner, 'bool_value'), 'true', 'false'),
        tupleElement(inner, 'which') = 'bytes_value', toJSONString(base64Encode(tupleElement(inner, 'bytes_value'))),
        tupleElement(inner, 'which') = 'array_value', '[]',
        tupleElement(inner, 'which') = 'kvlist_value', '{}',
        'null')) AS inner_text,
any -> multiIf(
    tupleElement(any, 'which') = 'string_value', tupleElement(any, 'string_value'),
    tupleElement(any, 'which') = 'double_value', number_text(tupleElement(any, 'double_value')),
    tupleElement(any, 'which') = 'int_value', toString(tupleElement(any, 'int_value')),
    tupleElement(any, 'which') = 'bool_value', if(tupleElement(any, 'bool_value'), 'true', 'false'),
    tupleElement(any, 'which') = 'array_value', concat('[', arrayStringConcat(arrayMap(item -> inner_text(item), tupleElement(any, 'array_value_values')), ','), ']'),
    tupleElement(any, 'which') = 'kvlist_value', concat('{', arrayStringConcat(arrayMap(pair -> concat(toJSONString(tupleElement(pair, 'key')), ':', inner_text(tupleElement(pair, 'value'))), arraySort(pair -> tupleElement(pair, 'key'), tupleElement(any, 'kvlist_value_values'))), ','), '}'),
    tupleElement(any, 'which') = 'bytes_value', base64Encode(tupleElement(any, 'bytes_value')),
    '') AS value_text,
pairs -> mapFromArrays(
    arrayMap(pair -> toLowCardinality(tupleElement(pair, 'key')), pairs),
    arrayMap(pair -> value_text(tupleElement(pair, 'value')), pairs)) AS attributes,
nanoseconds -> fromUnixTimestamp64Nano(toInt64(least(nanoseconds, 9223372036854775807)), 'UTC') AS moment
