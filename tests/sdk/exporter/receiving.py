"""A receiver that misbehaves on command, an outbox in memory, and frames whose records are numbered."""

from __future__ import annotations

import gzip
import itertools
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from otel_obs.contract.tiers import Loss, Tier
from otel_obs.sdk.frames import Frame, how_many, runs
from otel_obs.sdk.otlp import LogRecord, ResourceRecord, ScopeRecord, SpanRecord, encode_logs, encode_spans
from otel_obs.sdk.otlp.turns import hold_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

SCOPE = ScopeRecord(ResourceRecord({"service.name": "bot"}), "otel_obs")


def numbers_in(signal: str, body: bytes) -> list[tuple[str, int]]:
    """Tier and number of each record of a body, as a stranger decodes it."""
    request: Any = ExportTraceServiceRequest() if signal == "traces" else ExportLogsServiceRequest()
    request.ParseFromString(body)
    found = []
    for resource in request.resource_spans if signal == "traces" else request.resource_logs:
        assert resource.resource.attributes[0].value.string_value == "bot"
        for scope in resource.scope_spans if signal == "traces" else resource.scope_logs:
            assert scope.scope.name == "otel_obs"
            for record in scope.spans if signal == "traces" else scope.log_records:
                named = {one.key: one.value for one in record.attributes}
                found.append((named["otel_obs.tier"].string_value, named["otel_obs.seq"].int_value))
    return found


@dataclass
class Answer:
    """What the receiver does with one request: say this, after so long, and only as much of it; ``b""`` closes."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    silent: bool = False
    refused: set[tuple[str, int]] = field(default_factory=set)  # of those that it thanks for


class Receiver:
    """Counts the records of each body that it thanks for. ``mood`` decides; None is thanks."""

    def __init__(self) -> None:
        self.stored: Counter[tuple[str, int]] = Counter()
        self.posts: list[tuple[str, dict[str, str], int]] = []
        self.connections: set[Any] = set()
        self.mood: Callable[[str, bytes], Answer | None] = lambda _signal, _body: None
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._start(0)

    def _start(self, port: int) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Go away: nobody listens any more, and open connections break."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def start(self) -> None:
        """Come back at the same place."""
        self._start(self.port)

    def close(self) -> None:
        """End it."""
        self.over.set()
        self.stop()

    def take(self, signal: str, body: bytes) -> Answer:
        """What becomes of a body."""
        answer = self.mood(signal, body) or Answer()
        if answer.status == 200 and answer.cut is None and not answer.silent:
            with self._lock:
                self.stored.update(set(numbers_in(signal, body)) - answer.refused)
        return answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                receiver.connections.add(self.connection)

            def finish(self) -> None:
                receiver.connections.discard(self.connection)
                try:
                    super().finish()
                except OSError:
                    return

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.posts.append((self.path, headers, len(body)))
                if headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                self._say(receiver.take("logs" if "logs" in self.path else "traces", body))

            def _say(self, answer: Answer) -> None:
                if answer.silent:
                    receiver.over.wait()
                    self.close_connection = True
                    return
                head = {"Content-Length": str(len(answer.body)), **answer.headers}
                lines = [f"HTTP/1.1 {answer.status} Said", *(f"{name}: {value}" for name, value in head.items())]
                whole = "\r\n".join([*lines, "", ""]).encode() + answer.body
                try:
                    self.wfile.write(whole[: answer.cut])
                except OSError:
                    self.close_connection = True
                self.close_connection |= answer.cut is not None

            def log_message(self, *_: object) -> None: ...

        return Handler


class Entry:
    """A frame that waits in memory."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.signal, self.tier, self.records = frame.signal, frame.tier, frame.records
        self.numbered, self.at_ns, self.size = how_many(frame.numbers), frame.at_ns, len(frame.body)
        self.is_readable = True

    def body(self) -> bytes | None:
        """The request."""
        return self.frame.body if self.is_readable else None


