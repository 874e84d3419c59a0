"""The real collector between bots and their store: nothing changes on the way, and nothing acknowledged is lost."""

from __future__ import annotations

import difflib
import importlib.util
import json
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from otel_obs.reports.registry import REPORTS
from otel_obs.surfaces.cli.commands import otel_obs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

pytestmark = pytest.mark.timeout(240)
EVERYTHING = ["--from", "1970-01-01", "--to", "2262-04-12", "--tz", "UTC"]
SECRETS = ("hunter2hunter2", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sflKxwRJSMeKKF2QT4", "AKIAIOSFODNN7EXAMPLE")


def _beside(path: str) -> ModuleType:
    """A module beside the tests: they are no package, and nothing is put on sys.path."""
    file = Path(__file__).parent / path
    spec = importlib.util.spec_from_file_location(f"tests_of_the_pipeline_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


otlp = _beside("../store/otlp.py")
line = _beside("pipeline.py")


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    assert line.OTELCOL.exists(), "missing: the collector. `make collector` builds it"


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Any]:
    made = line.Pipeline(tmp_path)
    yield made
    made.close()


def _traces(*spans: Any, **more: Any) -> tuple[str, bytes]:
    return "/v1/traces", otlp.traces(*spans, **more).SerializeToString()


def _logs(*records: Any, **more: Any) -> tuple[str, bytes]:
    return "/v1/logs", otlp.logs(*records, **more).SerializeToString()


def _as_a_stock_sdk_says_it(order: Any) -> Any:
    """The event's name in its own field only."""
    del order.attributes[0]
    return order


def _flow(count: int, *, noise: int = 0) -> list[tuple[str, bytes]]:
    """Bodies of 20 decisions, each with a gate, and of 5 orders; every one is another. Noise makes them larger."""
    found = []
    more = {"noise": random.Random(7).randbytes(noise).hex()}
    for number in range(count):
        gate = otlp.gate("spread_guard")
        found.append(_traces(*(otlp.decision("enter", gate, outcome="held", more=more) for _ in range(20))))
        orders = (_as_a_stock_sdk_says_it(otlp.order(f"o-{number}-{index}", order_price="1.5")) for index in range(5))
        found.append(_logs(*orders))
    return found


def _why(store: Any) -> Any:
    return json.loads(_report(store, "why", *EVERYTHING))


def _report(store: Any, name: str, *asked: str) -> str:
    done = CliRunner().invoke(otel_obs, ["report", name, *asked, "--json", "--url", store.url])
    assert done.exit_code == 0, (name, asked, done.output, done.exception)
    return done.stdout


# ---- configuration


@pytest.mark.parametrize(
    "overlays", [[], ["local"], ["gateway"], ["agent"], ["sampling"], ["gateway", "sampling"]], ids=str
)
def test_every_configuration_is_one_that_the_collector_accepts(overlays: list[str], tmp_path: Path) -> None:
    files = [part for name in ["base", *overlays] for part in ("--config", line.CONFIG / f"{name}.yaml")]
    environment = {**line.ENVIRONMENT, "COLLECTOR_QUEUE_DIR": str(tmp_path)}
    done = subprocess.run(
        [line.OTELCOL, "validate", *files], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr


# ---- the same answers


@pytest.fixture(scope="module")
def recorded() -> list[tuple[str, bytes]]:
    """What the demo's two bots send, and what other SDKs may send: every kind of value, in every place."""
    with line.sink() as (url, kept):
        for bot in ("dec19", "moving_average"):
            environment = {**line.ENVIRONMENT, "OTEL_EXPORTER_OTLP_ENDPOINT": url}
            command = [sys.executable, line.BOTS / f"{bot}.py"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
            assert done.returncode == 0, done.stderr
    values = {
        "whole": 1.0, "large": 1e21, "small": 1e-7, "third": 1 / 3, "int": 2**53, "yes": True, "text": 'ü"\\\n/<&>',
        "bytes": b"\x00\xff", "list": [1.0, "a", None, []], "map": {"a": {"b": {"c": [1.5, {}]}}}, "nothing": None,
    }  # fmt: skip
    trace, root = otlp.new_trace(), otlp.new_span()
    gates = [
        otlp.gate("a", "pass", observed=1.0, threshold=5.0, comparison="at_most", unit="bps"),
        otlp.gate("b", "deny", observed=0.1 + 0.2, threshold=1e-7, comparison="at_least", mode="shadow"),
        otlp.gate("c", "deny", observed=10**15, threshold=1e16, comparison="at_least", reason="ü <&>"),
    ]
    inputs = {"decision.inputs": values, "decision.alternatives": {"x": 0.5}, "decision.confidence": 0.7}
    spans = [
        otlp.cycle(trace=trace, id=root, more={"trace.evidence": values, "trace.score": 1.0, "trace.passed": False}),
        otlp.span({"stage.name": "model", "stage.output": values}, trace=trace, parent=root, took=1_500_000_000),
        otlp.decision("enter", *gates, trace=trace, parent=root, more=inputs),
        otlp.decision("exit", trace=trace, parent=root, error="venue: timeout"),
        otlp.decision("no trace", id=b"", outcome="executed"),
    ]
    facts = [
        otlp.order("1", "submitted", order_price="43210.50", order_quantity=0.1, order_note=values),
        otlp.fill("f", order_id="1", fill_price=1e-7, fill_quantity="0.1", fill_fee=3),
    ]
    return [*kept, _traces(*spans, service="foreign", resource=values), _logs(*facts, service="foreign")]


def test_every_report_is_the_same_byte_for_byte_whether_it_came_directly_or_through_the_collector(
    recorded: list[tuple[str, bytes]], pipeline: Any
) -> None:
    direct, behind = pipeline.store("direct"), pipeline.store("behind")
    collector = pipeline.collector(behind.url).start()
    for path, body in recorded:
        assert line.post(direct.ports["otlp_port"], path, body)[0] == 200
        assert line.post(collector.otlp, path, body)[0] == 200
    for table in ("otel_traces", "otel_logs"):
        count = int(direct.ask(f"SELECT count() FROM {table} FINAL"))
        line.eventually(f"{count} rows are in {table}", lambda table=table, count=count: behind.holds(count, table))

    assert _differences(direct, behind) == ""
    assert _why(direct)["executed"] > 50
    # and what comes on both ways counts once: it is written alike to the letter
    for path, body in recorded:
        assert line.post(behind.ports["otlp_port"], path, body)[0] == 200
    assert _differences(direct, behind, only=("why", "decisions", "orders")) == ""


def _differences(direct: Any, behind: Any, *, only: tuple[str, ...] = ()) -> str:
    different = []
    for name, asked in _questions(direct):
        if only and name not in only:
            continue
        one, other = _report(direct, name, *asked), _report(behind, name, *asked)
        if one != other:
            lines = difflib.unified_diff(one.splitlines(), other.splitlines(), "direct", "behind", lineterm="", n=1)
            different.append("\n".join([f"{name} {' '.join(asked)}", *lines]))
    return "\n".join(different)


def _questions(store: Any) -> Iterator[tuple[str, list[str]]]:
    """Every report, over all there is; those about one thing about several."""
    decisions = store.ask("SELECT span_id FROM decisions FINAL ORDER BY service, timestamp, span_id").split()
    traces = store.ask("SELECT trace_id FROM traces FINAL ORDER BY service, timestamp, span_id").split()
    ids = {"decision": [*decisions[:3], *decisions[-3:]], "trace": [*traces[:3], *traces[-3:]]}
    for row in REPORTS:
        by_name = {parameter.name for parameter in row.parameters}
        if "from" in by_name:
            yield row.name, [*EVERYTHING, *(["--limit", "100000"] if "limit" in by_name else [])]
        elif "a" in by_name:
            yield row.name, [traces[0], traces[-1], "--tz", "UTC"]
        elif row.name == "scorecard":
            for form in next(parameter.choices for parameter in row.parameters if parameter.name == "form"):
                yield row.name, [traces[0], "--form", form, "--tz", "UTC"]
        else:
            yield from ((row.name, [id_, "--tz", "UTC"]) for id_ in ids[row.name])


def test_a_program_that_has_only_the_stock_sdk_and_our_names_is_served_as_well_as_ours(pipeline: Any) -> None:
    store = pipeline.store()
    collector = pipeline.collector(store.url).start()
    program = Path(__file__).parent / "bots" / "foreign.py"
    for who in ("ours", "stock"):
        environment = {**line.ENVIRONMENT, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.otlp}"}
        command = [sys.executable, program, who]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    line.eventually("both are there", lambda: store.holds(6, "decisions") and store.holds(6, "traces"))

    for name in ("why", "summary", "rejections", "gates", "near-misses", "decisions", "confidence", "traces"):
        ours, stock = (_whoever(_report(store, name, *EVERYTHING, "--service", who), who) for who in ("ours", "stock"))
        assert ours == stock, name
    assert _why(store)["by_gate"] == {"spread_guard": 2}


def _whoever(told: str, who: str) -> str:
    """A report but for who it is about, ids, which are random, and how long things took."""
    told = re.sub(r'"([0-9a-f]{32}|[0-9a-f]{16})"', '"id"', told.replace(f'"{who}"', '"the bot"'))
    return re.sub(r'("[a-z_]*(?:duration|seconds|_ms|latest)[a-z_]*": )[^,\n]+', r"\1_", told)


# ---- nothing acknowledged is lost, nothing counts twice


def _all_arrived(store: Any, count: int) -> None:
    """``count`` pairs of bodies of ``_flow`` are there, each record once."""
    line.eventually(f"{count * 20} decisions", lambda: store.holds(count * 20, "decisions"))
    line.eventually(f"{count * 5} orders", lambda: store.holds(count * 5, "orders"))
    why = _why(store)
    assert (why["decisions"], why["by_gate"]) == (count * 20, {"spread_guard": count * 20})
    assert len(json.loads(_report(store, "orders", *EVERYTHING, "--limit", "100000"))) == count * 5


def test_a_collector_that_is_killed_in_mid_flow_goes_on_where_it_was(pipeline: Any) -> None:
    store = pipeline.store()
    collector = pipeline.collector(store.url).start()
    dice = random.Random(5)
    with line.Senders(lambda: collector.otlp, _flow(150)) as senders:
        for share in (40, 120, 200):
            senders.until(share)
            time.sleep(dice.uniform(0, 0.3))
            collector.kill()
            collector.start()
    assert senders.acknowledged == 300
    _all_arrived(store, 150)


def test_a_store_that_is_killed_and_away_for_a_while_gets_everything_when_it_is_back(pipeline: Any) -> None:
    store = pipeline.store()
    collector = pipeline.collector(store.url).start()
    with line.Senders(lambda: collector.otlp, _flow(150)) as senders:
        senders.until(60)
        store.kill()
        senders.until(300)  # thanked, though the store is away
        line.eventually("the collector notices", lambda: "Exporting failed" in collector.told())
        time.sleep(2)
        store.start()
    assert senders.turned_away == []
    _all_arrived(store, 150)


def test_a_store_that_is_away_for_minutes_gets_everything_and_nobody_is_turned_away(pipeline: Any) -> None:
    store = pipeline.store()
    collector = pipeline.collector(store.url).start()
    store.kill()
    flow = _flow(150)
    while flow:  # for longer than the longest pause between two attempts
        with line.Senders(lambda: collector.otlp, [flow.pop() for _ in range(100)]) as senders:
            pass
        assert senders.turned_away == []
        time.sleep(35)
    store.start()
    _all_arrived(store, 150)


def test_a_collector_that_started_before_the_store_and_was_killed_while_it_waited_loses_no_name_of_an_event(
    pipeline: Any,
) -> None:
    store = pipeline.store()
    store.end()
    collector = pipeline.collector(store.url).start()
    with line.Senders(lambda: collector.otlp, _flow(5)):
        pass
    collector.kill()
    collector.start()
    store.start()
    _all_arrived(store, 5)


def test_a_queue_that_is_full_is_told_to_the_sender_and_keeps_what_it_has(pipeline: Any) -> None:
    store = pipeline.store()
    store.end()
    collector = pipeline.collector(store.url, COLLECTOR_QUEUE_BYTES=str(1 << 20)).start()
    senders = line.Senders(lambda: collector.otlp, _flow(200, noise=500))
    with senders:
        line.eventually("senders are turned away", lambda: len(senders.turned_away) > 20)
        store.start()
    assert {status for status, _ in senders.turned_away} == {503}
    assert all("sending queue is full" in text for _, text in senders.turned_away), senders.turned_away[0]
    assert senders.acknowledged == 400
    assert collector.figure("otelcol_exporter_enqueue_failed_spans") > 0
    _all_arrived(store, 200)


def test_a_queue_that_cannot_be_made_keeps_the_collector_from_starting(pipeline: Any, tmp_path: Path) -> None:
    collector = pipeline.collector("http://127.0.0.1:9")
    (tmp_path / "file").touch()
    collector.queue = tmp_path / "file" / "queue"
    collector.launch()
    line.eventually("it ends", lambda: collector.ended() is not None)
    assert collector.ended() != 0
    assert str(collector.queue) in collector.told()


def test_a_queue_that_is_removed_under_a_running_collector_still_delivers_what_was_acknowledged(pipeline: Any) -> None:
    store = pipeline.store()
    store.end()
    collector = pipeline.collector(store.url).start()
    with line.Senders(lambda: collector.otlp, _flow(3)):
        pass
    shutil.rmtree(collector.queue)
    with line.Senders(lambda: collector.otlp, (more := _flow(6)[6:])):
        assert more
    store.start()
    line.eventually("everything is there", lambda: store.holds(6 * 20, "decisions") and store.holds(6 * 5, "orders"))


# ---- what is changed on the way, and what is left out


def test_secrets_are_masked_and_figures_are_not(pipeline: Any) -> None:
    store = pipeline.store()
    collector = pipeline.collector(store.url).start()
    told = json.dumps({"exchange_api_secret": SECRETS[0], "spread_bps": 16.7, "note": 'a "quoted" word'})
    figures = {"gen_ai.usage.input_tokens": 1234, "order.id": "AKIA-1", "secret_sauce_score": "0.5"}
    given = {"decision.inputs": told, "db.password": SECRETS[0], "header": f"Bearer {SECRETS[1]}", "aws": SECRETS[2]}
    span = otlp.decision("enter", otlp.gate("g", reason=f"token {SECRETS[1]}"), more={**given, **figures})
    order = otlp.order("1", note_api_key=SECRETS[0], body=f"key {SECRETS[2]}")
    for path, body in (_traces(span), _logs(order)):
        assert line.post(collector.otlp, path, body)[0] == 200
    line.eventually("both are there", lambda: store.holds(1, "decisions") and store.holds(1, "orders"))
    raw = store.ask("SELECT toString(tuple(*)) FROM otel_traces") + store.ask(
        "SELECT toString(tuple(*)) FROM otel_logs"
    )
    assert [secret for secret in SECRETS if secret in raw] == []
    kept = json.loads(store.ask("SELECT toJSONString(SpanAttributes) FROM otel_traces FORMAT TSVRaw"))
    assert {key: kept[key] for key in figures} == {key: str(value) for key, value in figures.items()}
    assert json.loads(kept["decision.inputs"]) == {**json.loads(told), "exchange_api_secret": "****"}


def test_sampling_leaves_out_no_decision_no_order_no_run_and_no_part_of_a_run_that_decided(pipeline: Any) -> None:
    store = pipeline.store()
    quick = {"COLLECTOR_SAMPLING_WAIT": "1s", "COLLECTOR_SAMPLING_PERCENT": "0"}
    collector = pipeline.collector(store.url, overlays=("sampling",), **quick).start()

    def run(*more: Any, **root: Any) -> list[Any]:
        trace, of = otlp.new_trace(), otlp.new_span()
        stage = otlp.span({"stage.name": "features"}, trace=trace, parent=of)
        for span in more:
            span.trace_id, span.parent_span_id = trace, of
        return [otlp.cycle(trace=trace, id=of, **root), stage, *more]

    for _ in range(30):
        assert line.post(collector.otlp, *_traces(*run(), service="idle"))[0] == 200
    spans = run(otlp.decision("enter", otlp.gate("g")))
    assert line.post(collector.otlp, *_traces(*spans, service="decided"))[0] == 200
    assert line.post(collector.otlp, *_traces(*run(error="no data"), service="failed"))[0] == 200
    assert line.post(collector.otlp, *_logs(otlp.order("1")))[0] == 200
    stages = "SELECT groupUniqArray(service) FROM stages FINAL"
    line.eventually("stages of what mattered", lambda: "decided" in store.ask(stages) and "failed" in store.ask(stages))
    assert "idle" not in store.ask(stages)
    assert store.ask("SELECT count() FROM traces FINAL") == "32"
    assert (store.holds(1, "decisions"), store.holds(1, "orders")) == (True, True)
    assert _why(store)["cycles"]["total"] == 32
    assert store.ask("SELECT count() FROM decisions FINAL") == "1"  # it took both ways
