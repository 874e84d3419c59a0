"""`otel-obs import`: trace documents, sent again as OTLP."""

from __future__ import annotations

from otel_obs.surfaces.cli.importing.command import import_files

__all__ = ["import_files"]
