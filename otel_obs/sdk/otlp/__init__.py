"""OTLP as protobuf bytes, written by hand in plain Python: records in, request bodies out, no protobuf library."""

from __future__ import annotations

from otel_obs.sdk.otlp.logs import encode_logs
from otel_obs.sdk.otlp.records import EventRecord, LinkRecord, LogRecord, ResourceRecord, ScopeRecord, SpanRecord
from otel_obs.sdk.otlp.spans import encode_spans
from otel_obs.sdk.otlp.turns import GiveWay

__all__ = [
    "EventRecord",
    "GiveWay",
    "LinkRecord",
    "LogRecord",
    "ResourceRecord",
    "ScopeRecord",
    "SpanRecord",
    "encode_logs",
    "encode_spans",
]
