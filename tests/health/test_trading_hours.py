"""A bot that knows its trading hours: what is scraped of it, what counts as silence, and that none of it harms."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.contract import health_metrics as metrics
from otel_obs.health.markets import market
from otel_obs.health.numbers import Numbers
from otel_obs.health.process import Health
from otel_obs.health.snapshot import snapshot, standing
from otel_obs.health.source import State
from otel_obs.instrument.source import Source, using
from otel_obs.testing.clock import FrozenClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECOND = 1_000_000_000
MINUTE, HOUR = 60, 3600
CLOCK = """
import os, time
from otel_obs.instrument.source import Source, using
class Clock:  # goes as the test writes it
    def now(self): return int(float(open(os.environ["BOT_CLOCK"]).read() or 0) * 1e9)
    monotonic = now
holding = using.holding(Source(clock=Clock()))
holding.__enter__()
"""


def stamp(text: str) -> float:
    """A time in UTC as seconds since the epoch."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class Hands:
    """Set the clock of a bot that runs."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __call__(self, text: str) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(repr(stamp(text)), encoding="utf-8")
        new.replace(self._file)


@pytest.fixture
def hands(tmp_path: Path) -> Hands:
    """The hands of the clock in BOT_CLOCK."""
    return Hands(tmp_path / "clock")


_AGAIN = 25  # scrapes, longer than a worker's tick


def until(scrape: Callable[[], Any], name: str) -> Any:
    """The first scrape that has the series."""
    deadline = time.monotonic() + 60
    while (found := scrape())(name) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def agreed(scrape: Callable[[], Any], asked: Callable[[Any], Any], expected: Any) -> Any:
    """The last of many scrapes in a row that answer what is ``expected``: no worker writes what it knew before."""
    deadline, in_a_row = time.monotonic() + 60, 0
    while in_a_row < _AGAIN:
        found = scrape()
        in_a_row = in_a_row + 1 if asked(found) == expected else 0
        assert time.monotonic() < deadline, (asked(found), expected)
        time.sleep(0.1)
    return found


def test_a_bot_that_hangs_tells_all_the_same_when_its_market_opens_and_closes(
    start: Callable[..., Any], scrape: Callable[..., Any], hands: Hands, tmp_path: Path
) -> None:
    hands("2026-11-27T17:59:59")  # the day after Thanksgiving: closes at 13:00 in New York
    bot = start(
        CLOCK
        + """
obs.configure(metrics_port=0, trading_hours="XNYS")
obs.health.source("nyse", kind="websocket", expected_every=1, hours="XNYS").seen()
obs.health.source("binance", kind="websocket", expected_every=1).seen()
obs.health.source("later", kind="rest")
obs.health.source("later", hours="weekdays@Asia/Tokyo")
tell(obs.health.address())
time.sleep(600)  # hangs
""",
        BOT_CLOCK=str(tmp_path / "clock"),
    )
    address = bot.told()
    nyse, binance = ({"source": name, "kind": "websocket"} for name in ("nyse", "binance"))
    opened = until(lambda: scrape(address), "trading_open")
    assert (opened("trading_open"), opened("source_open", **nyse)) == (1, 1)
    assert opened("trading_opened_timestamp_seconds") == stamp("2026-11-27T14:30")
    assert opened("source_opened_timestamp_seconds", **nyse) == stamp("2026-11-27T14:30")
    assert opened("source_open", **binance) == 1
    assert opened("source_opened_timestamp_seconds", **binance) is None
    assert opened("source_open", source="later", kind="rest") == 0  # Saturday in Tokyo
    assert opened("time_seconds") == stamp("2026-11-27T17:59:59")

    for at in ("2026-11-27T18:00", "2026-11-28T15:00", "2026-11-30T14:29:59"):
        hands(at)
        closed = scrape(address)
        assert closed("time_seconds") == stamp(at)
        assert (closed("trading_open"), closed("source_open", **nyse), closed("source_open", **binance)) == (0, 0, 1)
        assert closed("trading_opened_timestamp_seconds") is None
        assert closed("source_opened_timestamp_seconds", **nyse) is None
    hands("2026-11-30T14:30")
    monday = scrape(address)
    assert (monday("trading_open"), monday("trading_opened_timestamp_seconds")) == (1, stamp("2026-11-30T14:30"))
    updated = monday("source_update_timestamp_seconds", **nyse)
    assert monday("time_seconds") - max(updated, monday("source_opened_timestamp_seconds", **nyse)) == 0


STUB = """
import os, time
while not os.path.exists(os.environ["LET_GO"]):
    time.sleep(0.01)
