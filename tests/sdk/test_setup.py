"""configure, flush and shutdown in processes of their own: what is set up, where it goes, and how it ends."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_obs.sdk.ids import SeededIds

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]

NOBODY = "http://127.0.0.1:9"  # the port of `discard`: nobody listens there


def out(done: subprocess.CompletedProcess[str]) -> str:
    """What a program printed, if it ended well."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


# ---- where settings come from


def test_all_of_it_comes_from_the_environment(run: Run, collector: Any) -> None:
    program = """
import otel_obs as obs
obs.configure()
with obs.trace("cycle"):
    obs.decide("hold")
obs.order(id="o-1", status="submitted")
print(obs.shutdown().undelivered)
"""
    done = run(
        program, OTEL_EXPORTER_OTLP_ENDPOINT=f"{collector.endpoint}/", OTEL_SERVICE_NAME="from-the-environment",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=paper", OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
    )  # fmt: skip
    assert out(done) == "0"
    assert done.stderr == ""
    told = {record["path"]: record for record in collector.records}
    assert set(told) == {"/v1/traces", "/v1/logs"}
    assert {record["service.name"] for record in collector.records} == {"from-the-environment"}
    assert {record["deployment.environment.name"] for record in collector.records} == {"paper"}
    assert len({record["service.instance.id"] for record in collector.records}) == 1
    assert told["/v1/logs"]["order.id"] == "o-1"


def test_arguments_win_and_a_bot_without_a_name_is_called_by_its_file(run: Run, collector: Any) -> None:
    program = """
import sys, otel_obs as obs
settings = obs.configure(endpoint=sys.argv[1], max_text=20)
obs.decide("x" * 30)
obs.shutdown()
print(settings.max_text, settings.max_gates, settings.enabled)
"""
    done = run(
        program, collector.endpoint, OTEL_EXPORTER_OTLP_ENDPOINT=NOBODY, OTEL_OBS_MAX_TEXT="10", OTEL_OBS_MAX_GATES="7"
    )
    assert out(done) == "20 7 True"
    assert collector.whats() == ["x" * 20]
    assert {record["service.name"] for record in collector.records} == {"bot"}


def test_a_signal_s_own_endpoint_is_honoured(run: Run, collector: Any) -> None:
    program = """
import otel_obs as obs
obs.configure(endpoint="http://127.0.0.1:9")
obs.decide("hold")
print(obs.shutdown().undelivered)
"""
    assert out(run(program, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.endpoint}/elsewhere/traces")) == "0"
    assert [record["path"] for record in collector.records] == ["/elsewhere/traces"]


CONFIGURE = """
import sys, otel_obs as obs
given = dict(argument.split("=") for argument in sys.argv[1:])
settings = obs.configure(**given)
with obs.decision("enter") as choice:
    choice.gate("spread_guard", False)
print(settings.enabled, choice.allowed, obs.shutdown().produced)
"""


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        ([], {"OTEL_OBS_MAX_TEXT": "lots"}, "OTEL_OBS_MAX_TEXT='lots' cannot be read"),
        ([], {"OTEL_OBS_DISABLED": "perhaps"}, "a yes or a no"),
        (["max_text=lots"], {}, "max_text='lots' cannot be read: it wants int, not str"),
        (["servicename=bot"], {}, "There is no setting servicename. Known: alertmanager_url, block,"),
    ],
)
def test_a_setting_that_cannot_be_read_is_logged_with_its_fix_and_all_others_are_in_force(
    run: Run, collector: Any, arguments: list[str], variables: dict[str, str], said: str
) -> None:
    done = run(CONFIGURE, f"endpoint={collector.endpoint}", *arguments, **variables)
    assert out(done) == "True False 1"
    assert said in done.stderr
    assert done.stderr.count("all others are in force") == 1
    assert "Traceback" not in done.stderr


