"""The rules that Prometheus evaluates, in its own promtool: each sentence of rules/*.yml is one test."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from otel_obs.alerting import rules
from otel_obs.contract.alerts import ALERTS
from otel_obs.contract.alerts.thresholds import Thresholds
from otel_obs.contract.health_metrics import METRICS
from otel_obs.store.embedded.health import Meters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMMITTED = ROOT / "deploy" / "prometheus" / "rules"


def _sentences() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for file in sorted((HERE / "rules").glob("*.yml")):
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        for group in document.pop("tests"):
            files = [str((file.parent / name).resolve()) for name in document["rule_files"]]
            yield group["name"], {**document, "rule_files": files}, group


SENTENCES = list(_sentences())
EXPECTED = [
    (group["name"], case["alertname"], case["exp_alerts"])
    for _, _, group in SENTENCES
    for case in group.get("alert_rule_test", [])
]


@pytest.mark.parametrize(("head", "group"), [pytest.param(head, group, id=name) for name, head, group in SENTENCES])
def test_of_the_rules_it_holds_that(promtool: Callable[..., None], tmp_path: Path, head, group):
    file = tmp_path / "sentence.yml"
    file.write_text(yaml.safe_dump({**head, "tests": [group]}, allow_unicode=True), encoding="utf-8")
    promtool("test", "rules", file)


def test_each_sentence_stands_once():
    assert [name for name, times in Counter(name for name, _, _ in SENTENCES).items() if times > 1] == []


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_fires_in_one_sentence_with_its_example_and_is_silent_in_another(alert):
    of = [(name, fired) for name, called, fired in EXPECTED if called == alert.name]
    loud = {name for name, fired in of if fired}
    assert loud
    assert alert.name == "Watchdog" or {name for name, _ in of} - loud
    told = [one for _, fired in of for one in fired if one["exp_annotations"]["description"] == alert.example]
    assert told, f"no sentence expects the example: {alert.example}"
    labels = alert.labels | dict(alert.example_labels)
    assert any(labels.items() <= one["exp_labels"].items() for one in told), labels


def test_promtool_has_nothing_to_say_of_the_committed_rules(promtool: Callable[..., None], tmp_path: Path):
    promtool("check", "rules", "--lint=all", "--lint-fatal", *(COMMITTED / name for name in rules.NAMES))
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump({"rule_files": [str(COMMITTED / "*.yml")]}), encoding="utf-8")
    promtool("check", "config", config)


# Names ---------------------------------------------------------------------------------------------------------------

FOREIGN = {
    "up",
    "alertmanager_notifications_failed_total",
    "prometheus_notifications_alertmanagers_discovered",
    "prometheus_rule_evaluation_failures_total",
    "otelcol_process_uptime",
    "otelcol_exporter_queue_capacity",
    "otelcol_exporter_queue_size",
    *(
        f"otelcol_{which}_{items}"
        for which in ("receiver_refused", "exporter_enqueue_failed", "exporter_sent")
        for items in ("spans", "log_records", "metric_points")
    ),
}
WORDS = {"and", "or", "unless", "offset", "bool"}
_ASIDE = re.compile(
    r'"(?:[^"\\]|\\.)*"'  # strings
    r"|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"  # labels
    r"|\[[^\]]*\]|\boffset\s+\w+|\b\d[\w.]*"  # windows, numbers
)
_NAME = re.compile(r"([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])")
_ASKED = re.compile(r"printf `([^`]*)`[^}|]*\| query")


def _names(expression: str) -> set[str]:
    """What an expression reads."""
    bare = re.sub(r"\{[^}]*\}", "", _ASIDE.sub(" ", re.sub(r'"(?:[^"\\]|\\.)*"', "", expression)))
    return set(_NAME.findall(bare)) - WORDS


def _rules() -> Iterator[dict[str, Any]]:
    for name in rules.NAMES:
        for group in yaml.safe_load((COMMITTED / name).read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def test_every_rule_and_every_annotation_reads_what_somebody_tells():
    recorded = {rule["record"] for rule in _rules() if "record" in rule}
    store = {sample.name for metric in Meters().registry.collect() for sample in metric.samples}
    known = METRICS.keys() | recorded | store | FOREIGN
    read: set[str] = set()
    for rule in _rules():
        texts = [
            rule["expr"],
            *(asked for text in rule.get("annotations", {}).values() for asked in _ASKED.findall(text)),
        ]
        unknown = set().union(*map(_names, texts)) - known
        assert not unknown, (rule.get("alert") or rule["record"], unknown)
        read = read.union(*map(_names, texts))
    assert read >= FOREIGN, "nobody reads these any more"


def test_names_are_found_in_expressions():
    told = 'sum by (a) (rate(b_total{c="d)"}[5m] offset 1h)) > 1e3 * e:f:g unless ignoring (h) i{} == 0'
    assert _names(told) == {"b_total", "e:f:g", "i"}


# Thresholds by service -----------------------------------------------------------------------------------------------

BY_SERVICE = {
    "no_decisions_after": "30h",
    "reconnect_max": 100,
    "bot_queue_ratio": 0.95,
}


@pytest.mark.parametrize("service", ["daily-bot", 'say "no" (1.0)'])
def test_a_service_with_thresholds_of_its_own_is_judged_by_those_and_no_other_is(
    promtool: Callable[..., None], tmp_path: Path, service
):
    for name, text in rules.files(Thresholds({"services": {service: BY_SERVICE}})).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    series = []
    for instance, called in (("a:1", service), ("b:1", "my-bot"), ("c:1", f"{service}2"), ("d:1", None)):
        labels = f'job="bots",instance="{instance}"'
        if called:
            labels += ',service="{}"'.format(called.replace('"', '\\"'))
        series += [
            {"series": f"otel_obs_start_timestamp_seconds{{{labels}}}", "values": "0x400"},
            {"series": f"otel_obs_source_reconnects_total{{{labels}}}", "values": "0+1x400"},
            {"series": f"otel_obs_queue_fill_ratio{{{labels}}}", "values": "0.9x400"},
        ]

    def firing(alert: str) -> dict[str, Any]:
        judged = [{"labels": f'{{instance="{instance}"}}', "value": 1} for instance in ("b:1", "c:1", "d:1")]
        expression = f'count by (instance) (ALERTS{{alertname="{alert}",alertstate="firing"}})'
        return {"eval_time": "70m", "expr": expression, "exp_samples": judged}

    sentence = {
        "input_series": series,
        "interval": "15s",
        "promql_expr_test": [firing("NoDecisions"), firing("SourceReconnectStorm"), firing("QueueNearFull")],
    }
    (tmp_path / "test.yml").write_text(
        yaml.safe_dump({"rule_files": ["bots.yml", "delivery.yml"], "evaluation_interval": "15s", "tests": [sentence]}),
        encoding="utf-8",
    )
    promtool("check", "rules", *(tmp_path / name for name in rules.NAMES))
    promtool("test", "rules", tmp_path / "test.yml")
