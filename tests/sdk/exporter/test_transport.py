"""What a transport makes of the receiver's answers, over HTTP and gRPC, and what it tells nobody."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from otel_obs.errors import SettingError
from otel_obs.sdk.exporter.transport import Verdict
from otel_obs.sdk.exporter.variables import Variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRETS = ("s3cret-token", "pa55word", "key-in-url")


def test_a_body_arrives_as_it_is_with_the_user_s_headers_packed_as_asked_on_one_connection(
    to: Any, receiver: Any, bot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20czNjcmV0, x-team = blue ,nonsense")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "gzip")
    transport = to(receiver.endpoint + "/")
    for signal in ("traces", "logs", "traces", "logs"):
        assert transport.send(signal, bot.frame(signal).body, timeout=10).verdict is Verdict.DELIVERED
    assert set(receiver.stored) == bot.said
    assert len(receiver.connections) == 2  # one for each signal
    paths, headers, _ = zip(*receiver.posts, strict=True)
    assert paths == ("/v1/traces", "/v1/logs") * 2
    assert {(one["authorization"], one["x-team"], one["content-type"]) for one in headers} == {
        ("Basic czNjcmV0", "blue", "application/x-protobuf")
    }
    assert ["content-encoding" in one for one in headers] == [False, True] * 2
    assert headers[0]["user-agent"].startswith("otel-obs/")


STATUS = Status(code=3, message="trace_id is  \n too\x07 short").SerializeToString()
DATE = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


@pytest.mark.parametrize(
    ("status", "headers", "body", "verdict", "told"),
    [
        (400, {"Content-Type": "application/x-protobuf"}, STATUS, Verdict.REFUSED, "HTTP 400: trace_id is too short"),
        (422, {}, b"no", Verdict.REFUSED, "HTTP 422: no"),
        (413, {"Content-Type": "text/html"}, b"<html>", Verdict.TOO_LARGE, "HTTP 413"),
        (429, {"Retry-After": "100"}, b'{"message": "later"}', Verdict.AGAIN, "HTTP 429: later"),
        (503, {"Retry-After": DATE}, b"", Verdict.AGAIN, "HTTP 503"),
        (500, {}, b"x" * 999, Verdict.AGAIN, "HTTP 500: " + "x" * 189 + "…"),
        (401, {}, b"who?", Verdict.AGAIN, "HTTP 401: who?"),
        (404, {}, b"", Verdict.AGAIN, "HTTP 404"),
        (307, {"Location": "http://127.0.0.1:9/"}, b"", Verdict.AGAIN, "HTTP 307"),
        (200, {"Content-Type": "text/html"}, b"<html>log in", Verdict.AGAIN, "HTTP 200 with a web page"),
        (200, {"Content-Type": "text/plain"}, b"ok", Verdict.DELIVERED, ""),
        (204, {}, b"", Verdict.DELIVERED, ""),
        (
            200,
            {"Content-Type": "application/json"},
            b'{"partialSuccess": {"rejectedSpans": "2"}}',
            Verdict.DELIVERED,
            "",
        ),
    ],
)
def test_each_answer_over_http_has_its_verdict(
    *, to: Any, receiver: Any, bot: Any, kit: Any, status: int, headers: Any, body: bytes, verdict: Verdict, told: str
) -> None:
    receiver.mood = lambda *_: kit.Answer(status, headers, body)
    reply = to().send("traces", bot.frame().body, timeout=10)
    assert (reply.verdict, reply.told) == (verdict, told)
    assert (reply.after is not None and 50 < reply.after <= 3600) == ("Retry-After" in headers)
    assert bool(reply.fix) == (status in {401, 404, 307} or b"<html>log" in body)
    assert reply.rejected == (2 if b"rejected" in body else 0)
    assert len(receiver.posts) == 1  # nothing is followed


@pytest.mark.parametrize(
    ("mood", "told"),
    [
        ({"cut": 0}, "RemoteDisconnected"),
        ({"cut": 12}, None),
        ({"cut": 90}, None),
        ({"headers": {"Content-Type": "application/x-protobuf"}, "body": b"\xff\xff\xff"}, None),
        ({"headers": {"Content-Type": "application/json"}, "body": b'{"partialSuccess":'}, None),
        ({"silent": True}, "no answer within 0.3 s"),
    ],
)
def test_half_an_answer_none_or_one_that_means_nothing_is_reason_to_try_again(
    *, to: Any, receiver: Any, bot: Any, kit: Any, mood: Any, told: str | None
) -> None:
    thanks = kit.partial("traces", 0, "x" * 100)
    receiver.mood = lambda *_: kit.Answer(**{"headers": thanks.headers, "body": thanks.body} | mood)
    reply = to().send("traces", bot.frame().body, timeout=0.3)
    assert reply.verdict is Verdict.AGAIN, reply
    assert reply.told
    assert told is None or reply.told == told
    assert not reply.fix


def test_nobody_there_is_told_in_the_system_s_own_words(to: Any, bot: Any) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        transport = to(f"http://127.0.0.1:{nobody.getsockname()[1]}")
        reply = transport.send("traces", bot.frame().body, timeout=10)
    assert (reply.verdict, reply.told) == (Verdict.AGAIN, "Connection refused")


def test_neither_headers_nor_user_nor_query_are_ever_told(
    *, to: Any, receiver: Any, bot: Any, kit: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret-token,x=a%0Apa55word")
    url = f"http://user:pa55word@127.0.0.1:{receiver.port}/v1/traces?key=key-in-url"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url)
    transport = to()
    receiver.mood = lambda *_: kit.Answer(401, {}, f"not {' '.join(SECRETS)}".encode())
    refused = transport.send("traces", bot.frame().body, timeout=10)
    assert refused.told == "HTTP 401: not *** *** ***"
    receiver.stop()
    away = transport.send("traces", bot.frame().body, timeout=10)
    assert transport.place("traces") == f"http://127.0.0.1:{receiver.port}/v1/traces"
    assert receiver.posts[0][0] == "/v1/traces?key=key-in-url"
    assert not [secret for secret in SECRETS if secret in f"{refused} {away} {transport.place('traces')} {caplog.text}"]
    receiver.start()


def test_a_proxy_is_for_what_is_far_and_the_credentials_of_other_programs_are_nobody_s(
    to: Any, receiver: Any, bot: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", receiver.endpoint)
    far = to("http://store.example:4318")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert far.send("logs", bot.frame("logs").body, timeout=10).verdict is Verdict.DELIVERED
    assert to().send("traces", bot.frame().body, timeout=10).verdict is Verdict.DELIVERED
    assert [path for path, _, _ in receiver.posts] == ["http://store.example:4318/v1/logs", "/v1/traces"]
    assert not any("authorization" in headers for _, headers, _ in receiver.posts)


@pytest.mark.parametrize(
    ("said", "seconds"), [("", 10), ("3", 3), ("0.5", 0.5), ("5000", 5), ("soon", 10), ("-1", 10), ("inf", 10)]
)
def test_a_timeout_is_seconds_as_python_reads_it_or_the_milliseconds_of_the_specification(
    said: str, seconds: float
) -> None:
    assert Variables("TRACES", {"OTEL_EXPORTER_OTLP_TIMEOUT": said}).timeout == seconds


def test_what_cannot_be_used_is_an_error_that_shows_no_secret(to: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("ftp://user:pa55word@host", "http://", "http://host:99999", "[::1"):
        with pytest.raises(SettingError, match="The OTLP endpoint is no URL of HTTP") as told:
            to(place)
        assert "pa55word" not in str(told.value)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/not/there.pem")
    with pytest.raises(SettingError, match="there is no such file"):
        to("https://host")


# ---- gRPC


class Service(grpc.GenericRpcHandler):
    """Takes any method's bytes; ``mood`` may abort the call, or say what else to answer."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any], bytes]] = []
        self.mood: Callable[[Any], bytes | None] = lambda _context: None

    def service(self, handler_call_details: Any) -> Any:
        def answer(body: bytes, context: Any) -> bytes:
            self.calls.append((handler_call_details.method, dict(handler_call_details.invocation_metadata), body))
            return self.mood(context) or b""

        return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def grpc_server(port: int = 0) -> Iterator[tuple[Service, int]]:
    service = Service()
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, handlers=(service,))
        port = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        try:
            yield service, port
        finally:
            server.stop(None).wait()


