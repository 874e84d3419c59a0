"""The queue and its writer: numbered on the way in, the cheapest dropped first, every record counted in one place."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.contract import semconv
from otel_obs.contract.tiers import Loss, Tier
from otel_obs.sdk.frames import how_many
from otel_obs.sdk.ledger import Ledger
from otel_obs.sdk.otlp.records import ResourceRecord, ScopeRecord, SpanRecord
from otel_obs.sdk.recorder.queue import LANES, Queue
from otel_obs.sdk.recorder.writer import Writer

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from otel_obs.sdk.frames import Frame

    Run = Callable[..., subprocess.CompletedProcess[str]]

SCOPE = ScopeRecord(ResourceRecord())
DURABLE, STANDARD, BEST_EFFORT = Tier


def _made(what: str) -> SpanRecord:
    if what == "broken":
        raise ValueError("a bot's own")
    return SpanRecord(SCOPE, 1, 1, 0, "decision", 1, 1, {semconv.DECISION_WHAT: what})


def _queue(ledger: Ledger, **more: Any) -> tuple[Queue, list[Any]]:
    at_once: list[Any] = []
    return Queue(ledger, at_once.append, **({"most": 100, "most_bytes": 1 << 30} | more)), at_once


def _put(queue: Queue, tier: Tier, records: int = 1, *, size: int = 10, what: str = "hold") -> None:
    for _ in range(records):
        queue.put(2 * tier.place, size, _made, what)


@pytest.mark.parametrize(("bounds", "size"), [({"most": 100}, 1), ({"most": 10**6, "most_bytes": 10_000}, 100)])
def test_the_cheapest_is_dropped_first_and_what_is_durable_never(bounds: dict[str, int], size: int) -> None:
    ledger = Ledger()
    queue, _ = _queue(ledger, **bounds)
    for tier in (BEST_EFFORT, STANDARD, DURABLE) * 50:
        _put(queue, tier, size=size)
    read = ledger.read()
    assert (read[DURABLE].numbered, read[DURABLE].dropped) == (50, {})
    assert set(read[BEST_EFFORT].dropped) == {Loss.QUEUE_FULL, Loss.KILL_SWITCH}
    assert set(read[STANDARD].dropped) == {Loss.KILL_SWITCH}
    assert read[BEST_EFFORT].numbered < read[STANDARD].numbered < read[DURABLE].numbered
    assert {balance.produced for balance in read.values()} == {50}
    numbers = {lane: [item[0] for item in queue.take(1000) if item[1] == lane] for lane in (4,)}
    assert numbers[4] == list(range(1, read[BEST_EFFORT].numbered + 1))  # what is dropped takes no number


def test_the_kill_switch_goes_on_once_and_off_by_itself_when_there_is_room_again() -> None:
    ledger = Ledger()
    queue, _ = _queue(ledger)
    _put(queue, STANDARD, 120)
    assert (queue.standing().kill_switch, queue.standing().kills, queue.standing().records) == (True, 1, 95)
    queue.take(40)
    _put(queue, STANDARD)
    assert queue.standing().kill_switch  # 55 of 100 are no room yet
    queue.take(6)
    _put(queue, STANDARD)
    assert (queue.standing().kill_switch, queue.standing().kills, queue.standing().records) == (False, 1, 50)
    _put(queue, STANDARD, 60)
    assert (queue.standing().kill_switch, queue.standing().kills) == (True, 2)
    assert ledger.read()[STANDARD].dropped == {Loss.KILL_SWITCH: 25 + 1 + 15}


def test_a_kill_costs_at_most_256_durable_records_as_any_further_is_written_at_once() -> None:
    ledger = Ledger()
    queue, at_once = _queue(ledger, most=10_000)
    _put(queue, STANDARD, 1_000)
    _put(queue, DURABLE, 300)
    first = at_once[0][0]
    assert 200 < first <= 257
    assert [item[0] for item in at_once] == list(range(first, 301))
    ledger.confirm(DURABLE, 300)
    _put(queue, DURABLE)
    assert len(at_once) == 301 - first


def test_under_journal_sync_each_durable_record_is_written_before_its_call_returns() -> None:
    ledger = Ledger()
    queue, at_once = _queue(ledger, is_sync=True)
    _put(queue, DURABLE, 2)
    _put(queue, STANDARD)
    assert ([item[0] for item in at_once], len(queue)) == ([1, 2], 1)


def test_what_is_said_after_the_end_is_counted_as_such() -> None:
    ledger = Ledger()
    queue, _ = _queue(ledger)
    queue.close()
    for tier in Tier:
        _put(queue, tier)
    assert [balance.dropped for balance in ledger.read().values()] == [{Loss.ENDED: 1}] * 3


class _Kept:
    """Frames as they are handed on."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.frames: list[Frame] = []

    def take(self, frame: Frame) -> None:
        self._ledger.confirm(frame.tier, how_many(frame.numbers))
        self.frames.append(frame)


