"""What the tests of alerts have in common: Prometheus's own tool, Alertmanager, and alerts as they arrive there."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType


@pytest.fixture(scope="session")
def promtool() -> Callable[..., None]:
    """Run promtool, which must succeed; what it says is shown where it does not."""
    found = shutil.which("promtool")
    assert found, "promtool is missing: it comes with Prometheus. On Debian: apt-get install prometheus"

    def run(*arguments: object) -> None:
        done = subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, f"promtool {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}"

    return run


@pytest.fixture(scope="session")
def receivers(beside: Callable[[str], ModuleType]) -> ModuleType:
    return beside("alerts/receivers.py")


@pytest.fixture(scope="module")
def slack(receivers: ModuleType) -> Iterator[Any]:
    with receivers.slack() as taking:
        yield taking


@pytest.fixture(scope="module")
def alertmanager(receivers: ModuleType, slack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Alertmanager with what we ship, shared by the tests of a module: each speaks of a service of its own."""
    place: Path = tmp_path_factory.mktemp("alertmanager")
    with receivers.alertmanager(place, slack) as running:
        yield running


@pytest.fixture
def alert() -> Callable[..., dict[str, Any]]:
    """Build an alert as Prometheus sends it: it has been firing for ``minutes``, or did and is ``over``.

    Of one that fires for longer than its group waits, Alertmanager tells at once, before the others of its group.
    """

    def build(
        name: str, severity: str = "critical", *, minutes: float = 0, over: bool = False, summary: str = "",
        description: str = "", look: str = "", runbook: str = "", dashboard: str = "", **labels: str,
    ) -> dict[str, Any]:  # fmt: skip
        now = datetime.now(UTC)
        texts = {
            "summary": summary, "description": description, "look": look, "runbook_url": runbook,
            "dashboard_url": dashboard,
        }  # fmt: skip
        return {
            "labels": {"alertname": name, "severity": severity, "component": "bots", **labels},
            "annotations": {key: text for key, text in texts.items() if text},
            "startsAt": (now - timedelta(minutes=minutes)).isoformat(),
            **({"endsAt": now.isoformat()} if over else {}),
        }

    return build
