"""What the tests of alerts have in common: Prometheus's own tool."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def promtool() -> Callable[..., None]:
    """Run promtool, which must succeed; what it says is shown where it does not."""
    found = shutil.which("promtool")
    assert found, "promtool is missing: it comes with Prometheus. On Debian: apt-get install prometheus"

    def run(*arguments: object) -> None:
        done = subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, f"promtool {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}"

    return run