def test_who_may_wait_loses_nothing_however_fast_it_is() -> None:
    ledger = Ledger()
    kept = _Kept(ledger)
    writer = Writer(ledger, kept.take)
    queue = Queue(ledger, writer.write_one, most=100, most_bytes=1 << 30, block=60.0)
    writer.start(queue)
    threads = [threading.Thread(target=_put, args=(queue, BEST_EFFORT, 2_000)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.end(60)
    balance = ledger.read()[BEST_EFFORT]
    assert (balance.numbered, balance.confirmed, balance.dropped) == (6_000, 6_000, {})
    assert sum(frame.records for frame in kept.frames) == 6_000


def test_a_record_that_cannot_be_made_costs_itself_alone(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger()
    kept = _Kept(ledger)
    writer = Writer(ledger, kept.take)
    queue = Queue(ledger, writer.write_one, most=100, most_bytes=1 << 30)
    for what in ("first", "broken", "broken", "last"):
        _put(queue, STANDARD, what=what)
    writer.start(queue)
    assert writer.end(60)
    [frame] = kept.frames
    assert frame.numbers == ((1, 1), (4, 4))
    balance = ledger.read()[STANDARD]
    assert (balance.numbered, balance.confirmed, balance.lost, balance.unconfirmed) == (4, 4, {Loss.INTERNAL: 2}, 0)
    assert caplog.text.count("a record could not be made") == 1


def test_lanes_stand_by_tier_and_signal() -> None:
    assert [LANES[2 * tier.place] for tier in Tier] == [(tier, "traces") for tier in Tier]
    assert [LANES[2 * tier.place + 1] for tier in Tier] == [(tier, "logs") for tier in Tier]


def test_each_record_bears_its_tier_and_number_and_the_process_says_where_all_are(run: Run, collector: Any) -> None:
    program = """
import json, logging, sys, otel_obs as obs
from opentelemetry import trace
obs.configure(service_name="bot", endpoint=sys.argv[1])
with obs.trace("cycle"):
    with obs.stage("features"):
        trace.get_tracer("somebody else").start_span("request").end()
    for verdict in (True, False):
        with obs.decision("enter") as choice:
            choice.gate("spread_guard", verdict)
    obs.decide("hold")
    obs.decide("exit", outcome="executed")
    obs.order(id="o-1", status="submitted")
assert obs.flush(within=10)
told = obs.delivery()
print(json.dumps({tier: [one.produced, one.delivered] for tier, one in told.tiers.items()}), told.adds_up)
print(obs.shutdown().undelivered)
"""
    done = run(program, collector.endpoint)
    assert done.stderr == ""
    first, undelivered = done.stdout.splitlines()
    assert first == json.dumps({"durable": [3, 3], "standard": [4, 4], "best_effort": [1, 1]}) + " True"
    assert undelivered == "0"
    by_tier: dict[str, list[int]] = {}
    for record in collector.records:
        by_tier.setdefault(record[semconv.OTEL_OBS_TIER], []).append(record[semconv.OTEL_OBS_SEQ])
    assert {tier: sorted(numbers) for tier, numbers in by_tier.items()} == {
        "durable": [1, 2, 3], "standard": [1, 2, 3, 4], "best_effort": [1],
    }  # fmt: skip
    last = {one[semconv.DELIVERY_TIER]: one for one in collector.statements if one[semconv.DELIVERY_ENDED]}
    assert {tier: one[semconv.DELIVERY_PRODUCED] for tier, one in last.items()} == {
        "durable": 3, "standard": 4, "best_effort": 1,
    }  # fmt: skip
    assert all(one[semconv.DELIVERY_UNCONFIRMED] == 0 for one in last.values())
    assert not any(semconv.OTEL_OBS_SEQ in one for one in collector.statements)


def test_what_a_sampler_leaves_out_is_counted(run: Run, collector: Any) -> None:
    program = """
import sys, otel_obs as obs
obs.configure(service_name="bot", endpoint=sys.argv[1])
for _ in range(7):
    with obs.trace("cycle"):
        obs.decide("hold")
obs.shutdown(within=10)
print([(str(tier), one.produced, one.sampled, one.delivered) for tier, one in obs.delivery().tiers.items()][1])
"""
    done = run(program, collector.endpoint, OTEL_TRACES_SAMPLER="always_off")
    assert (done.stdout, done.stderr) == ("('standard', 14, 14, 0)\n", "")
    assert collector.records == []


def test_what_the_dead_left_and_what_is_said_of_it_are_not_taken_for_the_living_one_s_own(
    run: Run, collector: Any
) -> None:
    program = """
import json, sys, time, otel_obs as obs
obs.configure(service_name="bot", endpoint=sys.argv[1])
for _ in range(int(sys.argv[2])):
    obs.decide("exit", outcome="executed")
deadline = time.monotonic() + 20
while time.monotonic() < deadline:
    told = obs.delivery()
    if told.adopted.instances == int(sys.argv[3]) and told.waiting["durable"] == int(sys.argv[2]):
        break
    time.sleep(0.05)
print(told.adds_up, told.waiting["durable"], told.adopted.instances, told.adopted.waiting)
print(obs.shutdown().journaled)
"""
    nobody = "http://127.0.0.1:1"
    assert run(program, nobody, "3", "0").stdout == "True 3 0 0\n3\n"
    assert run(program, nobody, "4", "1").stdout == "True 4 1 3\n4\n"
    last = run(program.replace("== int(sys.argv[2])", "== 0"), collector.endpoint, "0", "2")
    assert last.stdout.splitlines()[-1] == "0"
    ended = {
        (one[semconv.SERVICE_INSTANCE_ID], one[semconv.DELIVERY_NUMBERED], one[semconv.DELIVERY_JOURNALED])
        for one in collector.statements
        if one[semconv.DELIVERY_ENDED]
    }
    assert {numbered for _, numbered, _ in ended} == {3, 4}
    assert len({instance for instance, _, _ in ended}) == 2
    assert len(collector.records) == 7


def test_the_kill_switch_is_told_in_the_log_and_to_the_store(run: Run, collector: Any) -> None:
    program = """
import sys, time, otel_obs as obs
obs.configure(service_name="bot", endpoint=sys.argv[1], max_queue=100)
while not obs.delivery().queue.kills:
    obs.decide("hold")
deadline = time.monotonic() + 20
while obs.delivery().queue.kill_switch and time.monotonic() < deadline:
    time.sleep(0.01)
obs.decide("back on")
obs.flush(within=10)
told = obs.delivery()
print(told.adds_up, told.queue.kill_switch, told.queue.kills >= 1, "kill_switch" in told.tiers["standard"].dropped)
obs.shutdown(within=10)
"""
    done = run(program, collector.endpoint)
    assert done.stdout == "True False True True\n"
    assert done.stderr.count("The kill switch is on") == 1
    assert "OTEL_OBS_MAX_QUEUE" in done.stderr
    assert True in {one[semconv.DELIVERY_KILL_SWITCH] for one in collector.statements}
    assert collector.whats()[0] == "back on"


TWO_HOMES = """
import sys, otel_obs as obs
obs.configure(service_name="bot", endpoint=sys.argv[1], trace_files=sys.argv[2])
for number in range(5):
    with obs.trace("cycle"):
        with obs.decision("enter") as choice:
            choice.gate("spread_guard", observed=16.7, at_most=5.0)
        obs.order(id=f"o-{number}", status="submitted")
print(obs.shutdown().undelivered)
"""


def test_with_the_receiver_away_each_trace_is_a_whole_document_all_the_same(run: Run, tmp_path: Path) -> None:
    files = tmp_path / "traces"
    assert run(TWO_HOMES, "http://127.0.0.1:1", str(files)).stdout == "15\n"
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in files.rglob("*.json")]
    assert len(documents) == 5
    for document in documents:
        assert document["complete"] is True
        [decision] = document["decisions"]
        assert (decision["what"], decision["outcome"]) == ("enter", "vetoed")


def test_with_no_place_for_documents_all_is_delivered_all_the_same(run: Run, collector: Any, tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("a file where the directory should be", encoding="utf-8")
    done = run(TWO_HOMES, collector.endpoint, str(tmp_path / "traces"))
    assert done.stdout == "0\n"
    assert len(collector.records) == 15
    assert "trace" in done.stderr
