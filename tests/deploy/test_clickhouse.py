"""ClickHouse's files, in the engine itself: its users may do what they are for and nothing else, and its logs end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from otel_obs.store.client import READER
from otel_obs.store.embedded.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
USERS = ROOT / "deploy" / "clickhouse" / "users.xml"
CONFIG = ROOT / "deploy" / "clickhouse" / "config.xml"
HASH = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of "x"
PASSWORDS = {f"OTEL_OBS_{user}_PASSWORD_SHA256": HASH for user in ("ADMIN", "OWNER", "WRITER", "READER")}


def _run(data: Path, user: str, *statements: str, without: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **PASSWORDS}
    environment.pop(without, None)
    return subprocess.run(
        [sys.executable, Path(__file__).with_name("as_user.py"), data, USERS, user],
        input=json.dumps(statements), env=environment, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


def _says(data: Path, user: str, *statements: str) -> list[str]:
    done = _run(data, user, *statements)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that the owner has prepared."""
    data = tmp_path_factory.mktemp("clickhouse") / "data"
    assert int(_says(data, "owner", "migrate")[0]) >= 7
    return data


@pytest.fixture(scope="module")
def written(data: Path) -> Path:
    """300 weeks of decisions in one batch: more partitions than a server takes unless it is told to."""
    decision = "map('decision.what', 'enter', 'decision.outcome', 'executed')"  # as a collector's row has them
    insert = (
        "INSERT INTO otel.otel_traces (Timestamp, TraceId, SpanId, SpanName, ServiceName, SpanAttributes) "
        f"SELECT now64(9) - number * 604800, hex(number), hex(number), 'decision', 'b', {decision} FROM numbers(300)"
    )
    asked, _, count = _says(data, "writer", "DESC TABLE otel.otel_logs", insert, "SELECT count() FROM otel.decisions")
    assert "EventName" in asked  # what the collector looks up before it sends
    assert count == "[(300,)]"
    return data


# ---- users


@pytest.mark.parametrize("missing", sorted(PASSWORDS))
def test_a_password_that_is_missing_keeps_it_from_starting_and_is_not_taken_for_an_empty_one(
    missing: str, tmp_path: Path
) -> None:
    done = _run(tmp_path / "data", "as it is", without=missing)
    assert done.returncode != 0
    user = missing.split("_")[2].lower().replace("admin", "default")
    assert "has length 0 but must be exactly 32 bytes" in done.stderr
    assert f"while parsing user '{user}'" in done.stderr


def test_the_administrator_needs_the_password_too(tmp_path: Path) -> None:
    assert "default: Authentication failed" in _run(tmp_path / "data", "as it is").stderr


def test_the_writer_stores_and_changes_nothing_that_is_stored(written: Path) -> None:
    for refused in _says(
        written, "writer", "DROP TABLE otel.decisions", "TRUNCATE TABLE otel.otel_traces",
        "ALTER TABLE otel.decisions DELETE WHERE 1", "CREATE TABLE otel.x (a Int8) ENGINE = Memory",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
        "SELECT * FROM file('/etc/passwd', 'CSV', 'a String')",
    ):  # fmt: skip
        assert "Not enough privileges" in refused


def test_the_reader_has_every_report_and_can_change_nothing(written: Path) -> None:
    answers, *refused = _says(
        written, READER, "reports", "INSERT INTO otel.otel_traces (TraceId) VALUES ('x')", "DROP TABLE otel.decisions",
        "CREATE TABLE otel.x (a Int8) ENGINE = Memory", "SELECT * FROM file('/etc/passwd', 'CSV', 'a String')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
    )  # fmt: skip
    assert json.loads(answers)["why"].startswith("300 decisions: 300 executed")
    assert all("Not enough privileges" in answer for answer in refused), refused


