"""`otel-obs migrate`: a server that has nothing of ours gets our schema, once."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from otel_obs.store.client import connect
from otel_obs.store.embedded.clickhouse_http import application
from otel_obs.store.embedded.engine import Engine
from otel_obs.store.embedded.listener import Listener
from otel_obs.store.migrate import migrations
from otel_obs.surfaces.cli.commands import otel_obs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALL = [migration.name for migration in migrations()]
TABLES = "SELECT name FROM system.tables WHERE database = 'otel'"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of this machine's own settings."""
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """ClickHouse's interface on an engine without a schema."""
    engine = Engine(tmp_path / "bare")
    with Listener(application(engine), port=0, what="the ClickHouse interface") as listener:
        yield f"http://127.0.0.1:{listener.port}"
    engine.close()


def _migrate(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(otel_obs, ["migrate", *arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def _named(*arguments: str) -> list[str]:
    found: list[str] = json.loads(_migrate(*arguments, "--json").stdout)["migrations"]
    return found


def test_a_dry_run_tells_and_does_nothing_a_run_does_it_and_a_second_one_finds_nothing_to_do(server: str) -> None:
    assert _named("--dry-run", "--url", server) == ALL
    assert f"{len(ALL)} of {len(ALL)} migrations would be applied" in _migrate("--dry-run", "--url", server).stdout
    assert _named("--url", server) == ALL
    assert _named("--url", server) == _named("--dry-run", "--url", server) == []
    assert "up to date" in _migrate("--url", server).stdout
    client = connect(server)
    tables = {name for (name,) in client.query(TABLES).result_rows}
    client.close()
    assert tables >= {"otel_traces", "otel_logs", "otel_metrics_sum", "decisions", "decisions_from_otel_traces"}


def test_the_address_may_come_from_the_environment(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_OBS_URL", server)
    assert _named() == ALL


def test_a_server_that_is_newer_is_left_as_it_is(server: str) -> None:
    _migrate("--url", server)
    client = connect(server)
    client.command("INSERT INTO otel.schema_migrations (version, name, sha256) VALUES (9001, '9001_future.sql', 'x')")
    client.close()
    assert "9001_future.sql" in _migrate("--url", server, code=1).stderr


def test_the_ddl_is_printed_without_a_server_whole_and_ready_to_be_run(server: str, tmp_path: Path) -> None:
    text = _migrate("--sql").stdout
    client = connect(server)
    for statement in text.split(";\n"):
        if statement.strip() and not statement.strip().startswith("USE "):
            client.command(statement)
        else:
            client.database = "otel"
    client.close()
    assert _named("--url", server) == []
    assert _migrate("--sql", "--dry-run", "--url", server).stdout == ""


def test_the_ddl_of_a_dry_run_is_what_the_server_lacks(server: str) -> None:
    assert _migrate("--sql", "--dry-run", "--url", server).stdout == _migrate("--sql").stdout
    _migrate("--url", server)
    client = connect(server)
    client.command("ALTER TABLE otel.schema_migrations DELETE WHERE version > 6 SETTINGS mutations_sync = 2")
    client.close()
    text = _migrate("--sql", "--dry-run", "--url", server).stdout
    assert "health_snapshots" in text
    assert "otel_traces\n(" not in text


def test_a_cluster_is_in_the_ddl_and_one_that_the_server_does_not_know_is_told_with_those_that_it_knows(
    server: str,
) -> None:
    assert "otel_traces_local ON CLUSTER 'analytics'" in _migrate("--cluster", "analytics", "--sql").stdout
    refused = _migrate("--cluster", "analytics", "--url", server, code=1).stderr
    assert "no cluster 'analytics'; it knows none" in refused
    assert "remote_servers" in refused
    _migrate("--sql", "--json", code=2)


def test_nobody_there_is_told_in_one_line() -> None:
    assert "No store answers at http://127.0.0.1:9" in _migrate("--url", "http://127.0.0.1:9", code=1).stderr