@pytest.fixture
def over_grpc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret-token")


@pytest.mark.usefixtures("over_grpc")
def test_over_grpc_a_body_arrives_as_it_is_with_the_user_s_headers(to: Any, bot: Any, kit: Any) -> None:
    with grpc_server() as (service, port):
        transport = to(f"http://127.0.0.1:{port}")
        bodies = {signal: bot.frame(signal).body for signal in ("traces", "logs")}
        service.mood = lambda _context: kit.partial("traces", 3, "too old s3cret-token").body
        replies = [transport.send(signal, body, timeout=10) for signal, body in bodies.items()]
    assert [(one.verdict, one.rejected, one.told) for one in replies] == [(Verdict.DELIVERED, 3, "too old ***")] * 2
    assert [(method.rsplit(".", 1)[1], body) for method, _, body in service.calls] == [
        ("TraceService/Export", bodies["traces"]),
        ("LogsService/Export", bodies["logs"]),
    ]
    assert {metadata["authorization"] for _, metadata, _ in service.calls} == {"Bearer s3cret-token"}


def _details(seconds: int) -> tuple[tuple[str, bytes], ...]:
    info = Packed()
    info.Pack(RetryInfo(retry_delay=Duration(seconds=seconds)))
    return (("grpc-status-details-bin", Status(code=14, details=[info]).SerializeToString()),)


