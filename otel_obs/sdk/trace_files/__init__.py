"""The second home: each finished trace as one JSON document on disk, whatever becomes of its delivery."""

from __future__ import annotations

from otel_obs.sdk.trace_files.writer import Standing, TraceFiles

__all__ = ["Standing", "TraceFiles"]
