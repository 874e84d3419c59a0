"""`otel-obs import`: what was written as files is in the store as if it was delivered, however often it is sent."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click.testing import CliRunner, Result

import otel_obs as obs
from otel_obs.sdk.otlp import (
    EventRecord,
    LinkRecord,
    LogRecord,
    ResourceRecord,
    ScopeRecord,
    SpanRecord,
    encode_logs,
    encode_spans,
)
from otel_obs.sdk.otlp.from_sdk import log_records, span_records
from otel_obs.sdk.trace_files import TraceFiles
from otel_obs.sdk.trace_files.upkeep import Upkeep
from otel_obs.store.client import connect
from otel_obs.store.embedded.server import Ports, Server
from otel_obs.surfaces.cli.commands import otel_obs
from otel_obs.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

TABLES = ("otel_traces", "otel_logs", "decisions", "gates", "stages", "traces", "orders", "fills")
CLI = [sys.executable, "-m", "otel_obs.surfaces.cli"]
ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "FORCE_COLOR"))}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of this machine's own settings."""
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


WHO = ScopeRecord(ResourceRecord({"service.name": "bot", "service.instance.id": "one"}), "otel_obs", "1")
NOON = 1_766_145_600 * 10**9  # 2025-12-19T12:00:00Z
Said = tuple["list[SpanRecord]", "list[LogRecord]"]


@pytest.fixture(scope="module")
def said() -> Said:
    """What a real bot says in some cycles: stages, decisions, gates of every kind, orders, fills, odd values."""
    with capture(strict=False) as captured:
        for number in range(25):
            at = NOON + number * 86_400 * 10**9 // 20
            with obs.trace("cycle", intent="trade", project="p", at=at) as run:
                run.evidence(count=number, nested={"a": [1, 2.0, None]})
                with obs.stage("features") as stage:
                    stage.evidence(spread=16.7, text="ü \u202e \x1b")
                inputs = {"big": 2**60 + 1, "nan": float("nan")}
                with obs.decision("enter", confidence=0.5, inputs=inputs, symbol="BTC") as decision:
                    decision.gate("spread_guard", observed=number, at_most=12, unit="bps")
                    decision.gate("between", observed=0.5, at_least=0.1, at_most=0.9)
                    if decision.allowed:
                        obs.order(id=f"o{number}", status="submitted", price="43210.50", quantity="0.01", side="buy")
                        decision.executed(order_id=f"o{number}")
                obs.fill(id=f"f{number}", price="43210.5", quantity="0.01", order_id=f"o{number}", mine=1.0)
        obs.fill(id="late", price="1", quantity="2", order_id="o1", at=NOON)
        spans = [one._replace(scope=WHO) for one in span_records(captured.spans)]
        logs = [one._replace(scope=WHO) for one in log_records(captured._logs.get_finished_logs())]
    odd = {"f": -0.0, "i": -(2**63), "b": b"\x00\xff", "l": [1, 1.0, True, None, "x"], "m": {"a": {"b": float("inf")}}}
    link = LinkRecord(5, 6, "a=1", {"n": 1})
    events = [EventRecord("e", NOON + 1, odd)]
    spans.append(SpanRecord(WHO, 99, 98, 0, "odd", NOON, NOON + 5, odd, events, [link], 3, 2, "why", "v=1"))
    logs.append(LogRecord(WHO, NOON, NOON + 1, odd, odd, "", 9, "INFO", 99, 98, 1, 3))
    return spans, logs