def test_the_readers_queries_have_the_limits_of_the_local_store_and_none_can_be_raised(written: Path) -> None:
    limits = Limits(memory=1_000_000_000).of_reading()
    assert _says(written, READER, *(f"SELECT toString(getSetting('{name}'))" for name in limits)) == [
        f"[('{value}',)]" for value in limits.values()
    ]
    for name, value in limits.items():
        none, more, less = _says(
            written, READER, *(f"SELECT 1 SETTINGS {name} = {asked}" for asked in (0, int(value) + 1, int(value) - 1))
        )
        assert "shouldn't be less than 1" in none
        assert f"shouldn't be greater than {value}" in more
        assert less == "[(1,)]"


def test_the_owner_backs_up_and_puts_back_and_has_nothing_beyond_our_databases(written: Path, tmp_path: Path) -> None:
    taken, elsewhere = _says(written, "owner", f"backup {tmp_path / 'taken'}", "CREATE DATABASE elsewhere")
    assert not taken.startswith("refused"), taken
    assert "Not enough privileges" in elsewhere
    restored, count = _says(
        tmp_path / "other", "owner", f"restore {tmp_path / 'taken'}", "SELECT count() FROM otel.decisions"
    )
    assert count == "[(300,)]", restored


# ---- configuration


@pytest.fixture(scope="module")
def config() -> ET.Element:
    return ET.parse(CONFIG).getroot()


def _logs(config: ET.Element) -> dict[str, ET.Element]:
    return {element.tag: element for element in config if element.tag.endswith("_log")}


def test_every_log_of_the_server_about_itself_ends_or_is_off(config: ET.Element, tmp_path: Path) -> None:
    kept = {name: log for name, log in _logs(config).items() if "remove" not in log.attrib}
    assert {"query_log", "part_log", "error_log"} <= kept.keys()
    statements = []
    for name, log in kept.items():
        # replace: what the stock file says of this table is gone, its ENGINE as well, beside which a TTL is refused
        assert (log.attrib, log.findtext("table"), log.findtext("database")) == ({"replace": "1"}, name, "system")
        assert re.search(r"INTERVAL \d+ DAY DELETE$", log.findtext("ttl")), name
        parts = f"PARTITION BY {log.findtext('partition_by')} TTL {log.findtext('ttl')}"
        statements.append(f"CREATE TABLE default.{name} (event_date Date) ENGINE = MergeTree ORDER BY () {parts}")
    answers = _engine(tmp_path)(*statements)
    assert answers == [""] * len(statements)


def test_no_log_that_the_stock_server_writes_is_forgotten(config: ET.Element) -> None:
    stock = {  # sections of the server's own config.xml
        "asynchronous_insert_log", "asynchronous_metric_log", "backup_log", "blob_storage_log", "crash_log",
        "error_log", "latency_log", "metric_log", "opentelemetry_span_log", "part_log", "processors_profile_log",
        "query_log", "query_metric_log", "query_thread_log", "query_views_log", "s3queue_log", "text_log", "trace_log",
        "background_schedule_pool_log", "aggregated_zookeeper_log", "zookeeper_log",
    }  # fmt: skip
    assert stock <= _logs(config).keys()


def test_every_setting_of_the_server_is_one_that_the_engine_knows(config: ET.Element, tmp_path: Path) -> None:
    ask = _engine(tmp_path)
    sections = {"logger", "prometheus", "mysql_port", "postgresql_port", "interserver_http_port", *_logs(config)}
    known = set(ask("SELECT name FROM system.server_settings")[0].split())
    assert {element.tag for element in config} - sections <= known
    profiles = ET.parse(USERS).getroot().find("profiles")
    named = {setting.tag for profile in profiles for setting in profile} - {"constraints"}
    assert named <= set(ask("SELECT name FROM system.settings")[0].split())


def _engine(place: Path) -> Callable[..., list[str]]:
    """The engine as it comes, in a process of its own."""
    program = (
        "import chdb, json, sys\nconnection = chdb.connect(sys.argv[1])\n"
        "json.dump([str(connection.query(each, 'TSV')) for each in json.load(sys.stdin)], sys.stdout)"
    )

    def ask(*statements: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", program, place / "engine"], input=json.dumps(statements), capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask
