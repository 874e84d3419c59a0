"""How a bot's records leave, as Prometheus reads it over HTTP: what the recorder tells, and when it fails."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from otel_obs.contract.tiers import Loss, Tier
from otel_obs.sdk.otlp.wire import REASONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

_QUEUE = {"otel_component_name": "otel_obs_queue/0", "otel_component_type": "otel_obs_queue"}
_EXPORTER = {"otel_component_name": "otel_obs_exporter/0", "otel_component_type": "otel_obs_exporter"}
_GAUGES = (
    "ledger_difference", "queue_bytes", "queue_fill_ratio", "kill_switch", "journal_bytes", "adopted_waiting",
    "exporter_consecutive_failures",
)  # fmt: skip
# `answers` are what the recorder says next; each scrape asks for the first of them.
_RECORDER = """
from otel_obs import settings
from otel_obs.contract.tiers import Loss, Tier
from otel_obs.sdk.ledger import Balance
from otel_obs.sdk.monitor import *
NOTHING = Delivery(instance="i", tiers={tier: Balance() for tier in Tier}, waiting=dict.fromkeys(Tier, 0))
def some(**more):
    return Delivery(instance="i", tiers={tier: Balance() for tier in Tier} | {
        Tier.DURABLE: Balance(numbered=100, confirmed=98, delivered=90, lost={Loss.REFUSED: 3}),
        Tier.BEST_EFFORT: Balance(numbered=50, confirmed=50, delivered=50, sampled=7, untaken={Loss.QUEUE_FULL: 40}),
    }, waiting={Tier.DURABLE: 4}, altered={"too_deep": 2, "of no kind known": 1}, **more)
answers = [NOTHING]
def recorder():
    answer = answers[0]
    if isinstance(answer, Exception):
        raise answer
    return answer() if callable(answer) else answer
def begin(**given):
    obs.configure(service_name="my-bot", metrics_port=0, **given)
    obs.health.start(settings.active, delivery=recorder)
    tell(obs.health.address())
    wait()
"""


def test_every_tier_reason_and_state_stands_at_zero_from_the_first_scrape(
    start: Callable[..., Any], scrape: Callable[..., Any]
) -> None:
    bot = start(_RECORDER + "begin()")
    found = scrape(bot.told())
    for tier in Tier:
        for name in ("produced_total", "delivered_total", "sampled_total", "waiting", "unconfirmed"):
            assert found(f"records_{name}", tier=tier) == 0, name
        assert [found("records_dropped_total", tier=tier, reason=reason) for reason in Loss] == [0] * len(Loss)
    assert found.labels("values_altered_total", "reason") == set(REASONS)
    assert [found(name) for name in _GAUGES] == [0] * len(_GAUGES)
    assert found("kill_switch_activations_total") == found("adopted_unconfirmed_total") == 0
    states = {state: found("journal_state", state=state) for state in found.labels("journal_state", "state")}
    assert states == {"on": 0, "off": 1, "full": 0, "disk_full": 0, "unwritable": 0}
    states = {state: found("exporter_state", state=state) for state in found.labels("exporter_state", "state")}
    assert states == {"idle": 1, "sending": 0, "backing_off": 0, "refused": 0, "off": 0}
    for absent in ("waiting_oldest", "queue_oldest", "exporter_success"):
        assert found(f"{absent}_timestamp_seconds") is None
    bot.end()


def test_a_scrape_tells_the_ledger_queue_journal_and_exporter_as_they_stand_then(
    start: Callable[..., Any], scrape: Callable[..., Any]
) -> None:
    bot = start(
        _RECORDER
        + """
begin()
answers[0] = some(
    queue=QueueStanding(records=12, capacity=100, bytes=300, capacity_bytes=1000, fill=0.3, kill_switch=True, kills=2,
                        writer_lag=30.0),
    journal=JournalStanding(state="disk_full", bytes=700, capacity=1000, segments=3, oldest_age=600.0),
    exporter=ExporterStanding(state="backing_off", in_flight=5, requests=9, failures=4, consecutive_failures=2,
                              last_error="503", seconds_since_success=60.0),
    adopted=AdoptedStanding(instances=1, waiting=6, unconfirmed=2))
