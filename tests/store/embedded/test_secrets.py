"""`otel-obs up` with passwords, as a process: where they are asked for, and that they are written and told nowhere."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

UP = [sys.executable, "-m", "otel_obs.surfaces.cli", "up"]
PORTS = ["--otlp-port", "0", "--clickhouse-port", "0", "--web-port", "0", "--otlp-grpc-port", "0"]
PASSWORD, READERS, PARAMETER = "correct-horse-battery", "staple-for-readers", "parameter-nobody-sees"
ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith("OTEL_")}
BASIC = "Basic " + base64.b64encode(f"default:{PASSWORD}".encode()).decode()


@contextmanager
def running(
    tmp_path: Path, *options: str, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    ports, printed = tmp_path / "ports.json", tmp_path / "printed"
    command = [*UP, "--data", str(tmp_path / "data"), "--ports-file", str(ports), *PORTS, *options]
    with printed.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, text=True, env={**ENVIRONMENT, **environment}
        )
        try:
            deadline = time.monotonic() + 60
            while not ports.exists():
                assert process.poll() is None, printed.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield process, json.loads(ports.read_text())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def ask(port: int, statement: str = "", *, method: str = "POST", path: str = "/", **params: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": params.pop("authorization")} if "authorization" in params else {}
    if path.startswith("/v1/"):
        headers["Content-Type"] = "application/x-protobuf"
    try:
        connection.request(method, f"{path}?{urlencode(params)}", statement, headers)
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")
    finally:
        connection.close()


@pytest.fixture
def password_files(tmp_path: Path) -> list[str]:
    (tmp_path / "secret").write_text(f"{PASSWORD}\n")
    (tmp_path / "readers").write_text(f"{READERS}\n")
    return ["--password-file", str(tmp_path / "secret"), "--reader-password-file", str(tmp_path / "readers")]


def test_every_port_asks_for_the_password_except_for_health(
    tmp_path: Path, password_files: list[str], otlp: ModuleType
) -> None:
    body = otlp.traces(otlp.decision("x")).SerializeToString()
    with running(tmp_path, *password_files, "--host", "0.0.0.0") as (_, at):
        assert at["host"] == "0.0.0.0"
        web, to = at["web_port"], at["otlp_port"]
        assert [ask(web, method="GET", path=path)[0] for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 401]
        assert ask(web, method="GET", path="/metrics", authorization=BASIC)[0] == 200
        assert ask(to, body, path="/v1/traces")[0] == 401
        readers = "Basic " + base64.b64encode(f"reader:{READERS}".encode()).decode()
        assert ask(to, body, path="/v1/traces", authorization=readers)[0] == 401
        assert ask(to, body, path="/v1/traces", authorization=BASIC)[0] == 200
        assert ask(at["clickhouse_port"], "SELECT 1")[0] == 403
        counted = ask(at["clickhouse_port"], "SELECT count() FROM decisions", user="reader", password=READERS)
        assert counted == (200, "1\n")


def test_stock_exporters_bring_it_in_their_headers(tmp_path: Path, password_files: list[str]) -> None:
    bot = """
