"""The command line: `otel-obs`."""

from __future__ import annotations

import sys
from io import TextIOWrapper


def main() -> None:
    """Run `otel-obs`; its packages are an extra, which is told where they are missing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that cannot show a sign shows its number
            stream.reconfigure(errors="backslashreplace")
    try:
        from otel_obs.surfaces.cli.commands import otel_obs

        otel_obs()  # each command imports its own
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("otel_obs"):
            raise
        sys.exit(f"error: otel-obs needs the package {error.name}. pip install 'otel-obs[local]'")
