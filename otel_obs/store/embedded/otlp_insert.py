"""The statements that insert spooled bodies: the engine decodes spans and log records itself, no Python for each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# ClickHouse's numbers for what is wrong with a body whenever it comes: ATTEMPT_TO_READ_AFTER_EOF, CANNOT_READ_ALL_DATA,
# BAD_ARGUMENTS (a oneof with two members), FUNCTION_THROW_IF_VALUE_IS_NON_ZERO (values.sql stops at what is nested too
# deeply), PROTOBUF_BAD_CAST, UNKNOWN_PROTOBUF_FORMAT.
# For rows: CANNOT_PARSE_INPUT_ASSERTION_FAILED, CANNOT_PARSE_NUMBER, INCORRECT_DATA.
CUT_SHORT: Final = 33
UNREADABLE: Final = frozenset({27, 32, CUT_SHORT, 36, 72, 117, 395, 436, 444})


class Signal(StrEnum):
    """What an OTLP body holds."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


class Form(StrEnum):
    """What a spooled file holds: a body as it came, or rows of one of the metrics' tables, which bear these names."""

    TRACES = "traces"
    LOGS = "logs"
    GAUGE = "gauge"
    SUM = "sum"
    HISTOGRAM = "histogram"
    EXPONENTIAL_HISTOGRAM = "exponential_histogram"
    SUMMARY = "summary"


# An Enum named as the oneof tells which member was present, so that 0, false and '' survive.
_WHICH: Final = (
    "which Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, "
    "'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7)"
)
_SCALARS: Final = "string_value String, bool_value Bool, int_value Int64, double_value Float64, bytes_value String"
_INNER: Final = f"Tuple({_WHICH}, {_SCALARS}, array_value String, kvlist_value String)"
_VALUE: Final = (
    f"Tuple({_WHICH}, {_SCALARS}, array_value_values Array({_INNER}), "
    f"kvlist_value_values Array(Tuple(key String, value {_INNER})))"
)
_PAIRS: Final = f"Array(Tuple(key String, value {_VALUE}))"
_SCOPE: Final = f"scope Tuple(name String, version String, attributes {_PAIRS})"
_RESOURCE: Final = f"resource Tuple(attributes {_PAIRS})"
_SPAN: Final = (
    "Tuple(trace_id String, span_id String, trace_state String, parent_span_id String, name String, kind Int32, "
    f"start_time_unix_nano UInt64, end_time_unix_nano UInt64, attributes {_PAIRS}, "
    f"events Array(Tuple(time_unix_nano UInt64, name String, attributes {_PAIRS})), "
    f"links Array(Tuple(trace_id String, span_id String, trace_state String, attributes {_PAIRS})), "
    "status Tuple(message String, code Int32))"
)
_RECORD: Final = (
    "Tuple(time_unix_nano UInt64, severity_number Int32, severity_text String, "
    f"body {_VALUE}, attributes {_PAIRS}, flags UInt32, trace_id String, span_id String, "
    "observed_time_unix_nano UInt64, event_name String)"
)
_MAP: Final = "Map(LowCardinality(String), String)"
_ANY_POINT: Final = {
    "ResourceAttributes": _MAP, "ResourceSchemaUrl": "String", "ScopeName": "String", "ScopeVersion": "String",
    "ScopeAttributes": _MAP, "ScopeDroppedAttrCount": "UInt32", "ScopeSchemaUrl": "String", "ServiceName": "String",
    "MetricName": "String", "MetricDescription": "String", "MetricUnit": "String", "Attributes": _MAP,
    "StartTimeUnix": "UInt64", "TimeUnix": "UInt64", "Flags": "UInt32",
}  # fmt: skip
_POINT: Final = _ANY_POINT | {
    "Exemplars.FilteredAttributes": f"Array({_MAP})", "Exemplars.TimeUnix": "Array(UInt64)",
    "Exemplars.Value": "Array(Float64)", "Exemplars.SpanId": "Array(String)", "Exemplars.TraceId": "Array(String)",
}  # fmt: skip
_TOTALS: Final = {"Count": "UInt64", "Sum": "Float64"}
_EXTREMES: Final = {"Min": "Float64", "Max": "Float64", "AggregationTemporality": "Int32"}
# The cells of a line in a spooled file of rows, in this order.
METRIC_COLUMNS: Final = {
    Form.GAUGE: _POINT | {"Value": "Float64"},
    Form.SUM: _POINT | {"Value": "Float64", "AggregationTemporality": "Int32", "IsMonotonic": "Bool"},
    Form.HISTOGRAM: _POINT | _TOTALS | {
        "BucketCounts": "Array(UInt64)", "ExplicitBounds": "Array(Float64)",
    } | _EXTREMES,
    Form.EXPONENTIAL_HISTOGRAM: _POINT | _TOTALS | {
        "Scale": "Int32", "ZeroCount": "UInt64", "PositiveOffset": "Int32", "PositiveBucketCounts": "Array(UInt64)",
        "NegativeOffset": "Int32", "NegativeBucketCounts": "Array(UInt64)",
    } | _EXTREMES,
    Form.SUMMARY: _ANY_POINT | _TOTALS | {
        "ValueAtQuantiles.Quantile": "Array(Float64)", "ValueAtQuantiles.Value": "Array(Float64)",
    },
}  # fmt: skip
_STRUCTURE: Final = {
    Form.TRACES: (
        f"resource_spans Array(Tuple({_RESOURCE}, scope_spans Array(Tuple({_SCOPE}, spans Array({_SPAN})))))"
    ),
    Form.LOGS: (
        f"resource_logs Array(Tuple({_RESOURCE}, schema_url String, "
        f"scope_logs Array(Tuple({_SCOPE}, schema_url String, log_records Array({_RECORD})))))"
    ),
}
_MOMENTS: Final = {
    "StartTimeUnix": "moment({})", "TimeUnix": "moment({})",
    "Exemplars.TimeUnix": "arrayMap(nanoseconds -> moment(nanoseconds), `{}`)",
}  # fmt: skip
_DECODED_BY_ENGINE: Final = {Form.TRACES: "traces.sql", Form.LOGS: "logs.sql"}