def test_what_opentelemetry_itself_refuses_is_logged_and_the_bot_runs_on_unrecorded(run: Run) -> None:
    done = run(CONFIGURE, OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="lots")
    assert out(done) == "False False 0"
    assert done.stderr.count("Nothing will be recorded") == 1
    assert "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bot_that_never_configures_can_be_switched_off_from_outside(run: Run) -> None:
    program = """
import otel_obs as obs
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
theirs, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(theirs))
trace.set_tracer_provider(provider)
obs.decide("hold")
print(len(theirs.get_finished_spans()))
"""
    assert out(run(program)) == "1"
    assert out(run(program, OTEL_OBS_DISABLED="1")) == "0"


def test_a_protocol_whose_extra_is_not_installed_names_it(run: Run) -> None:
    blocked = 'import sys; sys.modules["opentelemetry.exporter.otlp.proto.grpc"] = None\n'
    done = run(blocked + CONFIGURE, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert out(done) == "False False 0"
    assert "pip install 'otel-obs[grpc]'" in done.stderr


class _OverGrpc:
    """A collector in miniature that speaks gRPC: what was decided."""

    def __init__(self) -> None:
        self.whats: list[str] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        handler = grpc.unary_unary_rpc_method_handler(self._export)
        for signal in ("trace.v1.Trace", "logs.v1.Logs"):
            name = f"opentelemetry.proto.collector.{signal}Service"
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"Export": handler}),))
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _export(self, body: bytes, _context: Any) -> bytes:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.whats += [span.attributes[0].value.string_value for span in resource.scope_spans[0].spans]
        return b""

    def close(self) -> None:
        self._server.stop(None).wait()


