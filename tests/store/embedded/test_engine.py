"""The engine's connections: what one statement did or left behind is nothing to the next."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from otel_obs.errors import QueryError
from otel_obs.store.embedded.engine import Engine
from otel_obs.store.embedded.limits import Limits
from otel_obs.store.embedded.rights import Rights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAILS_LATE = "SELECT number, throwIf(number = 300000) FROM numbers(400000) SETTINGS max_block_size = 1000"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("engine"), limits=Limits(queries=1))
    yield engine
    engine.close()


@pytest.mark.parametrize("form", ["TabSeparatedWithNames", "JSON", "Native"])
def test_what_a_failed_statement_had_written_is_not_in_the_next_answer(engine: Engine, form: str) -> None:
    with pytest.raises(QueryError) as caught:
        engine.read(FAILS_LATE, form)
    assert caught.value.code == 395
    assert engine.read("SELECT 42") == b"42\n"
    with pytest.raises(QueryError):
        engine.write(FAILS_LATE, form)
    assert engine.write("SELECT 42", "TabSeparated") == b"42\n"
    with pytest.raises(QueryError):
        list(engine.stream(FAILS_LATE, form))
    assert b"".join(engine.stream("SELECT 42", "TabSeparated")) == b"42\n"


def test_a_stream_that_is_given_up_leaves_nothing_to_the_next_answer(engine: Engine) -> None:
    stream = engine.stream("SELECT number FROM numbers(10000000)", "TabSeparated")
    assert next(iter(stream)).startswith(b"0\n")
    stream.close()  # type: ignore[attr-defined]
    assert engine.read("SELECT 42") == b"42\n"


def test_settings_and_database_of_one_statement_are_not_the_next_one_s(engine: Engine) -> None:
    asked = "SELECT getSetting('max_threads') = {n:UInt8}, currentDatabase()"
    assert engine.read(asked, params={"n": "7"}, settings={"max_threads": "7"}, database="system") == b"1\tsystem\n"
    assert engine.read(asked, params={"n": "7"}) == b"0\totel\n"
    with pytest.raises(QueryError):
        engine.read("SELECT 1", settings={"max_threads": "many"})
    assert engine.read("SELECT getSetting('async_insert')", settings={"async_insert": "1"}) == b"true\n"
    assert engine.read("SELECT getSetting('async_insert')") == b"false\n"


@pytest.mark.parametrize("rights", [Rights.CLIENT, Rights.READER])
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "DESCRIBE TABLE file('/etc/passwd')",
        "SELECT * FROM url('http://127.0.0.1:9/', 'CSV', 'a String')",
        "SELECT * FROM default.`/etc/passwd`",
        "SELECT * FROM remote('127.0.0.1:9', 'system', 'one')",
        "SELECT * FROM system.users",
    ],
)
def test_the_engine_itself_refuses_what_a_client_has_no_right_to(
    engine: Engine, rights: Rights, statement: str
) -> None:
    """Whatever the front lets pass."""
    with pytest.raises(QueryError) as refused:
        engine.read(statement, rights=rights)
    assert refused.value.code in {60, 164, 497}


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE x (a String) ENGINE = File(CSV, '/tmp/never')",
        "CREATE TABLE x (a String) ENGINE = URL('http://127.0.0.1:9/', 'CSV')",
        "CREATE DATABASE x ENGINE = Filesystem('/etc')",
        "INSERT INTO FUNCTION file('/tmp/never', 'CSV', 'a Int8') SELECT 1",
        "CREATE DICTIONARY x (a UInt64) PRIMARY KEY a SOURCE(FILE(path '/etc/passwd')) LAYOUT(FLAT()) LIFETIME(0)",
        "BACKUP DATABASE otel TO Disk('default', 'x')",
    ],
)
def test_nor_does_it_let_a_client_make_such_tables(engine: Engine, statement: str) -> None:
    with pytest.raises(QueryError) as refused:
        engine.write_for_client(statement)
    assert refused.value.code == 497


def test_a_connection_of_a_reader_stores_nothing_and_leaves_none_of_its_settings_behind(engine: Engine) -> None:
    engine.write("CREATE TABLE kept (a Int8) ENGINE = Memory")
    for statement in ("INSERT INTO kept VALUES (1)", "DROP TABLE kept", "SELECT 1 SETTINGS readonly = 0"):
        with pytest.raises(QueryError) as refused:
            engine.read(statement, rights=Rights.READER)
        assert refused.value.code in {164, 497}
    asked = "SELECT getSetting('readonly'), getSetting('max_threads') = 7"
    assert engine.read(asked, rights=Rights.READER, settings={"max_threads": "7"}) == b"1\t1\n"
    assert engine.read(asked) == b"0\t0\n"
    assert engine.write_for_client("SELECT getSetting('readonly')", "TabSeparated") == b"0\n"


def test_the_database_default_keeps_its_tables_from_one_start_to_the_next_and_shows_no_files(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from otel_obs.store.client import open_directory
from otel_obs.store.embedded.engine import Engine
directory = Path(sys.argv[1])
for name in ("a", "b"):
    engine = Engine(directory)
    assert engine.read("SELECT engine FROM system.databases WHERE name = 'default'") == b"Atomic\\n"
    assert engine.read("EXISTS default.`/etc/passwd`") == b"0\\n"
    engine.close()
    client = open_directory(directory)  # as the command line opens it
    client.command(f"CREATE TABLE default.{name} ENGINE = MergeTree ORDER BY tuple() AS SELECT 7 AS x")
    client.close()
    engine = Engine(directory)
    assert engine.read(f"SELECT x FROM default.{name}") == b"7\\n"
    engine.write(f"CREATE TABLE default.ours_{name} ENGINE = MergeTree ORDER BY tuple() AS SELECT 8 AS x")
    engine.close()
    Path(directory, "metadata", "default.sql.tmp").touch()  # as a kill leaves it
engine = Engine(directory)
assert engine.read("SELECT groupArray(name) FROM (SELECT name FROM system.tables WHERE database = 'default' "
                   "ORDER BY name)") == b"['a','b','ours_a','ours_b']\\n"
engine.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "engine")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
