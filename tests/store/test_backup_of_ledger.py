"""A backup with a ledger comes back as one: the same numbers arrived, and the same are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_obs.reports.registry import report
from otel_obs.reports.run import run
from otel_obs.store.client import open_directory
from otel_obs.store.migrate import migrate
from otel_obs.store.upkeep.backup import backup
from otel_obs.store.upkeep.restore import restore

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

ASKED = {"from": "2025-12-19", "to": "2262-01-01", "tz": "UTC"}


def test_a_backup_brings_the_ledger_back(otlp: ModuleType, tmp_path: Path) -> None:
    one = open_directory(tmp_path / "one")
    migrate(one)
    one.database = "otel"
    of = {"resource": {"service.instance.id": "i"}}
    for part in range(4):  # of many parts, whose sets overlap
        rows = [
            otlp.span_row({"otel_obs.tier": "durable", "otel_obs.seq": str(number)}, number=number, **of)
            for number in range(1 + part * 30, 60 + part * 30)
            if number != 50
        ]
        otlp.insert(one, "otel_traces", rows)
    told = {"delivery.tier": "durable", "delivery.produced": "149", "delivery.numbered": "149"}
    otlp.insert(one, "otel_logs", [otlp.log_row(told, number=1, name="delivery", **of)])
    before = run(one, report("delivery"), ASKED).rows
    assert before[1].gaps == ["50"]
    backup(one, tmp_path / "backup")
    one.close()
    two = open_directory(tmp_path / "two")
    migrate(two)
    try:
        restore(two, tmp_path / "backup")
        two.database = "otel"
        assert run(two, report("delivery"), ASKED).rows == before
    finally:
        two.close()
