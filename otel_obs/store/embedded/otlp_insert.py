"""The statement with which the engine decodes OTLP protobuf bodies itself and inserts them: no Python for each span."""

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
UNREADABLE: Final = frozenset({32, 33, 36, 395, 436, 444})


class Signal(StrEnum):
    """What an OTLP body holds."""

    TRACES = "traces"
    LOGS = "logs"


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
_STRUCTURE: Final = {
    Signal.TRACES: (
        f"resource_spans Array(Tuple({_RESOURCE}, scope_spans Array(Tuple({_SCOPE}, spans Array({_SPAN})))))"
    ),
    Signal.LOGS: (
        f"resource_logs Array(Tuple({_RESOURCE}, schema_url String, "
        f"scope_logs Array(Tuple({_SCOPE}, schema_url String, log_records Array({_RECORD})))))"
    ),
}


def _text(name: str) -> str:
    return resources.files("otel_obs.store.embedded").joinpath("ingest", name).read_text(encoding="utf-8")


def schema_text() -> str:
    """Return the .proto that the engine reads; it has to lie in a file beside the bodies."""
    return _text("otlp.proto")


@cache
def _template(signal: Signal) -> str:
    values = "\n".join(line for line in _text("values.sql").splitlines() if not line.startswith("--"))
    return _text(f"{signal}.sql").replace("{values}", values).replace("{structure}", _STRUCTURE[signal])


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

    def statement(self, signal: Signal, names: Sequence[str]) -> str:
        """Insert the bodies in the files called ``names`` (plain words) in one statement."""
        files = names[0] if len(names) == 1 else "{" + ",".join(names) + "}"
        schema = _quoted(str(self.directory / "otlp.proto"))
        return _template(signal).replace("{files}", _quoted(f"{self.directory}/{files}")).replace("{schema}", schema)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