class MemoryOutbox:
    """Every entry is in one place at a time, and that is checked."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.entries: list[Entry] = []
        self.taken: list[Entry] = []
        self.delivered: Counter[str] = Counter()
        self.refused: list[tuple[Frame, Loss, str]] = []
        self.compressed = 0
        self._turn = 0

    def put(self, *frames: Frame) -> None:
        """Add."""
        with self._changed:
            self.entries += map(Entry, frames)
            self._changed.notify_all()

    def take(self, *, most_records: int, most_bytes: int, wait: float) -> list[Entry]:
        """See Outbox: every other time from the newest on."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.entries, timeout=wait):
                return []
            self._turn += 1
            waiting = self.entries[:: -1 if self._turn % 2 else 1]
            found: list[Entry] = []
            for entry in [entry for entry in waiting if entry.signal == waiting[0].signal]:
                records, size = sum(one.records for one in found), sum(one.size for one in found)
                if found and (records + entry.records > most_records or size + entry.size > most_bytes):
                    break
                found.append(entry)
            self._move(found, self.entries, self.taken)
            return found

    def _move(self, entries: Iterable[Entry], source: list[Entry], target: list[Entry] | None) -> None:
        for entry in entries:
            source.remove(entry)
            if target is not None:
                target.append(entry)

    def done(self, entries: Iterable[Entry]) -> None:
        """See Outbox."""
        with self._changed:
            entries = list(entries)
            self._move(entries, self.taken, None)
            for entry in entries:
                self.delivered[entry.tier] += entry.numbered

    def keep(self, entries: Iterable[Entry]) -> None:
        """See Outbox."""
        with self._changed:
            self._move(list(entries), self.taken, self.entries)
            self.entries.sort(key=lambda entry: entry.at_ns)

    def refuse(self, entry: Entry, parts: Sequence[tuple[Frame, Loss, str]], delivered: int) -> None:
        """See Outbox."""
        with self._changed:
            self._move([entry], self.taken, None)
            self.delivered[entry.tier] += delivered
            self.refused += parts

    def compress(self) -> None:
        """See Outbox."""
        self.compressed += 1

    def sync(self) -> None:
        """See Outbox."""

    @property
    def set_aside(self) -> set[tuple[str, int]]:
        """Tier and number of each refused record."""
        return {
            (frame.tier.value, number)
            for frame, _, _ in self.refused
            for first, last in frame.numbers
            for number in range(first, last + 1)
        }


class Bot:
    """Makes frames of numbered records."""

    def __init__(self) -> None:
        self._next = {tier: itertools.count(1) for tier in Tier}
        self._at = itertools.count(1)
        self.said: set[tuple[str, int]] = set()

    def frame(self, signal: Any = "traces", records: int = 10, tier: Tier = Tier.DURABLE, text: str = "hold") -> Frame:
        """Some records in a frame."""
        numbers = [next(self._next[tier]) for _ in range(records)]
        self.said |= {(tier.value, number) for number in numbers}
        at = next(self._at)
        named = [{"otel_obs.tier": tier.value, "otel_obs.seq": number, "decision.what": text} for number in numbers]
        if signal == "traces":
            body = encode_spans(
                [SpanRecord(SCOPE, at, number, 0, "decision", at, at, attributes=one) for number, one in
                 zip(numbers, named, strict=True)], pause=hold_on,
            )  # fmt: skip
        else:
            body = encode_logs([LogRecord(SCOPE, at, at, attributes=one) for one in named], pause=hold_on)
        return Frame(signal, tier, records, runs(numbers), at, body)


def until(holds: Callable[[], object], within: float = 60) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.005)


def partial(signal: str, rejected: int, why: str, refused: set[tuple[str, int]] | None = None) -> Answer:
    """Thanks, but not for all."""
    answer: Any = ExportTraceServiceResponse() if signal == "traces" else ExportLogsServiceResponse()
    setattr(answer.partial_success, "rejected_spans" if signal == "traces" else "rejected_log_records", rejected)
    answer.partial_success.error_message = why
    return Answer(200, {"Content-Type": "application/x-protobuf"}, answer.SerializeToString(), refused=refused or set())