import sys
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
if sys.argv[1] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
provider = TracerProvider(shutdown_on_exit=False)
span = provider.get_tracer("x").start_span("x")
span.end()
exporter = OTLPSpanExporter(timeout=5)
print(exporter.export([span]).name)
"""
    with running(tmp_path, *password_files) as (_, at):
        for protocol, endpoint in {
            "http": f"http://127.0.0.1:{at['otlp_port']}",
            "grpc": f"http://127.0.0.1:{at['otlp_grpc_port']}",
        }.items():
            for headers, said in ((f"authorization={BASIC.replace(' ', '%20')}", "SUCCESS"), ("", "FAILURE")):
                told = {"OTEL_EXPORTER_OTLP_HEADERS": headers, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
                done = subprocess.run(
                    [sys.executable, "-c", bot, protocol],
                    env={**ENVIRONMENT, **told}, capture_output=True, text=True, check=False, timeout=60,
                )  # fmt: skip
                assert done.stdout.strip() == said, (protocol, done.stderr)
        counted = ask(at["clickhouse_port"], "SELECT count() FROM otel_traces", user="default", password=PASSWORD)
        assert counted == (200, "2\n")


def test_secrets_are_neither_printed_nor_stored_nor_told(tmp_path: Path, password_files: list[str]) -> None:
    secrets = (PASSWORD, READERS, PARAMETER, BASIC.split()[1])
    heard = []
    with running(tmp_path, *password_files) as (process, at):
        port = at["clickhouse_port"]
        for statement in (
            "SELECT 1", "SELECT {p:UInt32}", "SELEC {p:String}", "SELECT {p:String} FROM nosuch",
            "SELECT toUInt8({p:String})", "SELECT throwIf(1, {p:String})", "SELECT sleep(0.1), {p:String}",
        ):  # fmt: skip
            for password in (PASSWORD, "wrong" + PASSWORD):
                status, text = ask(port, statement, user="default", password=password, param_p=PARAMETER)
                heard.append(text if status != 200 else "")
        running_statement = "SELECT sleep(3), {p:String} AS slow"
        told = {"param_p": PARAMETER, "user": "default", "password": PASSWORD}
        late = threading.Thread(target=ask, args=[port, running_statement], kwargs=told)
        late.start()
        reader = {"user": "reader", "password": READERS}
        deadline = time.monotonic() + 20
        default = {"user": "default", "password": PASSWORD}
        while " AS slow" not in ask(port, "SELECT query FROM system.processes", **default)[1]:
            assert time.monotonic() < deadline
        heard.append(ask(port, "SELECT query FROM merge('system', '^processes$')", **reader)[1])
        known = ("processes", "errors", "settings", "server_settings", "settings_changes", "warnings", "events")
        tables = ask(port, "SELECT name FROM system.tables WHERE database = 'system' AND name LIKE '%log'", **reader)[1]
        heard += [ask(port, f"SELECT * FROM system.{table}", **reader)[1] for table in (*known, *tables.split())]
        heard.append(ask(port, "SHOW PROCESSLIST", **reader)[1])
        late.join()
        heard.append(Path(f"/proc/{process.pid}/cmdline").read_text())
        heard.append((tmp_path / "data" / "server.json").read_text())
        for file in Path(tmp_path / "data").rglob("*"):
            if file.is_file():
                stored = file.read_bytes()
                assert not any(secret.encode() in stored for secret in secrets), file
    heard.append((tmp_path / "printed").read_text())
    heard.append((tmp_path / "ports.json").read_text())
    for text in heard:
        assert not any(secret in text for secret in secrets), text


def test_the_command_line_takes_the_password_from_the_environment(tmp_path: Path, password_files: list[str]) -> None:
    with running(tmp_path, OTEL_OBS_PASSWORD_FILE=password_files[1]) as (_, at):
        asking = [*UP[:-1], "report", "why", "--json", "--url", f"http://127.0.0.1:{at['clickhouse_port']}"]

        def report(**more: str) -> subprocess.CompletedProcess[str]:
            told = {**ENVIRONMENT, **more}
            return subprocess.run(asking, env=told, capture_output=True, text=True, check=False, timeout=60)

        refused = report(OTEL_OBS_PASSWORD="wrong")
        assert (refused.returncode, "OTEL_OBS_PASSWORD_FILE" in refused.stderr) == (1, True), refused
        for user in ("default", "reader"):
            assert report(OTEL_OBS_USER=user, OTEL_OBS_PASSWORD=PASSWORD).returncode == 0
    done = subprocess.run(
        [*UP, "--data", str(tmp_path / "open"), *PORTS, "--host", "0.0.0.0"],
        env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, "--password-file" in done.stderr, "Traceback" in done.stderr) == (1, True, False), done
    assert not (tmp_path / "open").exists()  # told before anything was touched
