"""What a chaos test needs: a store as a process, bots as processes, a network that misbehaves, and the reckoning."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_obs import query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Manner = Callable[["Exchange"], None]

BOTS = Path(__file__).with_name("bots")
CLI = [sys.executable, "-m", "otel_obs.surfaces.cli"]
MOST_UNCONFIRMED = 256
SLOWEST = 3.0  # seconds that a round may take on a machine that does much else; a bot that waits for us takes longer
ORDINARY = 0.05  # seconds of a round, on the average: it takes less than a thousandth where nobody is in the way
FEW = 20
DURABLE_OF_A_ROUND = 5
ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}


def until(holds: Callable[[], Any], *, seconds: float = 60.0, told: Callable[[], object] = lambda: "") -> Any:
    """What ``holds()`` gives once it is true."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, told()
        time.sleep(0.02)
    return found


class Store:
    """`otel-obs up` as a process, which may be killed and started again on its ports."""

    def __init__(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self._place = place
        self._ports = dict.fromkeys(("otlp", "otlp-grpc", "clickhouse", "web"), 0)
        self.start()

    def start(self) -> None:
        """Start it; returns once it answers."""
        file = self._place / "ports.json"
        file.unlink(missing_ok=True)
        command = [*CLI, "up", "--data", str(self._place / "data"), "--ports-file", str(file)]
        for name, port in self._ports.items():
            command += [f"--{name}-port", str(port)]
        with (self._place / "store.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=ENVIRONMENT, start_new_session=True
            )
        told = until(
            lambda: file.exists() or (self.process.poll() is not None and (self._place / "store.log").read_text())
        )
        assert told is True, told
        found = json.loads(file.read_text(encoding="utf-8"))
        self._ports = {name: found[f"{name.replace('-', '_')}_port"] for name in self._ports}
        self.endpoint = f"http://127.0.0.1:{self._ports['otlp']}"
        self.url = f"http://127.0.0.1:{self._ports['clickhouse']}"

    def end(self, number: int = signal.SIGTERM) -> None:
        """Stop it, or kill it."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(60)


class Bot:
    """A program in a process of its own."""

    def __init__(self, program: str, *, home: Path, endpoint: str, service: str, **variables: str) -> None:
        self.tallies = home / "tallies"
        self.tallies.mkdir(parents=True, exist_ok=True)
        number = len(list(home.glob("bot*.py")))
        file = home / f"bot{number}.py"
        file.write_text(program, encoding="utf-8")
        self.log = home / f"bot{number}.log"
        own = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_SERVICE_NAME": service, "TALLIES": str(self.tallies),
            "PYTHONPATH": str(BOTS), "XDG_STATE_HOME": str(home / "state"), "OTEL_OBS_SEND_INTERVAL": "0.1",
            "PYTHONUNBUFFERED": "1",
        }  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(file)], stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.PIPE,
                env=ENVIRONMENT | own | variables, start_new_session=True,
            )  # fmt: skip

    def said(self) -> str:
        """All that it printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def until_said(self, words: str, *, seconds: float = 60.0) -> None:
        """Wait for words of it."""
        until(lambda: words in self.said() or self.process.poll() not in {None, 0}, seconds=seconds, told=self.said)
        assert words in self.said(), self.said()

    def go_on(self) -> None:
        """Let it read a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def ends(self, *, within: float = 60.0) -> int:
        """Its exit code."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.said()) from None

    def ends_well(self, *, within: float = 60.0) -> None:
        """Wait for an end without an error."""
        assert self.ends(within=within) == 0, self.said()
        assert "Traceback" not in self.said(), self.said()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to it, as long as it lives; wait for the end if it is a kill."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait(30)

    def close(self) -> None:
        """Leave nothing of it behind, children included."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()


class Exchange:
    """One request on its way to the store, in the hands of the network."""

    def __init__(self, handler: BaseHTTPRequestHandler, network: Network) -> None:
        self.handler, self._network = handler, network
        self.length = int(handler.headers["Content-Length"])

    def body(self) -> bytes:
        """All of it."""
        content = self.handler.rfile.read(self.length)
        self.raw = content
        return gzip.decompress(content) if self.handler.headers.get("Content-Encoding") == "gzip" else content

    def answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        """Answer it."""
        self.handler.send_response(status)
        self.handler.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()
        self.handler.wfile.write(content)

    def write(self, content: bytes) -> None:
        """Send raw bytes, and hang up."""
        self.handler.wfile.write(content)
        self.handler.wfile.flush()
        self.hang_up()

    def hang_up(self) -> None:
        """End the connection at once."""
        self.handler.close_connection = True
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handler.connection.close()

    def pass_on(self) -> tuple[int, bytes]:
        """Hand it to the store, which answers."""
        host = self._network.target.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=60)
        headers = {
            name: self.handler.headers[name]
            for name in ("Content-Type", "Content-Encoding")
            if name in self.handler.headers
        }
        try:
            connection.request("POST", self.handler.path, self.raw, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def deliver(self) -> None:
        """What a good network does."""
        self.body()
        self.answer(*self.pass_on())


class Network:
    """What stands between bots and the store; ``manner`` says how it treats requests. It can be away."""

    good: Manner = Exchange.deliver

    def __init__(self, target: str) -> None:
        self.target = target
        self.manner: Manner = Network.good
        self.requests = 0
        self._port = 0
        self.come()

    def come(self, *, port: int | None = None) -> None:
        """Be there, on the port that it had."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port if port is None else port), self._handler())
        self._server.daemon_threads = True
        self._port = self._server.server_port
        self.endpoint = f"http://127.0.0.1:{self._port}"
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def go(self) -> None:
        """Be away: nobody listens, and what was open is closed."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Be away for good."""
        if self._thread.is_alive():
            self.go()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        network = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                network._open.add(self.connection)

            def do_POST(self) -> None:
                network.requests += 1
                try:
                    network.manner(Exchange(self, network))
                except (OSError, http.client.HTTPException):
                    self.close_connection = True

            def finish(self) -> None:
                network._open.discard(self.connection)
                with suppress(OSError, ValueError):
                    super().finish()

            def log_message(self, *_: object) -> None: ...

        return Handler


class Reckoning:
    """Holds what a service's bots counted against what the store has."""

    def __init__(self, store: Store, service: str) -> None:
        self._asked = query.connect(store.url)
        self._service = service

    def close(self) -> None:
        """Hang up."""
        self._asked.client.close()

    def rows(self) -> list[Any]:
        """The report's rows of each instance and tier."""
        answer = self._asked.delivery(service=self._service, from_="1970-01-01", to="2100-01-01")
        return [row for row in answer.rows if row.tier is not None]

    def settled(self, *, instances: int = 1, seconds: float = 60.0) -> list[Any]:
        """The rows once every process has ended, and nothing is on its way."""
        found: list[Any] = []

        def is_so() -> bool:
            found[:] = self.rows()
            heard = {row.instance for row in found}
            return len(heard) >= instances and all(row.process == "ended" and row.state != "waiting" for row in found)

        until(is_so, seconds=seconds, told=lambda: "\n".join(map(str, found)))
        return found

    def add_up(
        self,
        tallies: Path,
        *,
        instances: int = 1,
        killed: bool = False,
        lost: Iterable[str] = (),
        further: int = 0,
        slowest: float = SLOWEST,
        seconds: float = 60.0,
    ) -> list[Any]:
        """Assert that every number is accounted for, once, and that bots said what the ledgers hold.

        ``lost`` are the reasons for which durable records may be missing; only of who was ``killed`` some may be
        unconfirmed. ``further`` durable records were said outside of rounds.
        """
        rows = self.settled(instances=instances, seconds=seconds)
        for row in rows:
            told = str(row)
            assert (row.unaccounted, row.overcounted, row.journaled) == (0, 0, 0), told
            assert row.produced == row.stored + sum(row.dropped.values()) + row.sampled + row.unconfirmed, told
            if row.tier == "durable":
                assert set(row.dropped) <= set(lost), told
                assert row.unconfirmed <= (MOST_UNCONFIRMED if killed else 0), told
            if not killed:
                assert row.unconfirmed == 0, told
        self._each_number_once(rows)
        self._as_counted(rows, tallies, slowest, further)
        return rows

    def durations(self, *names: str) -> list[tuple[Any, ...]]:
        """Of spans by name: how many there are, the longest in ns, and how many took 20 ms or more."""
        return list(
            self._asked.client.query(
                "SELECT SpanName, count(), max(Duration), countIf(Duration >= 19900000) FROM otel_traces FINAL"
                " WHERE ServiceName = {service:String} AND SpanName IN {names:Array(String)} GROUP BY SpanName",
                parameters={"service": self._service, "names": list(names)},
            ).result_rows
        )

    def stored(self, event: str, attribute: str) -> dict[str, int]:
        """How many rows there are of each value of an attribute, of spans of that name."""
        found = self._asked.client.query(
            "SELECT SpanAttributes[{attribute:String}] AS value, count() FROM otel_traces FINAL"
            " WHERE ServiceName = {service:String} AND SpanName = {event:String} GROUP BY value",
            parameters={"service": self._service, "event": event, "attribute": attribute},
        ).result_rows
        return {str(value): int(count) for value, count in found}

    def _each_number_once(self, rows: list[Any]) -> None:
        """Every number that counts as stored is a row, and no other row has it."""
        of_spans = (
            "SELECT ResourceAttributes['service.instance.id'], SpanAttributes['otel_obs.tier'], seq FROM otel_traces"
        )
        of_logs = "SELECT ResourceAttributes['service.instance.id'], LogAttributes['otel_obs.tier'], seq FROM otel_logs"
        where = "FINAL WHERE ServiceName = {service:String} AND seq > 0"
        found = self._asked.client.query(
            f"SELECT count(), uniqExact(*) FROM ({of_spans} {where} UNION ALL {of_logs} {where})",
            parameters={"service": self._service},
        ).result_rows[0]
        assert found[0] == found[1]
        assert found[0] == sum(row.stored + row.since for row in rows)

    def _as_counted(self, rows: list[Any], tallies: Path, slowest: float, further: int) -> None:
        produced = {row.instance: row.produced for row in rows if row.tier == "durable"}
        for file in tallies.iterdir():
            begun, done, longest, together = struct.unpack("4Q", file.read_bytes())
            said = produced.get(file.name, 0)
            assert DURABLE_OF_A_ROUND * done <= said <= DURABLE_OF_A_ROUND * begun + further, (
                file.name,
                begun,
                done,
                said,
            )
            assert longest / 1e9 < slowest, f"a round of the bot took {longest / 1e9:.1f} s"
            assert done < FEW or together / 1e9 / done < ORDINARY, f"{done} rounds took {together / 1e9:.1f} s"
