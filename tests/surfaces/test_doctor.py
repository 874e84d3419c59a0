"""`otel-obs doctor`: hop by hop, with real processes, whole and broken in each way that it promises to name."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from otel_obs.reports.registry import REPORTS
from otel_obs.store.embedded.clickhouse_http import application
from otel_obs.store.embedded.credentials import Credentials
from otel_obs.store.embedded.engine import Engine
from otel_obs.store.embedded.listener import Listener
from otel_obs.store.embedded.server import Access, Ports, Server
from otel_obs.surfaces.cli.commands import otel_obs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

pytestmark = pytest.mark.timeout(240)
EVERYTHING = ["--from", "1970-01-01", "--to", "2262-04-12", "--tz", "UTC"]
PASSWORD = "hunter2hunter2"
HOPS = ["here", "bot", "collector", "prometheus", "alertmanager"]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of this machine's own settings."""
    for name in os.environ:
        if name.startswith(("OTEL_", "COLLECTOR_")):
            monkeypatch.delenv(name)
    for usual in ("_PROMETHEUS", "DEFAULT_URL"):  # nor what may run on it
        monkeypatch.setattr(f"otel_obs.surfaces.cli.doctor.watching.{usual}", "http://127.0.0.1:1")


@pytest.fixture(scope="module")
def line(beside: Callable[[str], ModuleType]) -> ModuleType:
    """The pipeline's processes."""
    found = beside("acceptance/pipeline.py")
    assert found.OTELCOL.exists(), "missing: the collector. `make collector` builds it"
    return found


@pytest.fixture
def pipeline(line: ModuleType, tmp_path: Path) -> Iterator[Any]:
    made = line.Pipeline(tmp_path)
    yield made
    made.close()


@dataclass
class Told:
    """What doctor found."""

    code: int
    findings: list[dict[str, Any]]
    text: str

    def __call__(self, about: str, hop: str = "") -> dict[str, Any]:
        """The one finding about something."""
        [found] = [row for row in self.findings if row["about"] == about and hop in {"", row["hop"]}]
        return found

    @property
    def wrong(self) -> list[str]:
        """What is wrong; each must name its fix."""
        assert [row for row in self.findings if not row["ok"] and not row["fix"]] == []
        return [row["about"] for row in self.findings if not row["ok"]]


def _doctor(*arguments: str | Path, **env: str) -> Told:
    result = CliRunner().invoke(otel_obs, ["doctor", "--json", *map(str, arguments)], env=env)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    told = Told(result.exit_code, json.loads(result.stdout), result.output)
    assert (told.code == 1) is bool(told.wrong)
    hops = [row["hop"] for row in told.findings]
    assert hops == sorted(hops, key=HOPS.index)  # grouped, in the order of the way
    return told