tell()
wait()
answers[0] = NOTHING
tell(obs.problems())
wait()
"""
    )
    address = bot.told()
    assert scrape(address)("records_produced_total", tier="durable") == 0
    bot.go_on()
    bot.told()
    for _ in range(2):  # being asked twice counts nothing twice
        found = scrape(address)
    told = {name: found(f"records_{name}", tier="durable") for name in ("produced_total", "delivered_total")}
    assert told == {"produced_total": 100, "delivered_total": 90}
    assert (found("records_waiting", tier="durable"), found("records_unconfirmed", tier="durable")) == (4, 2)
    assert found("ledger_difference") == 1
    assert found("records_dropped_total", tier="durable", reason="refused") == 3
    assert found("records_dropped_total", tier="best_effort", reason="queue_full") == 40
    assert found("records_produced_total", tier="best_effort") == 97
    assert found("records_sampled_total", tier="best_effort") == 7
    assert (found("queue_bytes"), found("queue_limit_bytes"), found("queue_fill_ratio")) == (300, 1000, 0.3)
    assert (found("kill_switch"), found("kill_switch_activations_total")) == (1, 2)
    assert [found("journal_state", state=state) for state in ("on", "off", "disk_full")] == [0, 0, 1]
    assert (found("journal_bytes"), found("journal_limit_bytes"), found("journal_segments")) == (700, 1000, 3)
    assert [found("exporter_state", state=state) for state in ("idle", "backing_off")] == [0, 1]
    assert (found("exporter_requests_total"), found("exporter_failures_total")) == (9, 4)
    assert found("exporter_consecutive_failures") == 2
    since = {"queue_oldest": 30, "waiting_oldest": 600, "exporter_success": 60}
    for name, age in since.items():
        assert time.time() - found(f"{name}_timestamp_seconds") == pytest.approx(age, abs=20), name
    assert (found("adopted_processes_total"), found("adopted_unconfirmed_total")) == (1, 2)
    assert found("adopted_waiting") == 6
    assert found("values_altered_total", reason="too_deep") == 2
    assert found("otel_sdk_processor_span_queue_size", **_QUEUE) == 12
    assert found("otel_sdk_processor_span_queue_capacity", **_QUEUE) == 100
    assert found("otel_sdk_processor_span_processed_total", **_QUEUE, error_type="") == 148
    assert found("otel_sdk_processor_span_processed_total", **_QUEUE, error_type="queue_full") == 40
    assert found("otel_sdk_exporter_span_inflight", **_EXPORTER) == 5
    assert found("otel_sdk_exporter_span_exported_total", **_EXPORTER, error_type="") == 140
    assert found("otel_sdk_exporter_span_exported_total", **_EXPORTER, error_type="rejected") == 3

    bot.go_on()
    assert bot.told() == {}
    after = scrape(address)
    assert after("waiting_oldest_timestamp_seconds") is None
    assert after("queue_oldest_timestamp_seconds") is None
    assert after("records_waiting", tier="durable") == after("ledger_difference") == after("kill_switch") == 0
    assert after("records_delivered_total", tier="durable") == 90  # a ledger that began anew adds to the one before
    bot.end()


def test_a_recorder_that_fails_hangs_or_is_none_costs_its_own_numbers_and_not_the_scrape(
    start: Callable[..., Any], scrape: Callable[..., Any]
) -> None:
    bot = start(
        _RECORDER
        + """
import threading, time
answers[0] = None
begin()
for answer in (some(), RuntimeError("its disk is gone"), some(), Delivery(instance="i", tiers=None, waiting={})):
    answers[0] = answer
    tell(obs.problems())
    wait()
hangs, entered = threading.Event(), threading.Event()
def never():
    entered.set()
    hangs.wait()
answers[0] = never
tell()
entered.wait()
tell()
wait()
hangs.set()
"""
    )
    address = bot.told()
    nothing = scrape(address)
    assert nothing("records_produced_total", tier="durable") is None
    assert nothing("kill_switch") is None
    assert nothing("decisions_total", outcome="held") == 0
    bot.go_on()
    assert bot.told() == {}
    assert scrape(address)("records_waiting", tier="durable") == 4

    bot.go_on()
    bot.told()
    failed = scrape(address)
    assert failed("records_waiting", tier="durable") is None  # what nobody knows is not told
    assert failed("records_delivered_total", tier="durable") == 90
    assert failed("decisions_total", outcome="held") == 0
    bot.go_on()
    assert bot.told() == {"internal_error": 1}
    assert scrape(address)("records_waiting", tier="durable") == 4
    bot.go_on()
    bot.told()
    assert scrape(address)("decisions_total", outcome="held") == 0  # what it tells cannot be read

    bot.go_on()
    bot.told()
    stuck = threading.Thread(target=lambda: scrape(address), daemon=True)
    stuck.start()
    bot.told()
    assert stuck.is_alive()
    assert scrape(address)("decisions_total", outcome="held") == 0  # the others do not wait for it
    bot.go_on()
    stuck.join(60)
    bot.end()


def test_workers_of_one_bot_are_added_up_and_the_oldest_record_of_all_is_told(
    start: Callable[..., Any], scrape: Callable[..., Any], tmp_path: Path
) -> None:
    files = tmp_path / "metrics"
    files.mkdir()
    bot = start(
        _RECORDER
        + """
import os
answers[0] = some(queue=QueueStanding(fill=0.5), journal=JournalStanding(state="on", bytes=10))
obs.configure(service_name="my-bot", metrics_port=0)
obs.health.start(settings.active, delivery=recorder)
obs.health.beat()
tell(obs.health.address())
wait()
r, w = os.pipe()
child = os.fork()
if child == 0:
    os.close(w)
    answers[0] = some(queue=QueueStanding(fill=0.2), journal=JournalStanding(state="on", bytes=5, oldest_age=900.0))
    obs.health.beat()  # its own thread brings what it knows to the files
    os.read(r, 1)
    os._exit(0)
os.close(r)
tell()
wait()
os.close(w)
os.waitpid(child, 0)
""",
        PROMETHEUS_MULTIPROC_DIR=str(files),
    )
    address = bot.told()
    alone = scrape(address)
    assert alone("records_delivered_total", tier="durable") == 90
    assert alone("waiting_oldest_timestamp_seconds") is None
    assert alone("decision_timestamp_seconds") is None
    bot.go_on()
    bot.told()
    deadline = time.monotonic() + 60
    while (both := scrape(address))("records_delivered_total", tier="durable") != 180:
        assert time.monotonic() < deadline, both.text
        time.sleep(0.1)
    while (both := scrape(address))("waiting_oldest_timestamp_seconds") is None:
        assert time.monotonic() < deadline, both.text
        time.sleep(0.1)
    assert time.time() - both("waiting_oldest_timestamp_seconds") == pytest.approx(900, abs=60)
    assert (both("records_waiting", tier="durable"), both("journal_bytes")) == (8, 15)
    assert both("queue_fill_ratio") == 0.5
    assert both("queue_oldest_timestamp_seconds") is None
    assert both("journal_state", state="on") == 1
    bot.end()
