"""A clock that is set back and forth: durations stay true, and the ledger does not care."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Any]

JUMPS = """
import itertools, time
_time, _time_ns = time.time, time.time_ns
_jumps = itertools.cycle([0, 86_400, -86_400, 3_600, -7, 31_000_000])
_now = [0]
time.time_ns = lambda: _time_ns() + _now[0] * 1_000_000_000
time.time = lambda: _time() + _now[0]
def jump():
    _now[0] = next(_jumps)
import otel_obs as obs
from opentelemetry import trace
from trading import Tally
obs.configure()
tally = Tally()
library = trace.get_tracer("library")
for _ in range(30):
    with obs.trace("measured"), obs.stage("slept"), obs.decision("waited") as one:
        with library.start_as_current_span("GET"):
            jump()
            time.sleep(0.02)
        one.executed()
    tally.round()
assert obs.flush(within=60)
jump()
"""


def test_durations_are_true_and_the_ledger_adds_up_though_the_clock_jumps_by_days(
    *, start: Start, reckoning: Any, tallies: Path
) -> None:
    start(JUMPS).ends_well()
    rows = reckoning.settled()
    for row in rows:
        assert (row.unaccounted, row.overcounted, row.unconfirmed, row.dropped) == (0, 0, 0, {}), str(row)
    [durable] = [row for row in rows if row.tier == "durable"]
    assert durable.produced == durable.stored == 30 * 5 + 30
    durations = reckoning.durations("measured", "slept", "decision", "GET")
    assert {name: count for name, count, _, _ in durations} == {
        "measured": 30, "slept": 30, "decision": 150, "GET": 60
    }  # fmt: skip
    for name, _, longest, slept in durations:
        assert longest < 3e9, name
        assert slept >= 30, name
