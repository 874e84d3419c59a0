"""`otel-obs up` as a process: stopped, killed, out of disk, it loses nothing that it acknowledged."""

from __future__ import annotations

import http.client
import json
import os
import random
import resource
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.store.client import open_directory
from otel_obs.store.embedded.directory import DataDirectory, running_at
from otel_obs.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType
    from typing import Self

CLI = [sys.executable, "-m", "otel_obs.surfaces.cli"]
ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith("OTEL_")}


def _cli(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CLI, *arguments], capture_output=True, text=True, check=False, timeout=60, env=ENVIRONMENT, **more
    )


def _up(data: Path, *options: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """`up` where it is expected to end by itself."""
    ports = {"--otlp-port": "0", "--otlp-grpc-port": "0", "--clickhouse-port": "0", "--web-port": "0"}
    given = dict(zip(options[::2], options[1::2], strict=True))
    return _cli("up", "--data", str(data), *(text for pair in {**ports, **given}.items() for text in pair), **more)


@dataclass
class Store:
    """A running `otel-obs up`."""

    process: subprocess.Popen[str]
    ports: dict[str, Any]
    seconds: float  # that it took to come up

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["web_port"], timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Exit code and all that it printed."""
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=60)
        return self.process.returncode, out


def _ports(file: Path, process: subprocess.Popen[str]) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


@contextmanager
def _running(data: Path, *, ports_file: Path) -> Iterator[Store]:
    ports_file.unlink(missing_ok=True)
    command = [*CLI, "up", "--data", str(data), "--ports-file", str(ports_file)]
    command += ["--otlp-port", "0", "--otlp-grpc-port", "0", "--clickhouse-port", "0", "--web-port", "0"]
    started = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT, start_new_session=True
    )
    try:
        yield Store(process, _ports(ports_file, process), time.monotonic() - started)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        if process.stdout is not None:
            process.stdout.close()


@dataclass
class Senders:
    """Bots that send one batch after the other until they are told to stop, or turned away."""

    otlp: ModuleType
    receiver: Any
    acknowledged: list[str] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def _run(self) -> None:
        while not self.stopped.is_set():
            spans = [self.otlp.decision("x", self.otlp.gate("g")) for _ in range(20)]
            try:
                reply = self.receiver.post("/v1/traces", self.otlp.traces(*spans).SerializeToString())
            except (OSError, http.client.HTTPException):  # the store has gone
                return
            if reply.status == 200:
                self.acknowledged += [span.span_id.hex() for span in spans]
            else:
                self.others.append(reply)

    def __enter__(self) -> Self:
        self.threads = [threading.Thread(target=self._run) for _ in range(6)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def until(self, count: int) -> None:
        """Wait until more than ``count`` spans were acknowledged."""
        deadline = time.monotonic() + 30
        while len(self.acknowledged) <= count:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def _stored(data: Path, table: str = "decisions") -> set[str]:
    """The spans that a stopped store holds."""
    client = open_directory(data / "engine")
    try:
        return {id_ for (id_,) in client.query(f"SELECT span_id FROM otel.{table} FINAL").result_rows}
    finally:
        client.close()


# ---- up and down


def test_it_comes_up_tells_where_and_how_it_is_and_ends_in_order(
    tmp_path: Path, otlp: ModuleType, receiver_at: Any
) -> None:
    data = tmp_path / "new" / "data"
    with _running(data, ports_file=tmp_path / "ports.json") as store:
        assert set(store.ports) == {
            "pid", "host", "otlp_port", "otlp_grpc_port", "clickhouse_port", "web_port",
        }  # fmt: skip
        assert (store.ports["pid"], store.ports["host"]) == (store.process.pid, "127.0.0.1")
        assert store.get("/healthz") == (200, "ok\n")
        assert store.get("/readyz") == (200, "ready\n")
        to = receiver_at(store.ports["otlp_port"])
        to.send(otlp.traces(otlp.decision("x")))
        assert to.post("/v1/logs", b"\xff").status == 400
        status, text = store.get("/metrics")
        assert status == 200
        lines = text.splitlines()
        assert 'otel_obs_store_bodies_total{result="stored",signal="traces"} 1.0' in lines
        assert 'otel_obs_store_bodies_total{result="malformed",signal="logs"} 1.0' in lines
        assert 'otel_obs_store_bodies_total{result="failed",signal="logs"} 0.0' in lines  # there from the start
        assert 'otel_obs_store_rejected_records_total{signal="traces"} 0.0' in lines

        # whoever asks by directory is sent to the server that holds it
        asked = _cli("report", "why", "--data", str(data), "--from", "2025-01-01", "--json")
        assert (asked.returncode, json.loads(asked.stdout)["decisions"]) == (0, 1), asked.stderr
        by_url = _cli(
            "report",
            "why",
            "--url",
            f"http://127.0.0.1:{store.ports['clickhouse_port']}",
            "--from",
            "2025-01-01",
            "--json",
        )
        assert by_url.stdout == asked.stdout

        code, printed = store.end(signal.SIGINT)
    assert (code, "Traceback" in printed) == (0, False), printed
    for name in ("otlp_port", "otlp_grpc_port", "clickhouse_port", "web_port"):
        assert str(store.ports[name]) in printed
        with pytest.raises(OSError):  # noqa: PT011 - the port is free again
            socket.create_connection(("127.0.0.1", store.ports[name]), timeout=1)
    # and now the CLI opens the directory itself
    again = _cli("report", "why", "--data", str(data), "--from", "2025-01-01", "--json")
    assert again.stdout == asked.stdout, again.stderr


def test_sigterm_drains_what_is_under_way(tmp_path: Path, otlp: ModuleType, receiver_at: Any) -> None:
    data = tmp_path / "data"
    with _running(data, ports_file=tmp_path / "ports.json") as store:
        with Senders(otlp, receiver_at(store.ports["otlp_port"])) as senders:
            senders.until(200)
            code, printed = store.end()
        assert (code, "Traceback" in printed) == (0, False), printed
    assert {reply.status for reply in senders.others} <= {503}
    assert set(senders.acknowledged) <= _stored(data)


def test_an_idle_connection_and_a_slow_reader_do_not_hold_it_up(tmp_path: Path) -> None:
    with _running(tmp_path / "data", ports_file=tmp_path / "ports.json") as store:
        idle = http.client.HTTPConnection("127.0.0.1", store.ports["otlp_port"])
        idle.request("POST", "/v1/traces", b"", {"Content-Type": "application/x-protobuf"})
        idle.getresponse().read()  # its connection stays open
        began = time.monotonic()
        code, printed = store.end()
        assert (code, time.monotonic() - began < 8) == (0, True), printed
        idle.close()


def _asked(store: Store, statement: str) -> list[str]:
    connection = http.client.HTTPConnection("127.0.0.1", store.ports["clickhouse_port"], timeout=60)
    try:
        connection.request("POST", "/", statement)
        response = connection.getresponse()
        lines = response.read().decode().splitlines()
        assert response.status == 200, lines
        return lines
    finally:
        connection.close()


def test_killed_50_times_under_load_it_loses_nothing_that_it_acknowledged(
    tmp_path: Path, otlp: ModuleType, receiver_at: Any
) -> None:
    data = tmp_path / "data"
    moments = random.Random(20251219)
    acknowledged: set[str] = set()
    seconds = []
    for number in range(50):
        with _running(data, ports_file=tmp_path / "ports.json") as store:
            seconds.append(store.seconds)
            assert acknowledged <= set(_asked(store, "SELECT span_id FROM decisions FINAL"))
            with Senders(otlp, receiver_at(store.ports["otlp_port"])) as senders:
                if number % 2:  # the first insert of a new process takes longest: kill after it as well as during it
                    senders.until(0)
                time.sleep(moments.uniform(0, 0.4))
                store.end(signal.SIGKILL)
            acknowledged |= set(senders.acknowledged)
    with _running(data, ports_file=tmp_path / "ports.json") as store:
        assert store.get("/readyz")[0] == 200
        assert store.end()[0] == 0
    assert len(acknowledged) >= 25 * 20
    assert acknowledged <= _stored(data)
    assert {id_[:16] for id_ in acknowledged} <= _stored(data, "gates")
    sys.stdout.write(f"start: median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s\n")
    assert max(seconds) < 10  # about one on an idle machine


# ---- what keeps it from coming up is told in one line, with the way out


def _refused(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    for part in parts:
        assert part in errors[0], errors


def test_a_second_one_on_the_same_directory_is_told_who_holds_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with _running(data, ports_file=tmp_path / "ports.json") as store:
        holder = f"process {store.process.pid}, reached at http://127.0.0.1:{store.ports['clickhouse_port']}"
        _refused(_up(data), str(data), holder, "--data")
        assert store.get("/readyz")[0] == 200


def test_the_address_of_a_killed_store_is_not_told_as_the_holder_s(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with _running(data, ports_file=tmp_path / "ports.json") as store:
        store.end(signal.SIGKILL)
    assert (data / "server.json").exists()
    with DataDirectory(data):  # somebody who is no server holds it: the CLI, asking
        assert running_at(data) is None
        done = _up(data)
        _refused(done, "in use by another process")
        assert str(store.ports["pid"]) not in done.stderr


@pytest.mark.parametrize("option", ["--otlp-port", "--otlp-grpc-port", "--clickhouse-port", "--web-port"])
def test_a_port_that_is_taken_is_named_with_its_option_and_the_directory_is_let_go(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        _refused(_up(tmp_path / "data", option, port), port, "in use", option)
    DataDirectory(tmp_path / "data", create=False).release()


def test_a_directory_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    _refused(_up(tmp_path), "not empty", "--data")
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    if os.getuid() == 0:  # who may write everywhere, but for here
        closed = Path("/sys/kernel")
    _refused(_up(closed / "otel_obs"), f"{closed}/otel_obs cannot be used", "--data")


def test_a_ports_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    _refused(
        _up(tmp_path / "data", "--ports-file", str(tmp_path / "nowhere" / "ports.json")), "nowhere", "--ports-file"
    )


def test_a_store_of_a_newer_version_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "engine").mkdir(parents=True)
    (data / "otel_obs.lock").touch()
    client = open_directory(data / "engine")
    migrate(client)
    client.command("INSERT INTO otel.schema_migrations (version, name, sha256) VALUES (9001, '9001_future.sql', 'x')")
    client.close()
    _refused(_up(data), "9001_future.sql", "pip install --upgrade")
    _refused(_cli("report", "why", "--data", str(data)), "9001_future.sql")


# ---- no space


def test_with_a_full_disk_it_says_so_keeps_what_it_has_and_recovers_by_itself(
    tmp_path: Path, otlp: ModuleType, receiver_at: Any
) -> None:
    """Files that may not grow stand in for a disk on which not even the body can be put."""
    data = tmp_path / "data"
    with _running(data, ports_file=tmp_path / "ports.json") as store:
        to = receiver_at(store.ports["otlp_port"])
        sent = [otlp.decision("x") for _ in range(2000)]
        to.send(otlp.traces(*sent[:1000]))
        free = resource.prlimit(store.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(store.process.pid, resource.RLIMIT_FSIZE, (0, free[1]))
        for _ in range(3):
            reply = to.post("/v1/traces", otlp.traces(otlp.decision("x"), service="late").SerializeToString())
            assert (reply.status, bool(reply.body)) == (503, True), reply
        assert store.get("/healthz")[0] == 200
        resource.prlimit(store.process.pid, resource.RLIMIT_FSIZE, free)
        to.send(otlp.traces(*sent[1000:]))
        assert store.end()[0] == 0
    assert {span.span_id.hex() for span in sent} <= _stored(data)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_on_a_disk_that_really_is_full_nothing_acknowledged_is_lost(
    tiny_disk: Path, tmp_path: Path, otlp: ModuleType, receiver_at: Any
) -> None:
    data = tiny_disk / "data"
    acknowledged: set[str] = set()
    with _running(data, ports_file=tmp_path / "ports.json") as store:
        to = receiver_at(store.ports["otlp_port"])

        def send() -> int:
            spans = [otlp.decision("x", more={"noise": os.urandom(2_000).hex()}) for _ in range(400)]
            reply = to.post("/v1/traces", otlp.traces(*spans).SerializeToString())
            if reply.status == 200:
                acknowledged.update(span.span_id.hex() for span in spans)
            else:
                assert (reply.status, bool(reply.body)) == (503, True), reply
            return int(reply.status)

        assert send() == 200
        for left in (200_000_000, 1_000_000):  # too little for the engine; too little even for the body
            with (tiny_disk / "filler").open("ab") as filler:
                disk = os.statvfs(tiny_disk)
                os.posix_fallocate(filler.fileno(), filler.tell(), disk.f_bavail * disk.f_frsize - left)
                filler.seek(0, os.SEEK_END)
            assert [send() for _ in range(3)] == [503, 503, 503]
        (tiny_disk / "filler").unlink()
        deadline = time.monotonic() + 20
        while send() != 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert store.end()[0] == 0
    assert acknowledged <= _stored(data)
    client = open_directory(data / "engine")
    [[read]] = client.query("SELECT count() FROM otel.otel_traces WHERE NOT ignore(SpanAttributes)").result_rows
    client.close()
    assert read >= len(acknowledged)
