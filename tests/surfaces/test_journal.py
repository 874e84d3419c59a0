"""`otel-obs journal`: what waits, what is wrong with it, and its delivery by hand; in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_obs import settings
from otel_obs.contract import semconv
from otel_obs.contract.tiers import Loss, Tier
from otel_obs.sdk.frames import Frame
from otel_obs.sdk.journal import Home, Outbox, open_home
from otel_obs.sdk.ledger import TIERS
from otel_obs.sdk.otlp import ResourceRecord, ScopeRecord, SpanRecord, encode_spans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "FORCE_COLOR"))}


class Receiver:
    """The other side: what arrived, the status with which it answers, and which spans it wants in no body."""

    def __init__(self) -> None:
        self.spans: list[str] = []
        self.last_words: list[dict[str, Any]] = []
        self.status = 200
        self.poison: set[str] = set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(receiver.take(self.path, body) if receiver.status == 200 else receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def take(self, path: str, body: bytes) -> int:
        if path == "/v1/logs":
            self.last_words += [
                {one.key: one.value for one in [*resource.resource.attributes, *record.attributes]}
                for resource in ExportLogsServiceRequest.FromString(body).resource_logs
                for scope in resource.scope_logs
                for record in scope.log_records
            ]
            return 200
        spans = [
            span.name
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        if self.poison & set(spans):
            return 400
        self.spans += spans
        return 200

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


def _home(root: Path, instance: str) -> tuple[Home, Outbox]:
    resource = {semconv.SERVICE_NAME: "my-bot", semconv.SERVICE_INSTANCE_ID: instance}
    home = open_home(settings.override(journal=str(root)), resource)
    assert home is not None
    return home, home.outbox(settings.Settings())


def _say(home: Home, outbox: Outbox, name: str, *, tier: Tier = Tier.DURABLE) -> Frame:
    number = home.ledger.number(TIERS.index(tier))
    scope = ScopeRecord(resource=ResourceRecord(attributes={semconv.SERVICE_NAME: "my-bot"}), name="test")
    span = SpanRecord(
        scope=scope, trace_id=number, span_id=number, parent_id=0, name=name, start_ns=number * 10**9,
        end_ns=number * 10**9, attributes={semconv.DECISION_WHAT: name},
    )  # fmt: skip
    frame = Frame("traces", tier, 1, ((number, number),), 10**18 + number, encode_spans([span]))
    outbox.put(frame)
    return frame


def _killed(root: Path, instance: str, *names: str) -> Path:
    home, outbox = _home(root, instance)
    for name in names:
        _say(home, outbox, name)
    home.ledger.number(0)  # one that had not reached the journal
    outbox.abandon()
    home.abandon()
    return home.directory


def _cli(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otel_obs.surfaces.cli", "journal", *arguments, "--journal", str(root)],
        capture_output=True, text=True, check=False, timeout=120, env=ENVIRONMENT,
    )  # fmt: skip


def _json(root: Path, *arguments: str) -> Any:
    done = _cli(root, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_ls_tells_the_living_from_the_dead_and_what_each_left(tmp_path: Path):
    assert _json(tmp_path, "ls") == {"instances": []}
    _killed(tmp_path, "dead", "enter", "exit")
    home, outbox = _home(tmp_path, "alive")
    _say(home, outbox, "hold", tier=Tier.STANDARD)
    found = {one["instance"]: one for one in _json(tmp_path, "ls", "--service", "my-bot")["instances"]}
    dead, alive = found["dead"], found["alive"]
    assert (dead["alive"], dead["ended_in_order"], alive["alive"], alive["pid"]) == (False, False, True, os.getpid())
    assert dead["waiting"] == {"durable": 2, "standard": 0, "best_effort": 0}
    assert alive["waiting"]["standard"] == 1
    assert (dead["unconfirmed"]["durable"], alive["unconfirmed"]["standard"]) == (1, 0)
    assert _json(tmp_path, "ls", "--service", "another")["instances"] == []
    shown = _cli(tmp_path, "ls").stdout
    assert "1 living and 1 dead" in shown
    assert "killed" in shown
    assert "\x1b" not in shown
    outbox.close()
    home.close(is_delivered=True)


def test_show_decodes_the_records_of_the_newest_or_of_one_that_is_named(tmp_path: Path):
    _killed(tmp_path, "older", "enter")
    _killed(tmp_path, "newer", "exit", "hold")
    assert [one["numbers"] for one in _json(tmp_path, "show")] == [[[1, 1]], [[2, 2]]]
    assert [one["name"] for one in _json(tmp_path, "show", "--records")] == ["exit", "hold"]
    assert [one["name"] for one in _json(tmp_path, "show", "--records", "--last", "1")] == ["hold"]
    (record,) = _json(tmp_path, "show", "old", "--records")
    assert record["attributes"] == {semconv.DECISION_WHAT: "enter"}
    nobody = _cli(tmp_path, "show", "nobody")
    assert nobody.returncode == 3
    assert "nobody" in nobody.stderr


def test_show_refused_gives_the_receivers_words(tmp_path: Path):
    home, outbox = _home(tmp_path, "one")
    frame = _say(home, outbox, "poison")
    (entry,) = outbox.take(most_records=1, most_bytes=1, wait=0)
    outbox.refuse(entry, [(frame, Loss.REFUSED, "no such field")], delivered=0)
    outbox.close()
    home.close(is_delivered=True)
    (record,) = _json(tmp_path, "show", "--refused", "--records")
    assert (record["name"], record["reason"], record["words"]) == ("poison", "refused", "no such field")
    assert "no such field" in _cli(tmp_path, "show", "--refused").stdout
    assert _json(tmp_path, "show", "--refused", "another") == []


def test_verify_is_content_with_a_torn_end_and_names_file_and_offset_of_a_flipped_byte(tmp_path: Path):
    segment = _killed(tmp_path, "one", "enter", "exit", "hold") / "durable-00000001.otlp"
    whole = segment.read_bytes()
    assert _cli(tmp_path, "verify").returncode == 0
    segment.write_bytes(whole[:-9])
    torn = _cli(tmp_path, "verify", "--json")
    (ledger,) = [one for one in json.loads(torn.stdout) if not one["ok"]]
    assert "1 confirmed records" in ledger["what"]  # for that frame was confirmed, which a kill cannot undo
    segment.write_bytes(whole + whole[:30])
    assert _cli(tmp_path, "verify").returncode == 0
    assert "torn" in _cli(tmp_path, "verify").stdout
    offset = whole.find(b"\xf5OTF", 10)
    segment.write_bytes(whole[: offset + 250] + bytes([whole[offset + 250] ^ 1]) + whole[offset + 251 :])
    flipped = _cli(tmp_path, "verify")
    assert flipped.returncode == 1
    assert segment.name in flipped.stdout
    assert str(offset) in flipped.stdout


def test_replay_delivers_what_the_dead_left_once_and_leaves_the_living_alone(tmp_path: Path, receiver: Receiver):
    _killed(tmp_path, "dead-1", "enter", "exit")
    _killed(tmp_path, "dead-2", "hold")
    home, outbox = _home(tmp_path, "alive")
    _say(home, outbox, "mine")
    assert _json(tmp_path, "replay", "--dry-run")["records"] == 3
    assert receiver.spans == []
    told = _json(tmp_path, "replay", "--endpoint", receiver.endpoint)
    assert (told["instances"], told["delivered"], told["left"]) == (2, 3, 0)
    assert sorted(receiver.spans) == ["enter", "exit", "hold"]
    said = {
        (word[semconv.SERVICE_INSTANCE_ID].string_value, word[semconv.DELIVERY_ENDED].bool_value): [
            word[name].int_value for name in (semconv.DELIVERY_DELIVERED, semconv.DELIVERY_UNCONFIRMED)
        ]
        for word in receiver.last_words
    }
    assert said == {("dead-1", True): [2, 1], ("dead-2", True): [1, 1]}
    assert [one["instance"] for one in _json(tmp_path, "ls")["instances"]] == ["alive"]
    assert _json(tmp_path, "replay", "--endpoint", receiver.endpoint)["delivered"] == 0
    assert outbox.standing().waiting[Tier.DURABLE] == 1
    outbox.close()
    home.close(is_delivered=True)


def test_replay_leaves_what_the_receiver_does_not_take_and_says_so(tmp_path: Path, receiver: Receiver):
    _killed(tmp_path, "dead", "enter")
    receiver.status = 503
    refused = _cli(tmp_path, "replay", "--endpoint", receiver.endpoint)
    assert refused.returncode == 1
    assert "503" in refused.stdout
    away = _cli(tmp_path, "replay", "--endpoint", "http://127.0.0.1:1")
    assert away.returncode == 1
    receiver.status = 200
    assert _json(tmp_path, "replay", "--endpoint", receiver.endpoint)["delivered"] == 1
    assert receiver.spans == ["enter"]


def test_replay_sets_a_refused_record_aside_and_delivers_the_others(tmp_path: Path, receiver: Receiver):
    _killed(tmp_path, "dead", "enter", "poison", "exit")
    receiver.poison = {"poison"}
    done = _cli(tmp_path, "replay", "--endpoint", receiver.endpoint, "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["delivered"], told["refused"], told["left"]) == (1, 2, 1, 0)
    assert {"enter", "exit"} == set(receiver.spans)
    (aside,) = _json(tmp_path, "show", "--refused", "--records")
    assert (aside["name"], aside["reason"], aside["words"]) == ("poison", "refused", "HTTP 400")
    (word,) = receiver.last_words
    assert json.loads(word[semconv.DELIVERY_LOST].string_value) == {"refused": 1}
    assert _json(tmp_path, "ls") == {"journal": str(tmp_path), "set_aside": 1, "instances": []}


def test_a_receiver_that_refuses_everything_does_not_empty_the_journal(tmp_path: Path, receiver: Receiver):
    names = [f"decision {number}" for number in range(30)]
    _killed(tmp_path, "dead", *names)
    receiver.status = 400
    done = _cli(tmp_path, "replay", "--endpoint", receiver.endpoint)
    assert done.returncode == 1
    assert "refuses all" in done.stdout
    assert _json(tmp_path, "show", "--refused") == []
    receiver.status = 200
    assert _json(tmp_path, "replay", "--endpoint", receiver.endpoint)["delivered"] == 30
    assert sorted(receiver.spans) == sorted(names)


def test_a_place_that_is_none_is_told_with_the_fix(tmp_path: Path):
    done = _cli(tmp_path / "nowhere", "ls")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no directory" in done.stderr
