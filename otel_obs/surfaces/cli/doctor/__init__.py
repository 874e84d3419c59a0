"""`otel-obs doctor`: each hop from bot to alert is looked at, and what is broken is told with its fix."""

from __future__ import annotations

from otel_obs.surfaces.cli.doctor.command import doctor

__all__ = ["doctor"]
