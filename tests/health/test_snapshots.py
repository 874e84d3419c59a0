"""Snapshots: when they are sent, what they say, and what becomes of them in the store."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.contract.events.health import HealthSnapshot
from otel_obs.contract.health_metrics import AUDIT, ON_CHANGE, TRIGGERS
from otel_obs.contract.outcome import Outcome
from otel_obs.health.numbers import Numbers
from otel_obs.health.process import Health
from otel_obs.health.snapshot import snapshot, standing
from otel_obs.health.snapshots import Changes, Timetable
from otel_obs.instrument.source import Source, using
from otel_obs.reports.registry import report
from otel_obs.reports.run import run
from otel_obs.store.client import DATABASE, connect, open_directory
from otel_obs.store.embedded.server import Ports, Server
from otel_obs.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.timeout(120)
SECOND = 1_000_000_000
MONDAY = 1_766_361_600  # 2025-12-22T00:00:00Z


class Clock:
    """Goes when told; the wall clock can be set."""

    def __init__(self, wall: float) -> None:
        self._monotonic = 7 * SECOND
        self._wall = int(wall * SECOND)

    def now(self) -> int:
        return self._wall

    def monotonic(self) -> int:
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        self._monotonic += int(seconds * SECOND)
        self._wall += int(seconds * SECOND)

    def set(self, seconds: float) -> None:
        self._wall += int(seconds * SECOND)


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock of its own, on a Monday at 00:03:20 UTC."""
    one = Clock(MONDAY + 200)
    with using.holding(Source(clock=one)):
        yield one


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A migrated store in this process."""
    one = open_directory(tmp_path_factory.mktemp("store") / "engine")
    migrate(one)
    one.database = DATABASE
    yield one
    one.close()


def test_snapshots_are_aligned_and_a_clock_that_is_set_back_sends_none_twice(clock: Clock) -> None:
    timetable = Timetable()
    seen: dict[str, list[float]] = {trigger: [] for trigger in TRIGGERS}
    for second in range(1, 86_400 + 300):
        clock.sleep(1)
        if second == 4_000:
            clock.set(-1.5)
        for trigger in timetable.due():
            seen[trigger].append(clock.now() / SECOND - MONDAY)
    assert {trigger: len(times) for trigger, times in seen.items()} == {
        "periodic_5m": 289, "periodic_1h": 24, "periodic_24h": 1,
    }  # fmt: skip
    for trigger, period in TRIGGERS.items():
        off = [min(at % period, period - at % period) for at in seen[trigger]]
        assert max(off) <= 2.5
        assert max(off[2:] or [0]) <= 2.5
    timetable = Timetable()
    clock.sleep(299)
    before = timetable.due()
    clock.set(-10)  # just before the time that was just served
    again = [trigger for _ in range(30) for trigger in (clock.sleep(1), timetable.due())[1]]
    assert before.count("periodic_5m") + again.count("periodic_5m") == 1


def test_a_change_is_told_once_and_what_flaps_at_most_each_five_seconds(clock: Clock) -> None:
    health = Health(Numbers())
    feed = health.source("ws", kind="websocket", expected_every=1.0)
    health.beat("main", 2.0)
    changes = Changes()
    assert not changes.is_due(())
    assert [changes.is_due(standing(health)) for _ in range(3)] == [True, False, False]  # how it stands at the start
    clock.sleep(6)
    health.beat("main", 2.0)
    feed.seen()
    assert [changes.is_due(standing(health)) for _ in range(3)] == [True, False, False]
    told = 0
    for _ in range(60):
        clock.sleep(1)
        feed.seen()
        feed.disconnected() if feed.is_connected else feed.connected()
        told += changes.is_due(standing(health))
    assert 1 <= told <= 12
    clock.sleep(20)  # the feed is stale and the loop late: one change, not two
    assert [changes.is_due(standing(health)) for _ in range(3)] == [True, False, False]


def test_it_says_what_the_audit_asks_for_and_leaves_out_what_is_not_known(clock: Clock) -> None:
    health = Health(Numbers())
    ws = health.source("ws:btc", kind="websocket", expected_every=1.0)
    health.source("ws:eth", kind="websocket", expected_every=1.0)
    funding = health.source("funding", kind="funding", expected_every=60)
    empty = snapshot(health, ON_CHANGE)
    assert (empty.order_reject_rate_1h, empty.ws_staleness_ms, empty.funding_staleness_sec) == (None, None, None)
    assert (empty.market_data_gap_max_ms_1h, empty.last_market_update_ms, empty.error_rate_15m) == (None, None, 0)
    assert "health.order_reject_rate_1h" not in empty.wire()
    for outcome, number in ((Outcome.VETOED, 9), (Outcome.EXECUTED, 2), (Outcome.FAILED, 1), (Outcome.HELD, 500)):
        for _ in range(number):
            health.decision_ended(outcome, "spread_guard" if outcome is Outcome.VETOED else None)
    for _ in range(9):
        health.error("exchange")
    health.throttle("binance")
    ws.connected()
    ws.seen(at=clock.now() - 2 * SECOND)
    funding.seen()
    clock.sleep(7)
    ws.connected()
    ws.seen(at=clock.now() - 3 * SECOND)
    clock.sleep(4)
    full = snapshot(health, "periodic_5m")
    assert full.order_reject_rate_1h == 9 / 12
    assert (full.vetoes_1h, full.held_1h) == ({"spread_guard": 9}, 500)
    assert (full.error_rate_15m, full.throttle_events_1h, full.ws_reconnect_count_1h) == (0.01, 1, 1)
    assert (full.ws_staleness_ms, full.funding_staleness_sec, full.market_data_gap_max_ms_1h) == (7000, 11, 7000)
    assert full.last_market_update_ms == (clock.now() - 7 * SECOND) // 1_000_000
    assert {name: told["state"] for name, told in full.sources.items()} == {
        "ws:btc": "stale", "ws:eth": "never_seen", "funding": "fresh",
    }  # fmt: skip
    assert full.sources["ws:eth"] == {"kind": "websocket", "state": "never_seen", "reconnects_1h": 0}
    clock.sleep(3_700)
    late = snapshot(health, "periodic_1h")
    assert (late.order_reject_rate_1h, late.vetoes_1h, late.throttle_events_1h) == (None, {}, 0)
    assert {row.column for row in AUDIT} <= set(HealthSnapshot.model_fields)


def test_a_bot_that_feeds_its_health_sends_them_and_they_are_answered_from_the_store(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    server = Server(tmp_path / "data", Ports(otlp=0, clickhouse=0, web=0, otlp_grpc=0))
    try:
        bot = start(
            """
