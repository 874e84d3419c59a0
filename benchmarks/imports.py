"""What `import otel_obs` costs beyond OpenTelemetry's own API, which every instrumented bot has."""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRAM = """
import time
import opentelemetry.trace, opentelemetry._logs
start = time.perf_counter()
import {module}
print((time.perf_counter() - start) * 1e3)
"""
_ROUNDS = 9


def _milliseconds(module: str) -> float:
    def once() -> float:
        program = [sys.executable, "-c", _PROGRAM.format(module=module)]
        return float(subprocess.run(program, capture_output=True, text=True, check=True).stdout)

    once()
    return statistics.median(once() for _ in range(_ROUNDS))


def measure() -> Iterator[dict[str, object]]:
    """Yield the figures."""
    yield {
        "figure": "import otel_obs (stock: opentelemetry.sdk.trace)", "unit": "ms",
        "ours": _milliseconds("otel_obs"),
        "stock": _milliseconds("opentelemetry.sdk.trace"),
    }  # fmt: skip
