"""`otel-obs demo`: a store, a replay and a backtest as real processes, and the answers that come back."""

from __future__ import annotations

from otel_obs.surfaces.cli.demo.command import demo

__all__ = ["demo"]
