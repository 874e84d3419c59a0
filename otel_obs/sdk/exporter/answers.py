"""An OTLP receiver's answers, read with the official protobuf classes: what it rejected, and its words on why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from otel_obs.sdk.frames import Signal

_REJECTED: Final = {"traces": "rejected_spans", "logs": "rejected_log_records"}
_PROTOBUF: Final = "application/x-protobuf"


def rejected(signal: Signal, answer: bytes, *, is_json: bool) -> tuple[int, str]:
    """How many records of a body were not taken, and why.

    Raises:
        ValueError: the answer cannot be read.

    """
    from google.protobuf import json_format
    from google.protobuf.message import DecodeError

    found = _response(signal)
    try:
        if is_json:
            json_format.Parse(answer, found, ignore_unknown_fields=True)
        else:
            found.ParseFromString(answer)
    except (DecodeError, json_format.ParseError, UnicodeDecodeError) as error:
        raise ValueError(type(error).__name__) from None
    partial = found.partial_success
    return max(0, getattr(partial, _REJECTED[signal])), partial.error_message


def _response(signal: Signal) -> Any:
    if signal == "traces":
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

        return ExportTraceServiceResponse()
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

    return ExportLogsServiceResponse()


def status_words(kind: str, answer: bytes) -> str:
    """The message of a google.rpc.Status, or the text, of an answer that is an error; empty for a web page."""
    if kind == _PROTOBUF:
        from google.protobuf.message import DecodeError
        from google.rpc.status_pb2 import Status

        try:
            return str(Status.FromString(answer).message)
        except DecodeError:
            return ""
    if kind == "text/html":
        return ""
    text = answer.decode("utf-8", "replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, TypeError, KeyError):
        return text