raise ImportError("No module named 'pandas'")
"""


def test_a_slow_package_holds_nobody_up_and_a_missing_one_is_told_with_its_fix(
    start: Callable[..., Any], scrape: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "exchange_calendars.py").write_text(STUB, encoding="utf-8")
    bot = start(
        """
import time
obs.configure(metrics_port=0)
feed = obs.health.source("nyse", kind="websocket", expected_every=60, hours="XNYS")
obs.health.trading_hours("XETR")
feed.seen(); feed.seen()
tell([obs.health.address(), feed.state, obs.problems()])
wait()
while obs.problems().get("no_calendars", 0) < 2:
    time.sleep(0.01)
feed.seen()
tell([feed.state, obs.problems()])
wait()
""",
        LET_GO=str(tmp_path / "go"), OTEL_OBS_HEALTH_SNAPSHOTS="off",
    )  # fmt: skip
    address, state, problems = bot.told()
    assert (state, problems) == ("fresh", {})
    nyse = {"source": "nyse", "kind": "websocket"}
    unknown = scrape(address)
    assert (unknown("trading_open"), unknown("source_open", **nyse)) == (None, None)
    assert unknown("source_updates_total", **nyse) == 2
    assert unknown("source_gap_max_seconds", **nyse) is not None
    (tmp_path / "go").touch()
    bot.go_on()
    assert bot.told() == ["fresh", {"no_calendars": 2}]
    known = scrape(address)
    assert (known("trading_open"), known("source_open", **nyse)) == (1, 1)
    assert known("source_opened_timestamp_seconds", **nyse) is None
    logged = bot.end()
    assert logged.count("no_calendars") == 2
    assert logged.count("pip install 'otel-obs[calendars]'") == 2
    assert "they count as 24x7" in logged


@pytest.mark.parametrize("amid", ["sys", "numpy", "pandas"])
def test_a_child_that_is_forked_amid_the_import_can_import_the_same(start: Callable[..., Any], amid: str) -> None:
    bot = start(
        f"""
import os, signal, time
obs.configure(trading_hours="XNYS")
while {amid!r} not in sys.modules:
    time.sleep(0.001)
"""
        """
child = os.fork()
if child == 0:
    signal.alarm(45)
    import pandas
    pandas.DataFrame
    obs.health.source("nyse", hours="XNYS")
    obs.health.source("xetra", hours="XETR")
    while not any(f.name == "otel_obs_source_open" and len(f.samples) == 2 for f in obs.health.collector().collect()):
        time.sleep(0.01)
    os._exit(0)
tell(os.waitpid(child, 0)[1])
"""
    )
    assert bot.told() == 0
    bot.end()


def test_nothing_is_imported_unless_a_calendar_is_asked_for(start: Callable[..., Any]) -> None:
    bot = start(
        """
obs.configure(metrics_port=0, trading_hours="weekdays@America/New_York")
obs.health.source("ws", hours="24x7").seen()
obs.health.source("stocks", hours="weekdays").seen()
tell(sorted({"exchange_calendars", "pandas", "numpy"} & set(sys.modules)))
"""
    )
    assert bot.told() == []
    bot.end()


def test_workers_of_one_bot_agree_and_a_closed_market_has_no_opening(
    start: Callable[..., Any], scrape: Callable[..., Any], hands: Hands, tmp_path: Path
) -> None:
    files = tmp_path / "metrics"
    files.mkdir()
    hands("2026-11-20T23:00")
    bot = start(
        CLOCK
        + """
