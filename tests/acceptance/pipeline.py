"""The pipeline's processes on free ports: stores, collectors, bots, and a sink that keeps what bots send."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self

ROOT = Path(__file__).parents[2]
OTELCOL = ROOT / "build" / "collector" / "otelcol"
CONFIG = ROOT / "collector" / "config"
BOTS = ROOT / "otel_obs" / "surfaces" / "cli" / "demo" / "bots"
PROTOBUF = "application/x-protobuf"
ENVIRONMENT = {
    name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "COLLECTOR_", "FORCE_COLOR"))
}
GONE = (OSError, http.client.HTTPException)


def eventually(what: str, ask: Callable[[], Any], *, within: float = 60) -> Any:
    """The first answer that is true; asked again and again, for so many seconds."""
    deadline = time.monotonic() + within
    while True:
        if found := ask():
            return found
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}"
        time.sleep(0.1)


def request(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()


def post(port: int, path: str, body: bytes) -> tuple[int, str]:
    """OTLP as protobuf."""
    return request(port, "POST", path, body, **{"Content-Type": PROTOBUF})


@dataclass
class Process:
    """One process; its output goes on in one file through all its restarts."""

    name: str
    log: Path
    popen: subprocess.Popen[bytes] | None = None

    def run(self, command: Sequence[str | Path], environment: dict[str, str]) -> None:
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**ENVIRONMENT, **environment}, cwd=self.log.parent,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        assert self.popen is not None
        return self.popen.pid

    def ended(self) -> int | None:
        return None if self.popen is None else self.popen.poll()

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.popen is not None
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        return self.popen.wait(60)

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def told(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""


@dataclass
class Store(Process):
    """`otel-obs up`; when it comes back it is where it was."""

    data: Path = Path()
    ports: dict[str, int] = field(default_factory=dict)

    def start(self) -> Self:
        file = self.data.with_suffix(".ports.json")
        file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "otel_obs.surfaces.cli", "up", "--data", self.data, "--ports-file", file]
        for port in ("otlp", "otlp_grpc", "clickhouse", "web"):
            command += [f"--{port.replace('_', '-')}-port", str(self.ports.get(f"{port}_port", 0))]
        self.run(command, {})
        eventually(f"{self.name} is up", lambda: file.exists() or self.ended() is not None)
        assert file.exists(), self.told()
        self.ports = json.loads(file.read_text(encoding="utf-8"))
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['clickhouse_port']}"

    def ask(self, statement: str) -> str:
        status, text = request(self.ports["clickhouse_port"], "POST", "/?database=otel", statement.encode())
        assert status == 200, text
        return text.strip()

    def holds(self, count: int, table: str) -> bool:
        return int(self.ask(f"SELECT count() FROM {table} FINAL")) >= count


def _listening(pid: int) -> set[int]:
    """The ports that a process listens on, from /proc."""
    holds = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            holds.add(str(entry.readlink()))
        except OSError:
            continue
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(line[1].split(":")[1], 16) for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in holds}


@dataclass
class Collector(Process):
    """Our otelcol on ports that it chooses itself, told apart by what they answer."""

    queue: Path = Path()
    overlays: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    otlp: int = 0
    metrics: int = 0
    health: int = 0

    def launch(self) -> None:
        files = [CONFIG / f"{name}.yaml" for name in ("base", *self.overlays)]
        anywhere = {f"COLLECTOR_{name}": "127.0.0.1:0" for name in ("OTLP_HTTP", "OTLP_GRPC", "HEALTH")}
        given = {**anywhere, "COLLECTOR_METRICS_PORT": "0", "COLLECTOR_FLUSH": "200ms", **self.environment}
        command = [OTELCOL, *(part for file in files for part in ("--config", file))]
        self.run(command, {**given, "COLLECTOR_QUEUE_DIR": str(self.queue)})

    def start(self) -> Self:
        self.launch()
        eventually(f"{self.name} is ready", lambda: self._found() or self.ended() is not None)
        assert self.ended() is None, self.told()
        return self

    def _found(self) -> bool:
        answers: dict[tuple[str, str], tuple[int, str]] = {}
        self.otlp = self.metrics = self.health = 0
        try:
            ports = _listening(self.pid)
        except OSError:
            return False
        for port in ports:
            for method, path in (("GET", "/"), ("GET", "/metrics"), ("POST", "/v1/traces")):
                try:
                    answers[method, path] = request(port, method, path, **{"Content-Type": PROTOBUF})
                except GONE:  # it speaks gRPC only
                    answers[method, path] = (0, "")
            if answers["GET", "/"][0] == 200 and '"status":"Server available"' in answers["GET", "/"][1]:
                self.health = port
            elif answers["GET", "/metrics"][0] == 200:
                self.metrics = port
            elif answers["POST", "/v1/traces"][0] == 200:
                self.otlp = port
        return bool(self.otlp and self.metrics and self.health)

    def figure(self, name: str) -> float:
        """The sum of a metric of its own over all labels."""
        _, text = request(self.metrics, "GET", "/metrics")
        lines = [line for line in text.splitlines() if line.startswith((name + "{", name + " "))]
        return sum(float(line.rpartition(" ")[2]) for line in lines)


class Pipeline:
    """Makes processes, and leaves none behind."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.processes: list[Process] = []

    def store(self, name: str = "store") -> Store:
        store = Store(name, self.place / f"{name}.log", data=self.place / name)
        self.processes.append(store)
        return store.start()

    def collector(
        self, store: str, *, name: str = "collector", overlays: tuple[str, ...] = (), **more: str
    ) -> Collector:
        made = Collector(
            name, self.place / f"{name}.log", queue=self.place / f"{name}_queue", overlays=overlays,
            environment={"OTEL_OBS_URL": store, **more},
        )  # fmt: skip
        self.processes.append(made)
        return made

    def close(self) -> None:
        for process in reversed(self.processes):
            if process.popen is not None and process.ended() is None:
                process.end()
        for process in self.processes:  # shown by pytest where a test has failed
            sys.stdout.write(f"---- {process.name}\n" + "\n".join(process.told().splitlines()[-60:]) + "\n")


@contextmanager
def sink() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """An OTLP/HTTP endpoint that thanks for everything and keeps it: its URL, and (path, body) as they come."""
    kept: list[tuple[str, bytes]] = []

    class Keeper(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.append((self.path, gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body))
            self.send_response(200)
            self.send_header("Content-Type", PROTOBUF)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keeper)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", kept
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


@dataclass
class Senders:
    """Bots that send all bodies, each until it is acknowledged; who turns them away, and how, is kept."""

    port: Callable[[], int]  # asked each time: a collector that comes back may be elsewhere
    bodies: list[tuple[str, bytes]]
    acknowledged: int = 0
    turned_away: list[tuple[int, str]] = field(default_factory=list)
    gave_up: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def _run(self) -> None:
        while not self.gave_up.is_set():
            with self._lock:
                if not self.bodies:
                    return
                path, body = self.bodies.pop()
            while not self.gave_up.is_set():
                try:
                    status, text = post(self.port(), path, body)
                except GONE:
                    time.sleep(0.05)
                    continue
                if status == 200:
                    with self._lock:
                        self.acknowledged += 1
                    break
                self.turned_away.append((status, text))
                time.sleep(0.05)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._run) for _ in range(4)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.gave_up.set()
        for thread in self._threads:
            thread.join()

    def until(self, count: int) -> None:
        eventually(f"{count} bodies are acknowledged", lambda: self.acknowledged >= count)
