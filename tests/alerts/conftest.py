"""Alerts as they arrive at Alertmanager, and the table that they come from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import otel_obs.contract.alerts as contract
from otel_obs.contract.alerts.alert import Alert, Job, Runbook, Severity
from otel_obs.contract.dashboards import Dashboard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

_RUNBOOK = Runbook(meaning="", first=(), causes=(), mend=())
_STAND_INS = (
    Alert(
        name="RejectionRateHigh", severity=Severity.WARNING, component=Job.BOTS, expression="", dashboard=Dashboard.WHY,
        summary="{{ or $labels.service $labels.instance }}: refused {{ $value | humanizePercentage }} of its trades",
        description="", look="otel-obs report why --from -2h{{ with $labels.service }} --service {{ . }}{{ end }}",
        example="spread_guard denied 28 of 30; last observed 16.7 bps, allowed at most 5 bps.", runbook=_RUNBOOK,
        example_labels={"service": "my-bot"},
    ),
    Alert(
        name="Watchdog", severity=Severity.NONE, component=Job.PROMETHEUS, expression="", dashboard=Dashboard.HEALTH,
        summary="Alerting is alive", description="", look="otel-obs alerts test", example="This fires always.",
        runbook=_RUNBOOK,
    ),
)  # fmt: skip


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> tuple[Alert, ...]:
    """ALERTS, or two rows where there are none yet."""
    if not hasattr(contract, "ALERTS"):
        monkeypatch.setattr(contract, "ALERTS", _STAND_INS, raising=False)
    return contract.ALERTS  # type: ignore[attr-defined,no-any-return]


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
