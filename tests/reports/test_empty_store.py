"""What a store answers that holds nothing, and then one row: never recorded is not quiet, no candidates are not 0 %."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.reports.registry import REPORTS, report
from otel_obs.reports.run import run

if TYPE_CHECKING:
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

DAY = {"from": "2025-12-19", "to": "2025-12-20", "tz": "UTC"}
NOTHING: dict[str, Any] = {
    "cycles": {"total": 0, "decided": 0, "idle": {}, "failed": 0, "unexplained": 0},
    "decisions": 0,
    "executed": 0,
    "vetoed": 0,
    "held": 0,
    "failed": 0,
    "outside_cycles": 0,
    "by_gate": {},
    "rejection_rate": None,
}


def _why(client: Client, **given: str) -> Any:
    return run(client, report("why"), {**DAY, **given})


def test_never_recorded_quiet_and_active_are_three_answers(client: Client, otlp: ModuleType) -> None:
    empty = _why(client)
    assert empty.data == {"state": "never_recorded", **NOTHING}
    assert empty.sentence == "Nothing was ever recorded."
    for row in REPORTS:
        if row.name != "why":
            ids = {parameter.name: "0" * 32 for parameter in row.parameters if parameter.position}
            answer = run(client, row, {**ids, "tz": "UTC"} if ids else DAY)
            assert answer.data == (None if ids else [])
            assert answer.rows == (() if ids else [])
            assert answer.found is not bool(ids)
            assert answer.sentence.endswith(".")

    # one cycle, an hour before the window
    row = otlp.span_row({"trace.name": "cycle", "trace.intent": "trade"}, number=1, at=otlp.NOON - 13 * 3600 * 10**9)
    otlp.insert(client, "otel_traces", [row])
    quiet = _why(client)
    assert quiet.data == {"state": "quiet", **NOTHING}
    assert "2025-12-18 23:00:00" in quiet.sentence
    assert _why(client, service="bot").data["state"] == "quiet"
    assert _why(client, symbol="BTCUSDT").data["state"] == "quiet"  # a cycle without symbol may be about any
    unknown = _why(client, service="nobody")
    assert (unknown.data["state"], unknown.sentence) == (
        "never_recorded",
        "Nothing was ever recorded for nobody. Known: bot.",
    )

    # one decision in the window, about one instrument
    made = otlp.span_row({"decision.what": "enter", "instrument.symbol": "ETHUSDT"}, number=2)
    otlp.insert(client, "otel_traces", [made])
    active = {"state": "active", **NOTHING, "decisions": 1, "held": 1, "outside_cycles": 1}
    assert _why(client).data == active
    assert _why(client, symbol="ETHUSDT").data == active
    assert _why(client, symbol="ETHUSDT", service="bot").data == active
    assert _why(client, service="nobody").data["state"] == "never_recorded"


@pytest.mark.parametrize(("start", "count"), [("2025-12-19T12:00", 1), ("2025-12-19T12:00:00.000001", 0)])
def test_a_window_holds_its_start_and_not_its_end(client: Client, otlp: ModuleType, start: str, count: int) -> None:
    otlp.insert(client, "otel_traces", [otlp.span_row({"decision.what": "x"}, number=3, service="edge")])
    assert _why(client, **{"from": start, "service": "edge"}).data["decisions"] == count
    assert _why(client, to=start, service="edge").data["decisions"] == 1 - count
    assert _why(client, **{"from": start, "to": start, "service": "edge"}).data["decisions"] == 0
