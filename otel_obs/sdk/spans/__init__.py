"""Spans as OpenTelemetry's API has them, made for a thread that must not wait: no lock, no copy, no cleaning twice."""

from __future__ import annotations

from otel_obs.sdk.spans.provider import TracerProvider

__all__ = ["TracerProvider"]
