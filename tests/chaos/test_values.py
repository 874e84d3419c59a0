"""Values that no bot should record, and some does: whatever they are, they cost the bot nothing but its own call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Any]

STRANGE = """
import logging, math, time
import otel_obs as obs
from opentelemetry import trace
from opentelemetry._logs import get_logger, LogRecord
from trading import Tally

class Raises:
    def __str__(self): raise RuntimeError("no")
    __repr__ = __str__
    __bool__ = __len__ = __iter__ = __eq__ = __hash__ = lambda self, *_: 1 / 0
class Sleeps:
    def __str__(self):
        time.sleep(1)
        return "slept"
class RaisesSystemExit(dict):
    def items(self): raise ValueError("no items")
class Endless(list):
    def __iter__(self): raise ValueError("no end")
class BadError(Exception):
    def __str__(self): raise RuntimeError("no")
cycle = []; cycle.append(cycle)
ring = {}; ring["ring"] = ring
deep = []
for _ in range(100_000): deep = [deep]
LARGE = "x" * (50 << 20)
STRANGE = {
    "large": LARGE, "large bytes": b"x" * (50 << 20), "surrogate": "\\ud800 lone", "bytes": b"\\xff\\x00",
    "nan": math.nan, "inf": math.inf, "minus": -math.inf, "huge": 10 ** 5000, "cycle": cycle, "ring": ring,
    "deep": deep, "raises": Raises(), "items": RaisesSystemExit(a=1), "endless": Endless([1]), "none": None,
    "list": [1, "a", Raises(), None, b"b"], "": "no name", 7: "a number for a name", "\\ud800": 1,
}
obs.configure()
tally = Tally()
tally.round()
library, logger = trace.get_tracer("library"), get_logger("library")
slowest = {}
def timed(name, call):
    start = time.monotonic()
    call()
    slowest[name] = time.monotonic() - start
def all_ways(name, value):
    def decides():
        with obs.trace("strange") as run, obs.stage("strange") as part:
            run.evidence(value=value)
            part.output(value=value)
        with obs.decision("strange", why=value, inputs={"v": value}) as one:
            one.gate("strange", observed=value, at_most=1)
            one.attributes(value=value)
            one.executed(order_id=value)
        obs.decide("strange", why=value, inputs=value, alternatives=value, attributes={str(name): value})
        obs.order(id=value, status=value, price=value)
    def api():
        with library.start_as_current_span("strange", attributes={name: value}) as span:
            span.set_attribute(name, value)
            span.set_attributes({name: value})
            span.add_event("strange", {name: value})
            span.add_link(span.get_span_context(), {name: value})
            span.update_name("strange")
        logger.emit(LogRecord(body=value, attributes={name: value, "event.name": "x"}))
        logging.getLogger("bot").debug("%s", name)
    timed(f"obs {name!r}", decides)
    timed(f"api {name!r}", api)
for name, value in STRANGE.items():
    all_ways(name, value)
for raised in (BadError("x"), ValueError("\\ud800"), KeyError(Raises()), RecursionError()):
    for start in (library.start_as_current_span, obs.trace, obs.decision):
        try:
            with start("raised"):
                raise raised
        except BaseException as error:
            assert error is raised, error
    library.start_span("raised").record_exception(raised)
    logger.emit(LogRecord(body="raised", exception=raised))
timed("sleeps", lambda: obs.decide("strange", why=Sleeps(), outcome="executed"))
assert 0.9 < slowest["sleeps"] < 3, slowest
import threading
before, thread = tally.done, threading.Thread(target=lambda: obs.decide("strange", why=Sleeps()))
thread.start()
tally.rounds(0.8)
assert tally.done - before > 20, "one thread's slow value held up another"
thread.join()
assert max(slowest.values()) < 6, slowest
print({name: round(took, 2) for name, took in slowest.items() if took > 0.1})
assert obs.flush(within=60) or True
"""


def test_whatever_a_bot_records_harms_neither_it_nor_the_records_beside_it(
    *, start: Start, last_start: Start, reckoning: Any, tallies: Path
) -> None:
    bot = start(STRANGE)
    assert bot.ends(within=200) == 0, bot.said()
    assert "Traceback" not in bot.said(), bot.said()
    last_start()
    rows = reckoning.settled(instances=2)
    for row in rows:
        assert (row.unaccounted, row.overcounted, row.unconfirmed, row.journaled) == (0, 0, 0, 0), str(row)
        assert set(row.dropped) <= ({"too_large", "kill_switch"} if row.tier != "durable" else set()), str(row)


def test_a_processor_of_somebody_else_s_that_raises_costs_neither_the_bot_nor_a_record(
    *, start: Start, reckoning: Any, tallies: Path
) -> None:
    bot = start(PROCESSORS_FALL)
    assert bot.ends() == 0, bot.said()
    assert "A span processor failed" in bot.said()
    rows = reckoning.add_up(tallies)
    assert {row.state for row in rows} == {"adds_up"}


PROCESSORS_FALL = """
import otel_obs as obs
from opentelemetry import trace
from opentelemetry._logs import get_logger_provider
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk.trace import SpanProcessor
from trading import Tally
class Falls(SpanProcessor):
    def on_start(self, span, parent_context=None): raise RuntimeError("at the start")
    def on_end(self, span): raise RuntimeError("at the end")
class FallsToo(LogRecordProcessor):
    def on_emit(self, record): raise RuntimeError("in between")
    def shutdown(self): raise RuntimeError("even here")
    def force_flush(self, timeout_millis=0): raise RuntimeError("and here")
obs.configure()
trace.get_tracer_provider().add_span_processor(Falls())
get_logger_provider().add_log_record_processor(FallsToo())
tally = Tally()
for _ in range(10):
    tally.round()
obs.flush(within=20)
"""
