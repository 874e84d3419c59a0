"""A backup with snapshots that are past their time comes back whole: nothing goes before all was counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_obs.store.client import DATABASE, open_directory
from otel_obs.store.migrate import migrate
from otel_obs.store.upkeep.backup import backup
from otel_obs.store.upkeep.restore import restore

if TYPE_CHECKING:
    from pathlib import Path

_OLD = """
INSERT INTO health_snapshots (service, timestamp, snapshot_trigger, instance, ingested_at)
SELECT 'bot', toDateTime64('2020-01-01', 9), ['periodic_5m', 'periodic_24h'][number % 2 + 1], toString(number),
       now() - toIntervalDay(3)
FROM numbers(20)
"""


def test_a_merge_while_a_backup_is_restored_removes_nothing_that_is_still_to_be_counted(tmp_path: Path) -> None:
    client = open_directory(tmp_path / "one")
    migrate(client)
    client.database = DATABASE
    client.command("SYSTEM STOP MERGES health_snapshots")
    client.command(_OLD)
    backup(client, tmp_path / "backup")
    client.close()

    client = open_directory(tmp_path / "two")
    migrate(client)
    client.database = DATABASE

    def merge_meanwhile(text: str, _done: int, _total: int) -> None:
        if text == "moved in":
            client.command("OPTIMIZE TABLE health_snapshots FINAL")

    try:
        assert restore(client, tmp_path / "backup", progress=merge_meanwhile).manifest.id
        client.command("OPTIMIZE TABLE health_snapshots FINAL")
        left = client.query("SELECT snapshot_trigger, count() FROM health_snapshots FINAL GROUP BY 1").result_rows
        assert left == [("periodic_24h", 10)]  # the rule holds again
    finally:
        client.close()