def _to(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@contextmanager
def _somebody_else(
    answers: Callable[[str], tuple[int, Any]], *, seconds_off: float = 0, password: str = ""
) -> Iterator[str]:
    """A server of another kind, or of another machine whose clock is off; wants a password if there is one."""
    wanted = f"Basic {base64.b64encode(password.encode()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate((timestamp or time.time()) + seconds_off, usegmt=True)

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            may = not password or self.headers.get("Authorization") == wanted
            status, found = answers(self.path) if may else (401, "")
            body = (found if isinstance(found, str) else json.dumps(found)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer  # noqa: N815 - as http.server calls them

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield _to(server.server_address[1])
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


# ---- a marked span


def _questions(store: Any) -> Iterator[tuple[str, list[str]]]:
    """Every report, over all there is; those about one thing about the first."""
    decision = store.ask("SELECT min(span_id) FROM decisions")
    trace = store.ask("SELECT min(trace_id) FROM traces")
    for row in REPORTS:
        by_name = {parameter.name for parameter in row.parameters}
        if "from" in by_name:
            yield row.name, EVERYTHING
        else:
            of_one = decision if row.name == "decision" else trace
            yield row.name, [of_one, *([of_one] if "a" in by_name else []), "--tz", "UTC"]


def _answers(store: Any) -> dict[str, str]:
    found = {}
    for name, asked in _questions(store):
        done = CliRunner().invoke(otel_obs, ["report", name, *asked, "--json", "--url", store.url])
        assert done.exit_code == 0, (name, asked, done.output)
        found[name] = done.stdout
    return found


def test_a_span_is_sent_and_found_on_every_way_and_no_report_is_another_for_it(
    pipeline: Any, line: ModuleType, otlp: ModuleType
) -> None:
    store = pipeline.store()
    collector = pipeline.collector(store.url).start()
    sampled = pipeline.collector(store.url, name="sampled", overlays=("sampling",)).start()
    run, cycle = otlp.new_trace(), otlp.new_span()
    decided = otlp.decision("enter", otlp.gate("spread_guard"), trace=run, parent=cycle)
    spans = otlp.traces(otlp.cycle(trace=run, id=cycle), decided, otlp.decision("exit", outcome="executed"))
    facts = otlp.logs(otlp.order("1", order_price="43210.5"), otlp.fill("f", order_id="1", fill_price="1"))
    for path, body in (("/v1/traces", spans), ("/v1/logs", facts)):
        assert line.post(store.ports["otlp_port"], path, body.SerializeToString())[0] == 200
    before = _answers(store)

    grpc = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    for port, how in (
        (store.ports["otlp_port"], {"OTEL_OBS_URL": store.url}),
        (store.ports["otlp_grpc_port"], {"OTEL_OBS_DATA": str(store.data), **grpc}),
        (collector.otlp, {"OTEL_OBS_URL": store.url, "COLLECTOR_METRICS_PORT": str(collector.metrics)}),
        (sampled.otlp, {"OTEL_OBS_URL": store.url, "COLLECTOR_METRICS_PORT": str(sampled.metrics)}),
    ):
        told = _doctor("--wait", "60", OTEL_EXPORTER_OTLP_ENDPOINT=_to(port), **how)
        assert told.wrong == [], told.text
        assert told("span sent")["found"].startswith("accepted in ")
        assert told("span found")["found"].startswith("in the store ")
        is_direct = port in store.ports.values()
        assert ("who takes it" in told.text, '"collector",\n    "about": "collector"' in told.text) == (
            is_direct,
            not is_direct,
        )
        if not is_direct:
            assert "its queues hold" in told("collector")["found"]

    assert (
        store.ask("SELECT count(), uniqExact(TraceId) FROM otel_traces WHERE ServiceName = 'otel-obs-doctor'") == "4\t4"
    )
    assert _answers(store) == before
    count = int(store.ask("SELECT count() FROM otel_traces"))
    looked = _doctor("--no-send", OTEL_EXPORTER_OTLP_ENDPOINT=_to(store.ports["otlp_port"]), OTEL_OBS_URL=store.url)
    off = _doctor(
        OTEL_EXPORTER_OTLP_ENDPOINT=_to(store.ports["otlp_port"]), OTEL_OBS_URL=store.url, OTEL_OBS_DISABLED="1"
    )
    assert (looked.wrong, off.wrong) == ([], ["recording"])
    assert int(store.ask("SELECT count() FROM otel_traces")) == count


def test_people_see_the_hops_one_after_the_other_and_nothing_wrong_is_without_its_fix(pipeline: Any) -> None:
    store = pipeline.store()
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": _to(store.ports["otlp_port"]), "OTEL_OBS_URL": store.url}
    lines = CliRunner().invoke(otel_obs, ["doctor"], env=env).stdout.splitlines()
    assert len([text for text in lines if "span found" in text]) == 1
    headings = [text for text in lines if not text.startswith(" ")]
    assert headings == [
        "settings here", "bot → collector", "collector → store", "bot, collector, store → Prometheus",
        "Prometheus → Alertmanager",
    ]  # fmt: skip
    assert "\x1b" not in "".join(lines)


# ---- what is broken on the way to the store


def test_a_store_that_is_away_is_told_and_that_the_collector_keeps_what_it_took(
    pipeline: Any, line: ModuleType
) -> None:
    store, other = pipeline.store(), pipeline.store("other")
    collector = pipeline.collector(store.url).start()
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": _to(collector.otlp), "COLLECTOR_METRICS_PORT": str(collector.metrics),
        "OTEL_OBS_URL": store.url,
    }  # fmt: skip

    def passed_on() -> bool:
        told = _doctor("--wait", "1", **{**env, "OTEL_OBS_URL": other.url})
        assert told.wrong == ["span found"]
        return "another store than" in told("span found")["fix"]

    line.eventually("the collector has passed on what it took", passed_on)
    straight = _doctor(OTEL_EXPORTER_OTLP_ENDPOINT=_to(store.ports["otlp_port"]), OTEL_OBS_URL=other.url)
    assert straight.wrong == ["span found"]
    assert "two stores" in straight("span found")["fix"]

    store.kill()
    away = _doctor(**env)
    assert away.wrong == ["store", "span found"]
    assert "No store answers at" in away("store")["found"]
    assert "accepted" in away("span sent")["found"]
    waits = _doctor("--wait", "1", **{**env, "OTEL_OBS_URL": other.url})
    assert waits.wrong == ["span found"]
    assert "the collector has it" in waits("span found")["found"]
    assert "OTEL_OBS_URL" in waits("span found")["fix"]
    blind = _doctor("--wait", "1", **{**env, "OTEL_OBS_URL": other.url, "COLLECTOR_METRICS_PORT": "1"})
    assert blind.wrong == ["span found"]
    assert "COLLECTOR_METRICS_PORT" in blind("collector")["fix"]

    unserved = _doctor("--data", store.data, **{**env, "OTEL_OBS_URL": ""})
    assert unserved.wrong == ["data", "span found"]
    assert f"otel-obs up --data {store.data}" in unserved("data", "collector")["fix"]


def test_a_store_without_our_schema_is_told_with_the_command_that_makes_it(pipeline: Any, tmp_path: Path) -> None:
    engine = Engine(tmp_path / "bare")
    with Listener(application(engine), port=0, what="the ClickHouse interface") as bare:
        collector = pipeline.collector(bare.url).start()
        told = _doctor(
            OTEL_EXPORTER_OTLP_ENDPOINT=_to(collector.otlp), OTEL_OBS_URL=bare.url,
            COLLECTOR_METRICS_PORT=str(collector.metrics),
        )  # fmt: skip
        assert told.wrong == ["schema", "span found"]
        assert "none of ours" in told("schema")["found"]
        assert f"otel-obs migrate --url {bare.url}" in told("schema")["fix"]
        collector.end()
    engine.close()


def test_an_endpoint_that_is_something_else_is_told(pipeline: Any) -> None:
    store = pipeline.store()
    with _somebody_else(lambda _path: (404, "not here")) as url:
        told = _doctor(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_OBS_URL=store.url)
    assert told.wrong == ["span sent"]
    assert "404" in told("span sent")["found"]
    assert "No OTLP is taken there" in told("span sent")["fix"]
    with _somebody_else(lambda _path: (200, "welcome")) as url:
        told = _doctor(
            "--wait", "0.5", OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_OBS_URL=store.url, COLLECTOR_METRICS_PORT="1"
        )
    assert told.wrong == ["span found"]
    assert "no collector tells why" in told("span found")["found"]
    with _somebody_else(lambda _path: (404, "")) as url:
        told = _doctor(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_OBS_URL=store.url, OTEL_EXPORTER_OTLP_COMPRESSION="zip")
    assert told.wrong == ["variables", "span sent"]
    assert told("variables")["found"].startswith("OTEL_EXPORTER_OTLP_COMPRESSION=zip is not known")
    with _somebody_else(lambda _path: (200, "")) as url:
        told = _doctor(
            OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_OBS_URL=store.url, OTEL_EXPORTER_OTLP_CERTIFICATE="/no/such.pem"
        )
    assert told.wrong == ["span sent"]
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE=/no/such.pem" in told("span sent")["found"]


def test_a_wrong_password_is_told_on_each_hop_and_never_shown(tmp_path: Path) -> None:
    ports = Ports(otlp=0, otlp_grpc=0, clickhouse=0, web=0)
    store = Server(tmp_path / "data", ports, access=Access(credentials=Credentials(password=PASSWORD)))
    at = store.addresses

    def header(password: str) -> str:
        return f"authorization=Basic%20{quote(base64.b64encode(f'default:{password}'.encode()).decode())}"

    right = {"OTEL_OBS_URL": at.clickhouse_url, "OTEL_OBS_PASSWORD": PASSWORD}
    try:
        for endpoint, protocol in ((at.otlp_url, ""), (at.otlp_grpc_url, "grpc")):
            env = {**right, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
            without = _doctor(**env)
            assert without.wrong == ["span sent"]
            assert "OTEL_EXPORTER_OTLP_HEADERS" in without("span sent")["fix"]
            known = _doctor(**env, OTEL_EXPORTER_OTLP_HEADERS=header(PASSWORD))
            assert (known.wrong, known("headers")["found"]) == ([], "authorization (values are not shown)")
        env = {**right, "OTEL_EXPORTER_OTLP_ENDPOINT": at.otlp_url}
        torn = _doctor(**env, OTEL_EXPORTER_OTLP_HEADERS=f"authorization Basic {PASSWORD}")
        assert torn.wrong == ["headers", "span sent"]
        stranger = _doctor(
            OTEL_EXPORTER_OTLP_ENDPOINT=at.otlp_url, OTEL_EXPORTER_OTLP_HEADERS=header(PASSWORD),
            OTEL_OBS_URL=at.clickhouse_url.replace("//", f"//default:not{PASSWORD}@"),
        )  # fmt: skip
        assert stranger.wrong == ["store", "span found"]
        assert "OTEL_OBS_PASSWORD_FILE" in stranger("store")["fix"]
        secret = header(PASSWORD).rpartition("%20")[2]
        for told in (without, known, torn, stranger):
            assert (PASSWORD in told.text, secret in told.text) == (False, False)
    finally:
        store.stop()


def test_a_clock_that_is_off_is_told_by_how_much(pipeline: Any) -> None:
    store = pipeline.store()
    with _somebody_else(lambda _path: (200, ""), seconds_off=-90) as url:
        told = _doctor("--no-send", OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_OBS_URL=store.url)
    assert told.wrong == ["clock"]
    assert (told("clock", "bot")["ok"], told("clock", "collector")["ok"]) == (False, True)
    off = told("clock", "bot")
    assert any(f"{seconds} s behind" in off["found"] for seconds in range(80, 91)), off
    assert "NTP" in off["fix"]


# ---- Prometheus and Alertmanager


def _standing(seconds_off: float) -> Callable[[str], tuple[int, Any]]:
    """What Prometheus answers where it has nothing."""

    def answer(path: str) -> tuple[int, Any]:
        data = {
            "/api/v1/query": {"resultType": "scalar", "result": [0, str(time.time() + seconds_off)]},
            "/api/v1/rules": {"groups": []},
            "/api/v1/targets": {"activeTargets": []},
            "/api/v1/alertmanagers": {"activeAlertmanagers": []},
        }.get(path.partition("?")[0])
        return (200, {"status": "success", "data": data}) if data else (404, "")

    return answer


@pytest.fixture
def nowhere() -> dict[str, str]:
    """A bot that records nothing, so that what stands behind is looked at alone."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_OBS_URL": "http://127.0.0.1:1"}


def _behind(told: Told) -> list[str]:
    assert told.wrong
    return [row["about"] for row in told.findings if not row["ok"] and row["hop"] in {"prometheus", "alertmanager"}]


def test_a_prometheus_that_has_nothing_of_ours_or_a_clock_that_is_off_is_told(nowhere: dict[str, str]) -> None:
    with _somebody_else(_standing(90), password=f"ops:{PASSWORD}") as url:
        shut = _doctor(**nowhere, OTEL_OBS_PROMETHEUS_URL=url)
        known = url.replace("//", f"//ops:{PASSWORD}@")
        told = _doctor("--no-send", **{**nowhere, "OTEL_EXPORTER_OTLP_ENDPOINT": url}, OTEL_OBS_PROMETHEUS_URL=known)
    assert _behind(shut) == ["Prometheus"]
    assert "Put them into its URL" in shut("Prometheus")["fix"]
    assert _behind(told) == ["clock", "rules", "job bots", "job collector", "job store", "alerts go to"]
    assert any(f"{seconds} s ahead" in told("clock", "prometheus")["found"] for seconds in range(80, 91))
    assert PASSWORD not in told.text
    gone = _doctor(**nowhere, OTEL_OBS_PROMETHEUS_URL=url, OTEL_OBS_ALERTMANAGER_URL=url)
    assert _behind(gone) == ["Prometheus", "Alertmanager"]
    with _somebody_else(lambda _path: (200, "welcome")) as url:
        foreign = _doctor(**nowhere, OTEL_OBS_PROMETHEUS_URL=url, OTEL_OBS_ALERTMANAGER_URL=url)
    assert _behind(foreign) == ["Prometheus", "Alertmanager"]


def test_a_prometheus_at_the_usual_port_that_has_nothing_of_ours_is_somebody_elses(
    nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with _somebody_else(_standing(0)) as url:
        monkeypatch.setattr("otel_obs.surfaces.cli.doctor.watching._PROMETHEUS", url)
        told = _doctor(**nowhere)
    assert _behind(told) == []
    assert "somebody else's" in told("rules")["found"]


_RULES = """
groups:
- name: otel_obs_test
  rules:
  - record: otel_obs:ill
    expr: sum by (job) (up) + on() sum by (job) (up)
  - alert: OtelObsTest
    expr: vector(1)
    labels: {severity: warning, service: my-bot}
    annotations: {summary: "it fires", look: "otel-obs report why --service my-bot"}
  - alert: OtelObsAlive
    expr: vector(1)
    labels: {severity: none}
"""
_PROMETHEUS = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
{rules}
scrape_configs:
- job_name: bots
  static_configs: [{{targets: ["{bot}"]}}]
- job_name: store
  static_configs: [{{targets: ["{store}", "127.0.0.1:1"]}}]
{alerting}
"""
_ALERTMANAGER = """
route: {{receiver: "{receiver}", group_wait: 1s, group_interval: 1s}}
receivers:
- name: "null"
- name: on-call
  webhook_configs: [{{url: "{url}"}}]
  slack_configs: [{{api_url: "{url}", channel: "#bots"}}]
- name: later
time_intervals:
- name: weekend
  time_intervals: [{{weekdays: [saturday, sunday]}}]
"""
_BOT = """
import time, otel_obs as obs
obs.configure(service_name="my-bot")
obs.health.declare(gates=["spread_guard"])
print(obs.health.address(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def stand(pipeline: Any, line: ModuleType, tmp_path: Path) -> Callable[..., str]:
    """Start Debian's Prometheus or Alertmanager on a port that it takes itself; its URL."""

    def start(name: str, config: str, *options: str) -> str:
        file = tmp_path / f"{name}.yml"
        file.write_text(config, encoding="utf-8")
        process = line.Process(name, tmp_path / f"{name}.log")
        pipeline.processes.append(process)
        process.run([name, f"--config.file={file}", "--web.listen-address=127.0.0.1:0", *options], {})

        def ready() -> str:
            assert process.ended() is None, process.told()
            for port in line._listening(process.pid):
                try:
                    if line.request(port, "GET", "/-/ready")[0] == 200:
                        return _to(port)
                except line.GONE:
                    continue
            return ""

        return str(line.eventually(f"{name} is ready", ready))

    return start


def _bot(pipeline: Any, line: ModuleType, tmp_path: Path) -> int:
    """A bot that lives, and where it is scraped."""
    program = tmp_path / "bot.py"
    program.write_text(_BOT, encoding="utf-8")
    bot = line.Process("bot", tmp_path / "bot.log")
    pipeline.processes.append(bot)
    bot.run([line.sys.executable, program], {"OTEL_OBS_METRICS_PORT": "0", "OTEL_OBS_SHUTDOWN_TIMEOUT": "0.1"})
    address = line.eventually("the bot is scraped", lambda: [row for row in bot.told().splitlines() if "http" in row])
    return int(address[0].rpartition(":")[2].partition("/")[0])


def test_prometheus_and_alertmanager_are_asked_what_they_scrape_and_whom_they_tell(
    pipeline: Any, line: ModuleType, stand: Callable[..., str], tmp_path: Path
) -> None:
    store, bot = pipeline.store(), _bot(pipeline, line, tmp_path)
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": _to(store.ports["otlp_port"]), "OTEL_OBS_URL": store.url}
    with _somebody_else(lambda _path: (500, "no")) as broken:
        told_by = ("--storage.path=" + str(tmp_path / "am"), "--cluster.listen-address=")
        alertmanager = stand("prometheus-alertmanager", _ALERTMANAGER.format(receiver="on-call", url=broken), *told_by)
        (tmp_path / "rules.yml").write_text(_RULES, encoding="utf-8")
        given = {
            "bot": f"127.0.0.1:{bot}",
            "store": f"127.0.0.1:{store.ports['web_port']}",
            "rules": f"rule_files: [{tmp_path / 'rules.yml'}]",
            "alerting": "alerting: {alertmanagers: [{static_configs: [{targets: ['"
            + alertmanager.removeprefix("http://")
            + "']}]}]}",
        }
        prometheus = stand(
            "prometheus", _PROMETHEUS.format(**given), f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            "--rules.alert.resend-delay=2s",
        )  # fmt: skip
        env |= {"OTEL_OBS_PROMETHEUS_URL": prometheus, "OTEL_OBS_ALERTMANAGER_URL": alertmanager}

        def is_settled() -> bool:
            text = line.request(int(prometheus.rpartition(":")[2]), "GET", "/api/v1/rules")[1]
            targets = line.request(int(prometheus.rpartition(":")[2]), "GET", "/api/v1/targets")[1]
            return '"health":"err"' in text and '"state":"firing"' in text and '"health":"unknown"' not in targets

        line.eventually("targets are scraped and rules evaluated", is_settled)
        told = _doctor(**env, OTEL_OBS_METRICS_PORT=str(bot))
        # a notification may have failed by now
        of_prometheus = [about for about in told.wrong if not about.startswith("sent by ")]
        assert of_prometheus == ["rule otel_obs:ill", "job store"], told.text
        assert "many-to-many" in told("rule otel_obs:ill")["found"]
        assert told("rules")["found"] == "3 of ours, in otel_obs_test"
        assert told("job bots")["found"] == "1 of 1 up"
        [up, down] = [row["found"] for row in told.findings if row["about"] == "job store"]
        assert (up, "http://127.0.0.1:1/metrics is down" in down) == ("1 of 2 up", True)
        assert told("alert")["found"].startswith("OtelObsTest fires since ")
        assert told("alert")["fix"] == "Look: otel-obs report why --service my-bot"
        assert "OtelObsAlive" not in told.text
        assert "Prometheus scrapes that port" in told("bot's metrics")["found"]
        assert told("alerts go to")["found"] == alertmanager
        assert told("receivers")["found"] == "on-call by slack and webhook"

        unseen = _doctor(**env, OTEL_OBS_METRICS_PORT=str(store.ports["web_port"]))
        assert "does not scrape that port" in unseen("bot's metrics")["found"]
        silent = _doctor(**env, OTEL_OBS_METRICS_PORT="1")
        assert "nobody answers" in silent("bot's metrics")["found"]

        def failed() -> Told | None:
            found = _doctor("--no-send", **env)
            return found if "sent by webhook" in found.wrong else None

        line.eventually("a notification has failed", failed)


def test_an_alertmanager_that_tells_nobody_is_told(
    nowhere: dict[str, str], stand: Callable[..., str], tmp_path: Path
) -> None:
    quiet = 'route: {receiver: "null"}\nreceivers:\n- name: "null"\n'
    url = stand("prometheus-alertmanager", quiet, f"--storage.path={tmp_path / 'am'}", "--cluster.listen-address=")
    told = _doctor(**nowhere, OTEL_OBS_ALERTMANAGER_URL=url)
    assert _behind(told) == ["receivers"]
    assert "slack_configs" in told("receivers")["fix"]