obs.configure(metrics_port=0, trading_hours="weekdays")
child = os.fork()
if child == 0:
    feed = obs.health.source("ws", kind="websocket", hours="weekdays")
    feed.seen()
    for unit in ("%", "bps"):
        with obs.decision("enter") as d:
            d.gate("spread_guard", observed=16.7, at_most=5.0, unit=unit)
    tell()
    time.sleep(600)  # hangs, and is never scraped itself
tell(obs.health.address())
wait()
os.kill(child, 9)
os.waitpid(child, 0)
""",
        PROMETHEUS_MULTIPROC_DIR=str(files), BOT_CLOCK=str(tmp_path / "clock"),
    )  # fmt: skip
    address = bot.told() or bot.told()
    ws = {"source": "ws", "kind": "websocket"}

    def hours(found: Any) -> tuple[Any, ...]:
        names = ("time_seconds", "trading_open", "trading_opened_timestamp_seconds")
        of_source = ("source_open", "source_opened_timestamp_seconds")
        return (*(found(name) for name in names), *(found(name, **ws) for name in of_source))

    monday = stamp("2026-11-16T00:00")
    agreed(lambda: scrape(address), hours, (stamp("2026-11-20T23:00"), 1, monday, 1, monday))
    hands("2026-11-21T00:00")
    agreed(lambda: scrape(address), hours, (stamp("2026-11-21T00:00"), 0, None, 0, None))
    hands("2026-11-23T00:00:01")
    monday = stamp("2026-11-23T00:00")
    again = agreed(lambda: scrape(address), hours, (stamp("2026-11-23T00:00:01"), 1, monday, 1, monday))
    assert (again.labels("gate_info", "unit"), again.text.count("NaN")) == ({"bps"}, 0)
    bot.end()


def test_a_gate_has_one_unit_and_one_comparison_the_latest_that_it_told(
    start: Callable[..., Any], scrape: Callable[..., Any]
) -> None:
    bot = start(
        """
obs.configure(metrics_port=0, health_snapshots=False)
@obs.gate("volatility", at_least=0.001, unit="ratio")
def volatility(value):
    return value
for unit in ("%", "bps"):
    with obs.decision("enter") as d:
        d.gate("spread_guard", observed=16.7, at_most=5.0, unit=unit)
        d.gate("hours", True)
        d.gate("odd", True, unit="\\ud800" * 400)
        volatility(0.1)
with obs.decision("enter") as d:
    d.gate("spread_guard", "error")  # tells nothing of its numbers
tell(obs.health.address())
wait()
"""
    )
    found = scrape(bot.told())
    assert found("gate_info", gate="spread_guard", unit="bps", comparison="at_most") == 1
    assert found("gate_info", gate="volatility", unit="ratio", comparison="at_least") == 1
    assert found("gate_info", gate="hours", unit="", comparison="none") == 1
    assert len([line for line in found.text.splitlines() if line.startswith("otel_obs_gate_info{")]) == 4
    assert max(len(line) for line in found.text.splitlines() if not line.startswith("#")) < 400
    bot.end()


@pytest.mark.parametrize("is_on", [True, False])
def test_snapshots_stand_at_zero_once_they_are_sent_and_are_absent_where_they_are_off(
    start: Callable[..., Any], scrape: Callable[..., Any], *, is_on: bool
) -> None:
    bot = start(
        """
obs.configure(metrics_port=0)
obs.health.beat()
tell(obs.health.address())
wait()
""",
        OTEL_OBS_HEALTH_SNAPSHOTS="on" if is_on else "off",
    )
    found = scrape(bot.told())
    assert found("health_snapshots_total", trigger="periodic_5m") == (0 if is_on else None)
    assert found("health_snapshot_timestamp_seconds", trigger="periodic_5m") is None
    assert found("time_seconds") == pytest.approx(time.time(), abs=60)
    bot.end()


@pytest.fixture
def clock() -> Iterator[FrozenClock]:
    """Half a minute before Friday's close in New York."""
    one = FrozenClock(datetime(2026, 11, 20, 20, 59, 30, tzinfo=UTC))
    with using.holding(Source(clock=one)):
        yield one