def _text(name: str) -> str:
    return resources.files("otel_obs.store.embedded").joinpath("ingest", name).read_text(encoding="utf-8")


def schema_text() -> str:
    """Return the .proto that the engine reads; it has to lie in a file beside the bodies."""
    return _text("otlp.proto")


@cache
def _template(form: Form) -> str:
    columns = METRIC_COLUMNS.get(form, {})
    structure = _STRUCTURE.get(form) or ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
    text = _text(_DECODED_BY_ENGINE.get(form, "metrics.sql")).replace("{form}", form)
    text = text.replace("{columns}", ", ".join(f"`{name}`" for name in columns))
    text = text.replace("{selected}", ", ".join(_MOMENTS.get(name, "`{}`").format(name) for name in columns))
    values = "\n".join(line for line in _text("values.sql").splitlines() if not line.startswith("--"))
    return text.replace("{values}", values).replace("{structure}", structure)


@dataclass(frozen=True)
class Spool:
    """The directory in which bodies lie while the engine reads them; its paths need no escaping."""

    directory: Path

    def prepare(self) -> None:
        """Make it, empty, with the schema in it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for left in self.directory.iterdir():
            left.unlink()
        (self.directory / "otlp.proto").write_text(schema_text(), encoding="utf-8")

    def statement(self, form: Form, names: Sequence[str]) -> str:
        """Insert the bodies in the files called ``names`` (plain words) in one statement."""
        files = names[0] if len(names) == 1 else "{" + ",".join(names) + "}"
        schema = _quoted(str(self.directory / "otlp.proto"))
        return _template(form).replace("{files}", _quoted(f"{self.directory}/{files}")).replace("{schema}", schema)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