@pytest.mark.usefixtures("over_grpc")
@pytest.mark.parametrize(
    ("code", "details", "trailing", "verdict", "after"),
    [
        ("INVALID_ARGUMENT", "bad s3cret-token", (), Verdict.REFUSED, None),
        ("RESOURCE_EXHAUSTED", "Received message larger than max (9 vs. 8)", (), Verdict.TOO_LARGE, None),
        ("RESOURCE_EXHAUSTED", "busy", _details(7), Verdict.AGAIN, 7),
        ("UNAVAILABLE", "busy", (("google.rpc.retryinfo-bin", RetryInfo(
            retry_delay=Duration(nanos=500_000_000)).SerializeToString()),), Verdict.AGAIN, 0.5),
        ("UNAVAILABLE", "", (("google.rpc.retryinfo-bin", b"\xff"),), Verdict.AGAIN, None),
        ("UNAUTHENTICATED", "who?", (), Verdict.AGAIN, None),
        ("INTERNAL", "", (), Verdict.AGAIN, None),
    ],
)  # fmt: skip
def test_each_status_of_grpc_has_its_verdict(
    *, to: Any, bot: Any, code: str, details: str, trailing: Any, verdict: Verdict, after: float | None
) -> None:
    def abort(context: Any) -> None:
        context.set_trailing_metadata(trailing)
        context.abort(grpc.StatusCode[code], details)

    with grpc_server() as (service, port):
        service.mood = abort
        reply = to(f"http://127.0.0.1:{port}").send("traces", bot.frame().body, timeout=10)
    assert (reply.verdict, reply.after) == (verdict, after)
    assert reply.told.startswith(code) or trailing
    assert "s3cret-token" not in reply.told
    assert bool(reply.fix) == (code == "UNAUTHENTICATED")


@pytest.mark.usefixtures("over_grpc")
def test_over_grpc_a_receiver_that_was_away_is_found_again(to: Any, bot: Any, kit: Any) -> None:
    with grpc_server() as (_, port):
        transport = to(f"http://127.0.0.1:{port}")
        assert transport.send("traces", bot.frame().body, timeout=10).verdict is Verdict.DELIVERED
    assert transport.send("traces", bot.frame().body, timeout=10).verdict is Verdict.AGAIN
    with grpc_server(port) as (service, _):
        kit.until(lambda: transport.send("traces", bot.frame().body, timeout=10).verdict is Verdict.DELIVERED)
    assert service.calls