def test_grpc_is_spoken_where_the_user_chose_it_wherever_the_endpoint_was_given(run: Run) -> None:
    program = """
import sys, otel_obs as obs
obs.configure(**dict(pair.split("=", 1) for pair in sys.argv[1:]))
obs.decide("hold")
print(obs.shutdown().undelivered)
"""
    there = _OverGrpc()
    try:
        for arguments, variables in (
            ([f"endpoint={there.endpoint}"], {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}),
            ([], {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": there.endpoint}),
            ([], {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": there.endpoint}),
        ):
            assert out(run(program, *arguments, **variables)) == "0"
    finally:
        there.close()
    assert there.whats == ["hold"] * 3


def test_a_protocol_that_is_not_spoken_is_named_once_and_http_is_sent(run: Run, collector: Any) -> None:
    program = CONFIGURE + "obs.shutdown()\n"
    done = run(program, f"endpoint={collector.endpoint}", OTEL_EXPORTER_OTLP_PROTOCOL="http/json")
    assert out(done) == "True False 1"
    assert done.stderr.count("OTEL_EXPORTER_OTLP_PROTOCOL=http/json is not spoken here: http/protobuf is sent") == 1
    assert {record["path"] for record in collector.records} == {"/v1/traces"}


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["strict=1", "servicename=bot"], {}),
        (["servicename=bot"], {"OTEL_OBS_STRICT": "1"}),
        ([], {"OTEL_OBS_MAX_TEXT": "lots", "OTEL_OBS_STRICT": "true"}),
        ([], {"OTEL_OBS_STRICT": "1", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "lots"}),
    ],
)
def test_strict_raises_a_mistake(run: Run, arguments: list[str], variables: dict[str, str]) -> None:
    done = run(CONFIGURE, *arguments, **variables)
    assert done.returncode == 1
    assert "Error: " in done.stderr.splitlines()[-1]


# ---- once


def test_twenty_threads_that_configure_at_once_set_up_once(run: Run, collector: Any) -> None:
    program = """
import sys, threading, otel_obs as obs
from opentelemetry import trace
barrier = threading.Barrier(20)
found = []
def configure():
    barrier.wait()
    found.append(obs.configure(service_name="bot", endpoint=sys.argv[1]))
    obs.decide("hold")
threads = [threading.Thread(target=configure) for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
writers = [thread.name for thread in threading.enumerate() if thread.name == "otel_obs writer"]
print(len(found), len(set(found)), len(writers), obs.shutdown().undelivered)
"""
    done = run(program, collector.endpoint)
    assert out(done) == "20 1 1 0"
    assert done.stderr == ""
    assert collector.whats() == ["hold"] * 20


def test_a_further_call_changes_what_it_names_and_nothing_else(run: Run, collector: Any) -> None:
    program = """
import sys, otel_obs as obs
first = obs.configure(service_name="bot", endpoint=sys.argv[1], max_text=10, strict=True)
assert obs.configure() == first                                  # a library may call it, too
assert obs.configure(service_name="bot", strict=True) == first
third = obs.configure(strict=False, max_text=5)
assert (third.service_name, third.endpoint, third.max_text) == ("bot", sys.argv[1], 5)
obs.decide("a long name", confidence=7)
assert obs.configure(enabled=False).enabled is False
obs.decide("not recorded")
assert obs.configure(enabled=True) == third
obs.decide("again")
moved = obs.configure(endpoint="http://elsewhere", service_name="another")
assert (moved.endpoint, moved.service_name) == (sys.argv[1], "bot")   # the answer is what is in force
wrong = obs.configure(max_txt=7)
assert wrong == third
obs.decide("still")
print(obs.shutdown().undelivered)
"""
    done = run(program, collector.endpoint)
    assert out(done) == "0"
    assert collector.whats() == ["a lon", "again", "still"]
    assert {record["service.name"] for record in collector.records} == {"bot"}
    assert "service_name, endpoint stay as they were at first" in done.stderr
    assert "There is no setting max_txt" in done.stderr


def test_what_is_given_while_disabled_counts_once_enabled(run: Run, collector: Any) -> None:
    program = """
import sys, threading, otel_obs as obs
obs.configure(service_name="given-first", endpoint=sys.argv[1], enabled=False)
obs.decide("not recorded")
assert threading.active_count() == 1
obs.configure(enabled=True)
obs.decide("recorded")
print(obs.shutdown().undelivered)
"""
    assert out(run(program, collector.endpoint)) == "0"
    assert [(record["service.name"], record["decision.what"]) for record in collector.records] == [
        ("given-first", "recorded")
    ]


# ---- beside others


BESIDE = """
import sys, otel_obs as obs
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
{configure}
with trace.get_tracer("app").start_as_current_span("request"), obs.trace("cycle"):
    obs.decide("hold")
    obs.order(id="o-1", status="submitted")
assert trace.get_tracer_provider() is provider
assert len(provider._active_span_processor._span_processors) == 1
print([span.name for span in exporter.get_finished_spans()], obs.flush(within=5), obs.shutdown().undelivered)
"""


def test_an_application_s_own_provider_is_used_and_left_as_it_is(run: Run, collector: Any) -> None:
    done = run(BESIDE.format(configure="obs.configure(service_name='bot', endpoint=sys.argv[1])"), collector.endpoint)
    assert out(done) == "['decision', 'cycle', 'request'] True 0"
    assert done.stderr == ""
    assert [record["path"] for record in collector.records] == ["/v1/logs"]  # it had no LoggerProvider of its own


def test_inside_an_application_that_never_calls_configure_its_provider_is_used(run: Run) -> None:
    done = run(BESIDE.format(configure=""))
    assert out(done) == "['decision', 'cycle', 'request'] True 0"
    assert done.stderr == ""


def test_without_configure_and_without_anybody_s_provider_all_is_quiet_and_gates_bind(run: Run) -> None:
    program = """
import threading, otel_obs as obs
with obs.trace("cycle"), obs.decision("enter") as choice:
    choice.gate("spread_guard", observed=16.7, at_most=5.0)
obs.order(id="o-1", status="submitted", decision_id=None)
print(choice.allowed, choice.outcome, repr(choice.id), threading.active_count(), obs.flush(), obs.problems())
"""
    done = run(program)
    assert out(done) == "False vetoed '' 1 True {}"
    assert done.stderr == ""


# ---- how it ends


def test_what_nobody_takes_is_told_within_the_bound(run: Run) -> None:
    program = """
import sys, time, otel_obs as obs
obs.configure(service_name="bot", endpoint=sys.argv[1], max_queue=600)
for _ in range(1000):
    obs.decide("hold")                    # more than the queue holds: the bot does not wait
obs.order(id="o-1", status="submitted")
start = time.monotonic()
assert not obs.flush(within=0.5)
flushed = time.monotonic() - start
report = obs.shutdown(within=1)
again = obs.shutdown()
print(report.produced, report.delivered, report.undelivered, report.in_time, flushed < 1.5, 0.9 < report.seconds < 2.5)
assert (again.produced, again.undelivered) == (1001, 1001) and again.seconds < 0.1
obs.decide("too late")                    # harmless
"""
    done = run(program, NOBODY)
    assert out(done) == "1001 0 1001 False True True"
    assert f"1001 of 1001 records were not delivered to {NOBODY}" in done.stderr
    assert "Is the store or collector running there?" in done.stderr


def test_a_collector_that_never_answers_holds_nobody_up(run: Run, collector: Any) -> None:
    collector.answers.clear()
    program = """
import sys, otel_obs as obs
obs.configure(service_name="bot", endpoint=sys.argv[1], shutdown_timeout=1)
obs.decide("hold")
report = obs.shutdown()
print(report.undelivered, report.in_time, report.seconds < 2.5)
"""
    start = time.monotonic()
    assert out(run(program, collector.endpoint)) == "1 False True"
    assert time.monotonic() - start < 8


def test_an_exit_without_shutdown_delivers_what_was_said_until_then(run: Run, collector: Any) -> None:
    program = """
import atexit, sys, otel_obs as obs
obs.configure(service_name="bot", endpoint=sys.argv[1], send_interval=60)
atexit.register(obs.decide, "said at exit")
obs.decide("hold")
obs.order(id="o-1", status="submitted")
raise SystemExit(3)
"""
    done = run(program, collector.endpoint)
    assert done.returncode == 3
    assert done.stderr == ""
    assert collector.whats() == ["hold", "said at exit"]
    assert len(collector.records) == 3


def test_an_exit_needs_no_new_thread(run: Run, collector: Any) -> None:
    """From Python 3.12 on none can be started while the interpreter makes its last calls."""
    program = """
import atexit, sys, threading, otel_obs as obs
obs.configure(service_name="bot", endpoint=sys.argv[1], send_interval=60)
def refuse(*args, **kwargs):
    raise RuntimeError("can't create new thread at interpreter shutdown")
@atexit.register
def end():
    threading.Thread.start = refuse
obs.decide("hold")
"""
    done = run(program, collector.endpoint)
    assert done.returncode == 0
    assert done.stderr == ""
    assert collector.whats() == ["hold"]


def test_an_exit_with_the_collector_down_takes_no_longer_than_its_bound(run: Run) -> None:
    program = """
import sys, otel_obs as obs
obs.configure(service_name="bot", endpoint=sys.argv[1])
obs.decide("hold")
"""
    start = time.monotonic()
    done = run(program, NOBODY)
    assert done.returncode == 0
    assert time.monotonic() - start < 8  # five seconds, and the start of an interpreter
    assert "1 of 1 records were not delivered" in done.stderr
    assert "Traceback" not in done.stderr


def test_configuring_after_the_end_says_that_nothing_will_be_sent(run: Run, collector: Any) -> None:
    program = """
import sys, otel_obs as obs
obs.configure(service_name="bot", endpoint=sys.argv[1])
obs.shutdown()
obs.configure()
obs.decide("hold")
"""
    done = run(program, collector.endpoint)
    assert done.returncode == 0
    assert "configure() was called after shutdown()" in done.stderr


# ---- forks


def test_a_forked_child_delivers_its_own_records_and_only_those(run: Run, collector: Any) -> None:
    program = """
import os, sys, otel_obs as obs
obs.configure(service_name="bot", endpoint=sys.argv[1], send_interval=60)
obs.decide("parent, sent before")
assert obs.flush(within=5)
obs.decide("parent, waiting at the fork")
obs.order(id="o-1", status="submitted")
child = os.fork()
if not child:
    with obs.decision("child") as choice:
        choice.gate("spread_guard", True)
    obs.order(id="o-2", status="submitted")
    report = obs.shutdown(within=5)
    os._exit(0 if (report.produced, report.undelivered, report.in_time) == (2, 0, True) else 1)
_, status = os.waitpid(child, 0)
obs.decide("parent, after")
report = obs.shutdown(within=5)
print(status, report.produced, report.undelivered)
"""
    assert out(run(program, collector.endpoint)) == "0 4 0"
    assert collector.whats() == ["child", "parent, after", "parent, sent before", "parent, waiting at the fork"]
    assert sorted(record["order.id"] for record in collector.records if "order.id" in record) == ["o-1", "o-2"]
    children = {record["connection"] for record in collector.records if record.get("decision.what") == "child"}
    parents = {record["connection"] for record in collector.records if record.get("decision.what", "").startswith("p")}
    assert not children & parents  # a connection is one process's


def test_a_child_forked_while_a_thread_holds_our_locks_goes_on(run: Run, collector: Any) -> None:
    program = """
import os, signal, sys, otel_obs as obs
from otel_obs.instrument import harmless
from otel_obs.sdk.setup import _process
obs.configure(service_name="bot", endpoint=sys.argv[1])
with harmless._lock, _process.recorder.ledger._lock, _process.recorder._outbox._lock:
    child = os.fork()
    if not child:
        signal.alarm(10)
        obs.decide("child", confidence=7)
        os._exit(obs.shutdown(within=5).undelivered)
print(os.waitpid(child, 0)[1])
"""
    assert out(run(program, collector.endpoint)) == "0"
    assert collector.whats() == ["child"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_worker_of_multiprocessing_delivers_before_it_ends(run: Run, collector: Any, method: str) -> None:
    program = """
import multiprocessing, sys, otel_obs as obs

def configure(endpoint):
    obs.configure(service_name="bot", endpoint=endpoint, send_interval=60)

def work(number, method, endpoint):
    if method != "fork":
        configure(endpoint)
    obs.decide(f"worker {number}")

if __name__ == "__main__":
    method, endpoint = sys.argv[1:]
    configure(endpoint)
    obs.decide("parent")
    context = multiprocessing.get_context(method)
    workers = [context.Process(target=work, args=(number, method, endpoint)) for number in range(2)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
    print([worker.exitcode for worker in workers])
"""
    done = run(program, method, collector.endpoint)
    assert out(done) == "[0, 0]"
    assert done.stderr == ""
    assert collector.whats() == ["parent", "worker 0", "worker 1"]


# ---- ids of a replay


def test_seeded_ids_are_the_same_each_time_sorted_and_of_their_seed_alone() -> None:
    def drawn(seed: str) -> tuple[list[int], list[int]]:
        ids = SeededIds(seed)
        return [ids.generate_trace_id() for _ in range(1000)], [ids.generate_span_id() for _ in range(1000)]

    traces, spans = drawn("dec19")
    assert (traces, spans) == drawn("dec19")
    assert traces == sorted(set(traces))
    assert spans == sorted(set(spans))
    assert all(0 < one < 2**128 for one in traces)
    assert all(0 < one < 2**64 for one in spans)
    other_traces, other_spans = drawn("dec20")
    assert not set(traces) & set(other_traces)
    assert not set(spans) & set(other_spans)


def test_a_replay_gives_the_same_ids_at_each_run_also_in_its_forked_workers(run: Run, collector: Any) -> None:
    program = """
import os, sys, otel_obs as obs
obs.configure(service_name="replay", endpoint=sys.argv[1], ids_seed="dec19")
obs.decide("parent")
for number in range(2):
    child = os.fork()
    if not child:
        obs.decide(f"child {number}")
        os._exit(obs.shutdown(within=5).undelivered)
    assert os.waitpid(child, 0)[1] == 0
obs.decide("parent again")
obs.shutdown()
"""
    out(run(program, collector.endpoint))
    first = {record["decision.what"]: record["span_id"] for record in collector.records}
    assert len(set(first.values())) == 4
    collector.records.clear()
    out(run(program, collector.endpoint))
    assert {record["decision.what"]: record["span_id"] for record in collector.records} == first