@pytest.fixture(scope="module")
def tree(said: Said, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as files: a day that is packed, and one that is not."""
    place = tmp_path_factory.mktemp("traces")
    spans, logs = said
    files = TraceFiles(place)
    files.take([*spans, *logs])
    standing = files.close(60)
    assert standing.records == len(spans) + len(logs)
    Upkeep(keep_days=9_999, max_bytes=1 << 30, stop=Event(), quiet=-60.0).run(place / "bot")
    assert (place / "bot" / "2025-12-19.jsonl.gz").exists()
    late = gzip.decompress((place / "bot" / "2025-12-20.jsonl.gz").read_bytes()).splitlines(keepends=True)
    (place / "bot" / "2025-12-20.jsonl.gz").unlink()
    for number, line in enumerate(late):
        (place / f"{number}.json").write_bytes(line)
    return place


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Server]:
    """A running store that holds nothing."""
    server = Server(tmp_path / "data", Ports(otlp=0, otlp_grpc=0, clickhouse=0, web=0))
    yield server
    server.stop()


def rows(server: Server) -> dict[str, Any]:
    """Every row of every table, as the reports read them."""
    client: Client = connect(server.addresses.clickhouse_url)
    try:
        return {
            table: client.query(
                f"SELECT toString(tuple(* EXCEPT ingested_at)) FROM otel.{table} FINAL ORDER BY 1"
            ).result_rows
            for table in TABLES
        }
    finally:
        client.close()


def endpoint(server: Server) -> str:
    """Where it takes OTLP."""
    return f"http://127.0.0.1:{server.addresses.otlp_port}"


def _cli(*arguments: object, code: int = 0, given: bytes | None = None) -> Result:
    result = CliRunner().invoke(otel_obs, ["import", *map(str, arguments)], input=given)
    assert result.exit_code == code, (result.output, result.exception)
    return result


def test_files_make_the_very_rows_that_delivery_makes_and_importing_twice_changes_none(
    said: Said, tree: Path, store: Server, tmp_path: Path
) -> None:
    answer = json.loads(_cli(tree, "--endpoint", endpoint(store), "--json").stdout)
    assert (answer["spans"], answer["log_records"]) == (len(said[0]), len(said[1]))
    assert (answer["refused"], answer["broken"]) == (0, [])
    imported = rows(store)
    assert all(imported.values())
    _cli(tree, "--endpoint", endpoint(store))
    assert rows(store) == imported
    for path, body in (("traces", encode_spans(said[0])), ("logs", encode_logs(said[1]))):
        sent = requests.post(
            f"{endpoint(store)}/v1/{path}", body, headers={"Content-Type": "application/x-protobuf"}, timeout=60
        )
        assert sent.status_code == 200
    assert rows(store) == imported


def test_delivery_first_and_files_later_is_the_same(said: Said, tree: Path, store: Server) -> None:
    for path, body in (("traces", encode_spans(said[0])), ("logs", encode_logs(said[1]))):
        headers = {"Content-Type": "application/x-protobuf"}
        assert requests.post(f"{endpoint(store)}/v1/{path}", body, headers=headers, timeout=60).status_code == 200
    delivered = rows(store)
    _cli(tree, "--endpoint", endpoint(store))
    assert rows(store) == delivered
    assert len(delivered["decisions"]) == 25


def test_the_exact_part_of_a_document_is_otlp_json_that_a_receiver_takes_as_it_is(
    said: Said, tree: Path, store: Server
) -> None:
    _cli(tree, "--endpoint", endpoint(store))
    imported = rows(store)
    assert len(imported["otel_traces"]) == len(said[0])
    for path in tree.glob("*.json"):
        exact = json.loads(path.read_bytes())["otlp"]
        for signal, part in (("traces", "resourceSpans"), ("logs", "resourceLogs")):
            sent = requests.post(f"{endpoint(store)}/v1/{signal}", json={part: exact[part]}, timeout=60)
            assert sent.status_code == 200, sent.text
    assert rows(store) == imported


def test_what_is_piped_in_is_read_packed_or_not_pretty_or_not(tree: Path) -> None:
    whole = b"".join(path.read_bytes() for path in sorted(tree.glob("*.json")))
    count = len(list(tree.glob("*.json")))
    pretty = b"".join(json.dumps(json.loads(line), indent=2).encode() + b"\n" for line in whole.splitlines())
    for given in (whole, pretty, gzip.compress(whole), gzip.compress(pretty) + gzip.compress(whole)):
        answer = json.loads(_cli("-", "--dry-run", "--json", given=given).stdout)
        assert answer["documents"] in {count, 2 * count}
        assert (answer["broken"], answer["requests"]) == ([], 0)


def test_a_broken_file_is_told_in_one_line_with_its_place_and_costs_no_other(tree: Path, tmp_path: Path) -> None:
    good = (tree / "0.json").read_bytes()
    (tmp_path / "a.json").write_bytes(good[:500])
    (tmp_path / "b.jsonl").write_bytes(good + good[:300] + b"\n" + good)
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(good)[:-200])
    (tmp_path / "d.json").write_bytes(good.replace(b'"schema_version": "1"', b'"schema_version": "2"'))
    (tmp_path / "e.json").write_bytes(b"\x00\xff")
    (tmp_path / "f.json").write_bytes(b"")
    (tmp_path / "g.json").write_bytes(good)
    (tmp_path / ".h.json.1-2.part").write_bytes(good[:10])
    result = _cli(tmp_path, "--dry-run", "--json", code=1)
    answer = json.loads(result.stdout)
    assert (answer["documents"], answer["files"]) == (3, 7)
    lines = result.stderr.splitlines()
    assert len(lines) == 6
    told = {one["file"].rpartition("/")[2]: one for one in answer["broken"]}
    assert sorted(told) == ["a.json", "b.jsonl", "c.json.gz", "d.json", "e.json", "f.json"]
    assert told["a.json"]["position"].startswith("line 1 column ")
    assert told["b.jsonl"]["position"].startswith("line 2 column ")
    assert "newer one" in told["d.json"]["fix"]
    assert all(one["problem"] and one["fix"] for one in answer["broken"])


class _Answers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(dict(self.headers))  # type: ignore[attr-defined]
        code, headers = self.server.answers.pop(0)  # type: ignore[attr-defined]
        self.send_response(code)
        for name, text in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, text)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def receiver() -> Iterator[Any]:
    """A receiver that answers as told."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    server.seen, server.answers = [], []
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_busy_receiver_is_asked_again_with_the_bot_s_own_headers_and_a_refusal_is_told(
    tree: Path, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x")
    url = f"http://127.0.0.1:{receiver.server_port}"
    receiver.answers = [(503, {"Retry-After": "0"}), (429, {"Retry-After": "0"}), (200, {}), (200, {})]
    answer = json.loads(_cli(tree / "0.json", "--endpoint", url, "--json").stdout)
    assert answer["requests"] in {1, 2}
    assert {one["authorization"] for one in receiver.seen} == {"Bearer x"}
    receiver.answers = [(401, {})]
    told = _cli(tree / "0.json", "--endpoint", url, code=1).stderr
    assert "HTTP 401" in told
    assert "0 spans and 0 log records had been sent before" in told


def test_a_record_that_the_receiver_does_not_want_is_found_and_costs_no_other(tree: Path, receiver: Any) -> None:
    url = f"http://127.0.0.1:{receiver.server_port}"
    spans = json.loads(_cli(tree / "0.json", "--dry-run", "--json").stdout)["spans"]
    assert spans > 1
    receiver.answers = [(400, {})] * spans + [(200, {})] * 100  # all, then ever fewer of them, at last one
    answer = json.loads(_cli(tree / "0.json", "--endpoint", url, "--json", code=1).stdout)
    assert 0 < answer["refused"] < spans
    assert "HTTP 400" in answer["refusals"][0]
    assert answer["requests"] >= 1


def test_what_is_asked_wrongly_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    assert "is not there" in _cli(tmp_path / "none.json", code=2).stderr
    assert "no trace documents" in _cli(tmp_path, code=2).stderr
    _cli(code=2)


def test_it_runs_as_a_program_with_nobody_there_and_says_so(tree: Path) -> None:
    done = subprocess.run(
        [*CLI, "import", str(tree / "0.json"), "--endpoint", "http://127.0.0.1:1", "--dry-run"],
        env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "would be sent; nothing was." in done.stdout