import time
from otel_obs.instrument.source import Source, using
class Fast:  # an hour in 24 seconds
    def __init__(self): self.wall, self.zero = time.time_ns(), time.monotonic_ns()
    def monotonic(self): return self.zero + (time.monotonic_ns() - self.zero) * 150
    def now(self): return self.wall + self.monotonic() - self.zero
obs.configure(service_name="healthy", send_interval=0.1)
using.take(Source(clock=Fast()))
feed = obs.health.source("ws:btc", kind="websocket", expected_every=1)
feed.connected(); feed.seen()
with obs.decision("enter") as d:
    d.gate("spread_guard", observed=16.7, at_most=5.0)
def sent(trigger):
    return next(s.value for f in obs.health.collector().collect() for s in f.samples
                if s.name == "otel_obs_health_snapshots_total" and s.labels["trigger"] == trigger)
while not (sent("periodic_5m") >= 2 and sent("on_change")):
    time.sleep(0.1)
report = obs.shutdown(within=20)
tell([report.undelivered, obs.problems()])
""",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.addresses.otlp_port}",
        )
        assert bot.told() == [0, {}]
        bot.end()
        client = connect(server.addresses.clickhouse_url)
        client.database = DATABASE
        query = (
            "SELECT snapshot_trigger, order_reject_rate_1h, vetoed_1h, vetoes_1h, ws_staleness_ms > 3000, "
            "instance != '', defects FROM health_snapshots FINAL "
            "WHERE service = 'healthy' AND snapshot_trigger = 'periodic_5m'"
        )
        found = client.query(query).result_rows
        assert len(found) >= 2
        assert all(tuple(row) == ("periodic_5m", 1.0, 1, '{"spread_guard":1}', 1, 1, []) for row in found)
        answer = run(
            client, report("freshness"), {"from": "-1h", "to": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
        )
        [row] = answer.rows
        assert (row.service, row.source, row.kind, row.state, row.connected) == (
            "healthy", "ws:btc", "websocket", "stale", True,
        )  # fmt: skip
        assert row.stale >= 2
        assert "ws:btc was stale in" in answer.sentence
        client.close()
    finally:
        server.stop()


def _sources(**said: Any) -> dict[str, str]:
    return {"health.snapshot_trigger": "periodic_5m", "health.sources": json.dumps(said)}


def test_freshness_tells_never_seen_stale_and_disconnected_apart(client: Client, otlp: ModuleType) -> None:
    rows = []
    for minute in range(0, 60, 5):
        fresh = {"kind": "websocket", "state": "fresh", "staleness_ms": 12.5, "gap_max_ms_1h": 900, "connected": True,
                 "reconnects_1h": 0, "last_update_ms": otlp.NOON // 1_000_000 + minute * 60_000}  # fmt: skip
        silent = fresh | {"state": "stale", "staleness_ms": 90_000.0 + minute, "gap_max_ms_1h": 120_000}
        rows.append(
            otlp.log_row(
                _sources(
                    ws=silent if 20 <= minute < 35 else fresh,
                    book=fresh | {"connected": minute % 10 == 0, "reconnects_1h": minute},
                    funding={"kind": "funding", "state": "never_seen", "reconnects_1h": 0},
                ),
                number=minute + 1, name="health_snapshot", at=otlp.NOON + minute * 60 * SECOND, service="bot",
            )
        )  # fmt: skip
    otlp.insert(client, "otel_logs", rows)
    otlp.insert(client, "otel_logs", rows[3:7])  # delivered twice
    answer = run(client, report("freshness"), {"from": "2025-12-19", "to": "2025-12-20", "tz": "UTC", "service": "bot"})
    told = {row["source"]: row for row in answer.data}
    assert list(told) == ["funding", "ws", "book"]
    assert answer.sentence == "Never seen: funding; ws was stale in 3 of 12 snapshots, silent for up to 120 s."
    assert (told["ws"]["stale"], told["ws"]["state"], told["ws"]["staleness_max_ms"]) == (3, "fresh", 90_030.0)
    assert told["ws"]["last_update"] == "2025-12-19T12:55:00+00:00"
    assert (told["book"]["disconnected"], told["book"]["connected"], told["book"]["reconnects_max_1h"]) == (
        6,
        False,
        55,
    )
    assert (told["funding"]["never_seen"], told["funding"]["connected"], told["funding"]["last_update"]) == (
        12,
        None,
        None,
    )
    narrow = run(
        client, report("freshness"), {"from": "2025-12-19T12:20", "to": "2025-12-19T12:30", "tz": "UTC", "source": "ws"}
    )
    [row] = narrow.rows
    assert (row.snapshots, row.stale, row.state) == (2, 2, "stale")


def test_freshness_counts_no_silence_of_a_closed_market(client: Client, otlp: ModuleType) -> None:
    states = ["stale"] + ["fresh"] * 3 + ["closed"] * 8
    rows = [
        otlp.log_row(
            _sources(
                nyse={"kind": "websocket", "state": state, "staleness_ms": 60_000.0 * number},
                ws={"kind": "websocket", "state": "fresh"},
            ),
            number=number + 1, name="health_snapshot", at=otlp.NOON + number * 300 * SECOND, service="stocks",
        )
        for number, state in enumerate(states)
    ]  # fmt: skip
    otlp.insert(client, "otel_logs", rows)
    asked = {"from": "2025-12-19", "to": "2025-12-20", "tz": "UTC", "service": "stocks"}
    answer = run(client, report("freshness"), asked)
    assert answer.sentence == "nyse was stale in 1 of 4 snapshots while its market was open."
    assert [(row.source, row.state, row.stale, row.closed) for row in answer.rows] == [
        ("ws", "fresh", 0, 0), ("nyse", "closed", 1, 8),
    ]  # fmt: skip
    quiet = run(client, report("freshness"), asked | {"from": "2025-12-19T12:30"})
    assert quiet.sentence == "2 sources, none stale and none never seen."


def test_any_text_is_stored_and_answered(client: Client, otlp: ModuleType) -> None:
    horrors = ["", "nan", "1e400", "-1", "{", '{"a":', '{"a":1}',
               '{"a":{"state":1,"staleness_ms":"x","last_update_ms":1e300}}',
               '{"a":{"last_update_ms":-9223372036854775808,"connected":"no"}}', "[1]", "null", "[" * 900 + "]" * 900,
               '{"":{}}', '{"a":{"last_update_ms":9223372036854775807}}', "\x00", b"\xff\xfe", "18446744073709551616",
               '{"a":{"kind":null,"reconnects_1h":-5,"gap_max_ms_1h":true}}', "x" * 70_000]  # fmt: skip
    names = [*HealthSnapshot.model_fields]
    rows = [
        otlp.log_row(
            {f"health.{name}": horror for name in names} | {"otel_obs.defects": horror},
            number=1000 + number, name="health_snapshot", service="horrors",
        )
        for number, horror in enumerate(horrors)
    ]  # fmt: skip
    otlp.insert(client, "otel_logs", rows)
    found = client.query(
        "SELECT count(), countIf(notEmpty(defects)) FROM health_snapshots FINAL WHERE service = 'horrors'"
    )
    count, named = found.result_rows[0]
    assert count == len(horrors)
    assert named >= len(horrors) - 1
    answer = run(
        client, report("freshness"), {"from": "2025-12-19", "to": "2025-12-20", "tz": "UTC", "service": "horrors"}
    )
    assert answer.found
    assert run(client, report("freshness"), {"service": "hororrs"}).sentence.endswith("Did you mean horrors?")


def test_each_trigger_is_kept_as_long_as_it_says_counted_from_arrival(client: Client, otlp: ModuleType) -> None:
    now = client.query("SELECT toUnixTimestamp(now())").result_rows[0][0]
    kept = {"periodic_5m": 1, "periodic_1h": 7, "on_change": 7, "periodic_24h": 365}
    rows = []
    for (trigger, days), late in itertools.product(kept.items(), (-0.5, 0.5)):
        arrived = now - int((days + late) * 86_400)
        rows.append(f"('kept', toDateTime64('2020-01-01', 9), '{trigger}', '{late}', {arrived})")
    client.command(
        "INSERT INTO health_snapshots (service, timestamp, snapshot_trigger, instance, ingested_at) VALUES "
        + ", ".join(rows)
    )
    client.command("OPTIMIZE TABLE health_snapshots FINAL")
    left = client.query("SELECT snapshot_trigger, instance FROM health_snapshots WHERE service = 'kept'").result_rows
    assert sorted(left) == sorted((trigger, "-0.5") for trigger in kept)


def test_nothing_is_sent_where_snapshots_are_off_or_health_is_not_fed(start: Callable[..., Any]) -> None:
    program = """
import threading
obs.configure()
obs.decide("hold")
{feed}
tell([t.name for t in threading.enumerate() if "health" in t.name])
obs.shutdown(within=0.1)
tell([t.name for t in threading.enumerate() if "health" in t.name])
"""
    unfed = start(program.format(feed=""))
    assert (unfed.told(), unfed.told()) == ([], [])
    fed = start(program.format(feed="obs.health.beat()"))
    assert (fed.told(), fed.told()) == (["otel_obs health"], [])
    off = start(program.format(feed="obs.health.beat()"), OTEL_OBS_HEALTH_SNAPSHOTS="off")
    assert (off.told(), off.told()) == ([], [])
