"""clickhouse-go, which the OpenTelemetry Collector and Grafana use, against the front."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.store.embedded import clickhouse_http
from otel_obs.store.embedded.credentials import Credentials
from otel_obs.store.embedded.listener import Listener

if TYPE_CHECKING:
    from otel_obs.store.embedded.engine import Engine

pytestmark = [
    pytest.mark.skipif(shutil.which("go") is None, reason="needs Go to build the client"),
    pytest.mark.timeout(900),  # a first build compiles all that the client needs
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("go") / "client"
    command = ["go", "build", "-o", str(program), "."]
    built = subprocess.run(command, cwd=Path(__file__).parent / "go", capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return program


@pytest.fixture(scope="module")
def seen(program: Path, front: Listener) -> dict[str, Any]:
    run = subprocess.run([program, f"localhost:{front.port}"], capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_it_comes_in_with_a_password_and_says_clearly_why_not(
    program: Path, engine: Engine, seen: dict[str, Any]
) -> None:
    assert seen  # a run that left its tables
    application = clickhouse_http.application(engine, credentials=Credentials(password="right", reader_password="r"))
    with Listener(application, port=0, what="the ClickHouse interface") as closed:
        for user, password, said in (
            ("default", "wrong", "code: 516, message: default: Authentication failed"),
            ("reader", "r", "The user reader may SELECT"),
            ("default", "right", "already exists"),
        ):
            run = subprocess.run(
                [program, f"localhost:{closed.port}", user, password], capture_output=True, text=True, timeout=300,
                check=False,
            )  # fmt: skip
            assert (run.returncode, said in run.stderr) == (1, True), run.stderr


def test_it_speaks_with_every_compression(seen: dict[str, Any]) -> None:
    assert sorted(seen) == ["gzip", "lz4", "none", "zstd"]


@pytest.mark.parametrize("compression", ["gzip", "lz4", "none", "zstd"])
class TestWithEachCompression:
    def test_the_server_is_of_revision_0_and_of_the_engines_version(
        self, seen: dict[str, Any], compression: str
    ) -> None:
        assert seen[compression]["Revision"] == 0
        assert int(seen[compression]["Version"].split(".")[0]) >= 25

    def test_all_rows_are_stored_and_streamed(self, seen: dict[str, Any], compression: str) -> None:
        assert seen[compression]["InsertedRows"] == 100_000
        assert seen[compression]["StreamedRows"] == 2_000_000

    def test_parameters_arrive_as_they_were_sent(self, seen: dict[str, Any], compression: str) -> None:
        assert "back\\slash" in seen[compression]["Parameters"]
        assert "a\nb" in seen[compression]["Parameters"]

    def test_errors_have_their_code_and_their_text(self, seen: dict[str, Any], compression: str) -> None:
        assert seen[compression]["ErrorCode"] == 60
        assert "no_such_table" in seen[compression]["ErrorText"]
        assert seen[compression]["LateError"] == 395
        assert seen[compression]["SettingError"] == 396
