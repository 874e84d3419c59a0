"""The command line: `otel-obs`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `otel-obs`; its packages are an extra, which is told where they are missing."""
    try:
        from otel_obs.surfaces.cli.commands import otel_obs
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("otel_obs"):
            raise
        sys.exit(f"error: otel-obs needs the package {error.name}. pip install 'otel-obs[local]'")
    otel_obs()