class NewYork:
    """From 14:30 to 21:00 UTC from Monday to Friday, with a break from 17:00 to 17:45."""

    def is_open(self, at: datetime) -> bool:
        return at.weekday() < 5 and any(begin <= f"{at:%H:%M}" < end for begin, end in self._sessions)

    def opened(self, at: datetime) -> datetime | None:
        begin = max(begin for begin, _ in self._sessions if begin <= f"{at:%H:%M}")
        return datetime.combine(at.date(), datetime.strptime(begin, "%H:%M").time(), tzinfo=UTC)  # noqa: DTZ007

    _sessions = (("14:30", "17:00"), ("17:45", "21:00"))


def test_no_silence_counts_while_the_market_is_closed_and_at_the_bell_it_counts_from_there(clock: FrozenClock) -> None:
    health = Health(Numbers())
    health.trade(market(NewYork()))
    feed = health.source("ws", kind="websocket", expected_every=5, market=market(NewYork()))
    never = health.source("book", kind="orderbook", expected_every=5, market=market(NewYork()))
    labels = ("ws", "websocket")
    feed.seen()
    clock.advance(20)
    assert (feed.state, never.state, feed.silence_within_hour()) == (State.STALE, State.NEVER_SEEN, 20)
    at_work = standing(health)
    clock.advance(10)  # 21:00: closes
    assert (feed.state, never.state, feed.staleness) == (State.CLOSED, State.CLOSED, 30)
    assert standing(health) != at_work  # a snapshot on change
    told = snapshot(health, "periodic_5m")
    assert (told.ws_staleness_ms, told.market_data_gap_max_ms_1h) == (30_000, None)  # age is age
    assert told.sources["ws"]["state"] == "closed"
    assert (health.numbers.get(metrics.TRADING_OPEN), health.numbers.get(metrics.SOURCE_OPEN, *labels)) == (1, 1)
    health.refresh()
    assert (health.numbers.get(metrics.TRADING_OPEN), health.numbers.get(metrics.SOURCE_OPEN, *labels)) == (0, 0)
    assert health.numbers.get(metrics.SOURCE_OPENED, *labels) is None

    clock.advance(2 * HOUR)
    feed.seen()  # a tick after hours is fresh, and no gap
    assert (feed.state, feed.gap_within_hour()) == (State.FRESH, None)
    clock.advance(24 * HOUR)
    assert feed.state is State.CLOSED
    clock.advance(63 * HOUR + 30 * MINUTE - 24 * HOUR)  # Monday, 14:30
    assert (feed.state, never.state, feed.silence_within_hour()) == (State.FRESH, State.NEVER_SEEN, 0)
    clock.advance(2)
    assert feed.silence_within_hour() == 2
    feed.seen()
    health.refresh()
    assert health.numbers.get(metrics.SOURCE_GAP, *labels) == 2
    clock.advance(16)
    assert (feed.state, feed.silence_within_hour()) == (State.STALE, 16)

    clock.advance(2 * HOUR + 29 * MINUTE - 18)  # 16:59
    feed.seen()
    clock.advance(46 * MINUTE + 3)  # 17:45:03, after lunch
    feed.seen()
    clock.advance(1)
    health.refresh()
    assert feed.state is State.FRESH
    gap = health.numbers.get(metrics.SOURCE_GAP, *labels)
    assert gap == 2 * HOUR + 29 * MINUTE - 2  # of the morning, which the hour still holds in part
    clock.advance(30 * MINUTE)
    feed.seen()
    clock.advance(32 * MINUTE)
    assert (feed.gap_within_hour(), feed.silence_within_hour()) == (30 * MINUTE + 1, 32 * MINUTE)


def test_a_source_that_closes_never_is_as_before(clock: FrozenClock) -> None:
    health = Health(Numbers())
    feed = health.source("ws", kind="websocket", expected_every=5)
    feed.seen()
    clock.advance(48 * HOUR)
    assert (feed.state, feed.silence_within_hour()) == (State.STALE, HOUR)
    feed.seen()
    assert health.numbers.get(metrics.SOURCE_GAP, "ws", "websocket") == 48 * HOUR
    assert health.numbers.get(metrics.SOURCE_OPEN, "ws", "websocket") == 1
