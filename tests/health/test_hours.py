"""Trading hours over time: sessions, holidays, breaks, zones; the package exchange_calendars is the reference."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.health.exchange import Exchange
from otel_obs.health.hours import OPEN, UNKNOWN, Sessions, Standing
from otel_obs.health.markets import market
from otel_obs.instrument import harmless
from otel_obs.instrument.source import Source, using
from otel_obs.testing.clock import FrozenClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_obs.health.hours import Market

SECOND = 1_000_000_000
DAY = 86_400 * SECOND


def ns(text: str) -> int:
    """A time as nanoseconds; UTC unless it says."""
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000_000) * 1_000


def learned(exchange: Market, at: int) -> Standing:
    """What it says as soon as it knows."""
    deadline = time.monotonic() + 120
    while (found := exchange.standing(at)) == UNKNOWN and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


@pytest.fixture(autouse=True)
def _problems() -> Iterator[None]:
    harmless.forget_problems()
    yield
    harmless.forget_problems()


@pytest.mark.parametrize("hours", ["24x7", "24/7", "24X7", " 24x7 ", ""])
def test_24x7_is_open_whenever_and_never_opened(hours: str) -> None:
    assert {market(hours).standing(ns(f"2026-{month:02}-28T23:59:59")) for month in range(1, 13)} == {OPEN}


@pytest.mark.parametrize(
    ("hours", "at", "opened"),
    [
        ("weekdays", "2026-11-20T23:59:59.999999", "2026-11-16T00:00"),
        ("weekdays", "2026-11-21T00:00", None),
        ("weekdays", "2026-11-22T23:59:59.999999", None),
        ("weekdays", "2026-11-23T00:00", "2026-11-23T00:00"),
        ("weekdays@America/New_York", "2026-03-07T04:59:59", "2026-03-02T05:00"),
        ("weekdays@America/New_York", "2026-03-07T05:00", None),
        ("weekdays@America/New_York", "2026-03-09T03:59:59", None),
        ("weekdays@America/New_York", "2026-03-09T04:00", "2026-03-09T04:00"),  # clocks went forward on the 8th
        ("weekdays@America/New_York", "2026-10-31T04:00", None),
        ("weekdays@America/New_York", "2026-11-02T04:59:59", None),
        ("weekdays@America/New_York", "2026-11-06T12:00", "2026-11-02T05:00"),  # and back on the 1st
        ("weekdays@Asia/Tokyo", "2026-11-22T15:00", "2026-11-22T15:00"),
    ],
)
def test_weekdays_last_from_mondays_midnight_to_saturdays_in_their_zone(
    hours: str, at: str, opened: str | None
) -> None:
    one = market(hours)
    for _ in range(2):  # what it remembers says the same
        assert one.standing(ns(at)) == Standing(
            is_open=opened is not None, opened=None if opened is None else ns(opened)
        )


def test_weekdays_never_lose_a_moment_whatever_the_order_they_are_asked_in() -> None:
    dice = random.Random(5)
    for zone in ("UTC", "America/New_York", "Europe/Berlin", "Africa/Cairo", "America/Santiago", "Pacific/Apia"):
        one = market(f"weekdays@{zone}")
        for _ in range(300):
            at = ns("2026-01-01") + dice.randrange(700 * DAY)
            found = one.standing(at)
            local = datetime.fromtimestamp(at // SECOND, one._zone)  # type: ignore[attr-defined]
            assert found.is_open is (local.weekday() < 5)
            if found.is_open:
                assert found.opened is not None
                assert 0 <= at - found.opened <= 5 * DAY + 3_600 * SECOND


@pytest.mark.parametrize(
    ("name", "at", "opened"),
    [
        ("XNYS", "2026-11-23T14:29:59.999999", None),
        ("XNYS", "2026-11-23T14:30", "2026-11-23T14:30"),
        ("XNYS", "2026-11-23T20:59:59.999999", "2026-11-23T14:30"),
        ("XNYS", "2026-11-23T21:00", None),
        ("XNYS", "2026-11-26T16:00", None),  # Thanksgiving
        ("XNYS", "2026-11-27T17:59:59", "2026-11-27T14:30"),
        ("XNYS", "2026-11-27T18:00", None),  # closes early on the day after
        ("XNYS", "2026-11-28T16:00", None),  # a Saturday
        ("xnys", "2026-11-30T14:30", "2026-11-30T14:30"),
        ("NYSE", "2026-11-30T14:30", "2026-11-30T14:30"),
        ("XNYS", "2026-12-25T16:00", None),
        ("XTKS", "2026-11-23T01:00", None),  # Labour Thanksgiving Day
        ("XTKS", "2026-11-24T02:29:59", "2026-11-24T00:00"),
        ("XTKS", "2026-11-24T02:30", None),  # lunch
        ("XTKS", "2026-11-24T03:30", "2026-11-24T03:30"),
        ("XTKS", "2026-11-24T06:29:59", "2026-11-24T03:30"),
        ("24/5", "2026-11-25T12:00", "2026-11-23T00:00"),  # no bell at midnight
    ],
)
def test_an_exchange_keeps_its_hours_holidays_early_closes_and_breaks(name: str, at: str, opened: str | None) -> None:
    with using.holding(Source(clock=FrozenClock())):
        found = learned(market(name), ns(at))
    assert found == Standing(is_open=opened is not None, opened=None if opened is None else ns(opened))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of exchange_calendars' own doing
@pytest.mark.parametrize("name", ["XNYS", "XETR", "XTKS", "XHKG", "CMES", "24/5"])
def test_it_agrees_with_the_package_at_every_bell_and_at_any_moment(name: str) -> None:
    import exchange_calendars
    import pandas as pd

    dice = random.Random(name)
    begin = ns("2026-02-10")
    reference = exchange_calendars.get_calendar(name, start="2026-01-01", end="2027-03-01")

    def is_open(at: int) -> bool:
        return bool(reference.is_open_at_time(pd.Timestamp(at, unit="ns", tz="UTC"), side="left"))

    with using.holding(Source(clock=FrozenClock())):
        exchange = Exchange(name)
        learned(exchange, begin)
        times = [begin + dice.randrange(300 * DAY) for _ in range(100)]
        kinds = ("opens", "closes", "break_starts", "break_ends")
        every = [int(bell) for kind in kinds for bell in getattr(reference, f"{kind}_nanos")]
        for bell in dice.sample([bell for bell in every if begin < bell < begin + 300 * DAY], 100):
            times += [bell - 1, bell, bell + 1]
        for at in times:
            found = exchange.standing(at)
            assert found.is_open is is_open(at), datetime.fromtimestamp(at / SECOND, UTC)
            if found.opened is not None:
                assert found.opened <= at
                assert is_open(found.opened)
                assert not is_open(found.opened - 1)
                assert all(is_open(bell) for bell in every if found.opened < bell <= at)


def test_a_process_that_runs_for_years_renews_its_calendar_before_it_ends() -> None:
    clock = FrozenClock(datetime(2026, 11, 23, 15, tzinfo=UTC))
    with using.holding(Source(clock=clock)):
        exchange = Exchange("XNYS")
        learned(exchange, clock.now())
        for _ in range(3 * 52):
            clock.advance(timedelta(days=7))
            assert exchange.standing(clock.now()) != UNKNOWN
            known: Any = exchange._market
            if known.end - clock.now() < 30 * DAY:  # it was asked for, and comes when it comes
                deadline = time.monotonic() + 20
                while exchange._market is known and time.monotonic() < deadline:
                    time.sleep(0.01)
                assert exchange._market is not known
    assert harmless.problems() == {}


def test_a_forked_child_asks_anew_where_its_parent_was_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FrozenClock(datetime(2026, 11, 23, 15, tzinfo=UTC))
    with using.holding(Source(clock=clock)):
        exchange = Exchange("XNYS")
        with monkeypatch.context() as forked:
            forked.setattr("threading.Thread.start", lambda _thread: None)  # a child has none but the forking one
            assert exchange.standing(clock.now()) == UNKNOWN
        exchange.in_child()
        assert learned(exchange, clock.now()).is_open is True


def test_beyond_the_end_of_a_calendar_it_is_not_known_rather_than_closed(caplog: pytest.LogCaptureFixture) -> None:
    clock = FrozenClock(datetime(2100, 6, 1, tzinfo=UTC))
    with using.holding(Source(clock=clock)):
        exchange = Exchange("XSHG")
        exchange.standing(clock.now())
        deadline = time.monotonic() + 120
        while "calendar_ended" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)
        assert exchange.standing(clock.now()) == UNKNOWN
        known: Any = exchange._market
        assert known.standing(known.end - 1).is_open is True
        assert known.standing(known.end) == UNKNOWN
        assert known.standing(known.begin - 1) == UNKNOWN
    assert "pip install --upgrade exchange-calendars" in caplog.text


def test_sessions_that_touch_are_one_and_what_was_open_from_the_beginning_has_no_opening() -> None:
    one = Sessions([(30, 40), (10, 20), (20, 25), (40, 50)])
    assert [one.standing(at) for at in (9, 50)] == [UNKNOWN, UNKNOWN]
    assert [one.standing(at) for at in (10, 24)] == [OPEN, OPEN]
    assert [one.standing(at).is_open for at in (25, 29, 30, 49)] == [False, False, True, True]
    assert one.standing(49).opened == 30
    assert Sessions().standing(5) == UNKNOWN


class Own:
    """A market that is open in each even hour."""

    def is_open(self, at: datetime) -> bool:
        return at.hour % 2 == 0

    def opened(self, at: datetime) -> datetime | None:
        if at.hour == 20:
            raise RuntimeError("no")
        return None if at.hour == 22 else at.replace(minute=0, second=0)


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("2026-11-23T12:59:59.999999", Standing(is_open=True, opened=ns("2026-11-23T12:00"))),
        ("2026-11-23T13:00", Standing(is_open=False)),
        ("2026-11-23T22:30", OPEN),
        ("2026-11-23T20:30", UNKNOWN),
    ],
)
def test_hours_of_a_bots_own_are_asked_and_what_they_raise_is_told(at: str, told: Standing) -> None:
    assert market(Own()).standing(ns(at)) == told
    assert set(harmless.problems()) == ({"wrong_hours"} if told == UNKNOWN else set())


@pytest.mark.parametrize(
    ("hours", "kind", "fix"),
    [
        (7, "wrong_hours", "is_open"),
        ("weekdays@America/New_Yrok", "unknown_hours", "Did you mean America/New_York?"),
        ("weekdays@../../etc/passwd", "unknown_hours", "Known:"),
        ("XNYSE", "unknown_hours", "Did you mean XNYS?"),
        ("xnyse", "unknown_hours", "Did you mean XNYS?"),
        ("weekday", "unknown_hours", "Did you mean weekdays?"),
        ("my exchange", "unknown_hours", "Known: 24x7, weekdays"),
    ],
)
def test_hours_that_are_none_are_told_with_the_nearest_and_count_as_24x7(
    hours: Any, kind: str, fix: str, caplog: pytest.LogCaptureFixture
) -> None:
    with using.holding(Source(clock=FrozenClock())):
        assert learned(market(hours), ns("2026-11-22T12:00")) == OPEN
        deadline = time.monotonic() + 60
        while fix not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)
    assert harmless.problems() == {kind: 1}
    assert "count as 24x7" in caplog.text
    assert fix in caplog.text
