"""Log records as an ExportLogsServiceRequest of OTLP."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from otel_obs.sdk.otlp.attributes import Attributes
from otel_obs.sdk.otlp.envelope import enveloped, readable
from otel_obs.sdk.otlp.turns import hold_on
from otel_obs.sdk.otlp.values import any_value
from otel_obs.sdk.otlp.wire import MASK_32, MASK_64, MASK_128, field, uint32, utf8, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_obs.sdk.otlp.records import LogRecord

_of_log: Final = Attributes(b"\x32")
_time: Final = Struct("<cQ").pack
_flags: Final = Struct("<cI").pack
_span_id: Final = Struct(">2sQ").pack


def encode_logs(records: Iterable[LogRecord], *, pause: Callable[[], None] = hold_on) -> bytes:
    """The body of a request with these log records, grouped by resource and scope; else as ``encode_spans``."""
    return enveloped(records, encode=_log, mend=mended, pause=pause)


def _log(record: LogRecord) -> bytes:
    (
        _, time_ns, observed_ns, body, attributes, event_name, severity, severity_text, trace_id, span_id, flags,
        dropped,
    ) = record  # fmt: skip
    parts = [_time(b"\x09", time_ns)]
    append = parts.append
    if severity:
        append(b"\x10" + uint32(severity))
    if severity_text:
        append(field(b"\x1a", utf8(severity_text)))
    append(field(b"\x2a", any_value(body)))
    _of_log.put(attributes, append)
    if dropped:
        append(b"\x38" + uint32(dropped))
    if flags:
        append(_flags(b"\x45", flags))
    if trace_id:
        append(b"\x4a\x10" + trace_id.to_bytes(16, "big"))
    if span_id:
        append(_span_id(b"\x52\x08", span_id))
    append(_time(b"\x59", observed_ns))
    if event_name:
        append(field(b"\x62", utf8(event_name)))
    return b"".join(parts)


def mended(record: LogRecord) -> LogRecord:
    """The record with every field within its range."""
    return record._replace(
        time_ns=within(record.time_ns, MASK_64),
        observed_ns=within(record.observed_ns, MASK_64),
        attributes=readable(record.attributes),
        severity_number=within(record.severity_number, MASK_32 >> 1),
        trace_id=within(record.trace_id, MASK_128),
        span_id=within(record.span_id, MASK_64),
        flags=within(record.flags, MASK_32),
        dropped_attributes=within(record.dropped_attributes, MASK_32),
    )
