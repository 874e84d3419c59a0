"""`otel-obs alerts calendar`: held against the package that knows the exchanges, minute by minute."""

from __future__ import annotations

import random
import subprocess
import warnings
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import exchange_calendars
import pytest
import yaml
from click.testing import CliRunner

from otel_obs.alerting.closed import closed
from otel_obs.surfaces.cli.commands import otel_obs

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

DAY = date(2026, 1, 5)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _minute(clock: str) -> int:
    hour, _, minute = clock.partition(":")
    return int(hour) * 60 + int(minute)


def _holds(interval: dict[str, Any], at: datetime) -> bool:
    """Whether Alertmanager's interval contains a moment."""
    local = at.astimezone(ZoneInfo(interval["location"]))
    now = local.hour * 60 + local.minute
    times = interval.get("times", [{"start_time": "00:00", "end_time": "24:00"}])
    return (
        WEEKDAYS[local.weekday()] in interval.get("weekdays", WEEKDAYS)
        and str(local.year) in interval.get("years", [str(local.year)])
        and str(local.month) in interval.get("months", [str(local.month)])
        and str(local.day) in interval.get("days_of_month", [str(local.day)])
        and any(_minute(each["start_time"]) <= now < _minute(each["end_time"]) for each in times)
    )


@pytest.mark.parametrize(
    "name", ["XNYS", "XTKS", "XLON", "CMES"], ids=["New York", "noon break", "London", "overnight"]
)
def test_it_is_closed_exactly_when_the_exchange_is(name: str) -> None:
    intervals = yaml.safe_load(closed(name, today=DAY).text())["time_intervals"][0]["time_intervals"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        calendar = exchange_calendars.get_calendar(name, start="2025-12-01", end="2027-01-31", side="left")
        opened = {int(minute) // 60 for minute in calendar.minutes.asi8 // 10**9}
    begin = int(datetime(2026, 1, 6, tzinfo=UTC).timestamp()) // 60
    dice = random.Random(6)
    edges = [minute for minute in opened if minute - 1 not in opened or minute + 1 not in opened]
    minutes = {begin + dice.randrange(365 * 1440) for _ in range(10_000)}
    minutes |= {edge + by for edge in edges for by in (-1, 0, 1) if begin <= edge < begin + 365 * 1440}
    wrong = [
        at.isoformat()
        for minute in sorted(minutes)
        for at in [datetime.fromtimestamp(minute * 60, UTC)]
        if any(_holds(interval, at) for interval in intervals) == (minute in opened)
    ]
    assert wrong == []


def test_alertmanager_takes_what_is_printed_in_place_of_our_own_interval(receivers: ModuleType, tmp_path: Path) -> None:
    printed = CliRunner().invoke(otel_obs, ["alerts", "calendar", "xnys"])
    assert printed.exit_code == 0
    file = receivers.shipped(tmp_path, "https://x", on=("weekend",), changed={"[weekend]": "[XNYS-closed]"})
    text = file.read_text(encoding="utf-8")
    file.write_text(text[: text.index("time_intervals:\n  - name: weekend")] + printed.output, encoding="utf-8")
    subprocess.run(["amtool", "check-config", file], check=True, capture_output=True)


def test_an_exchange_that_is_unknown_or_never_closes_is_told() -> None:
    unknown = CliRunner().invoke(otel_obs, ["alerts", "calendar", "XNYX"])
    assert (unknown.exit_code, unknown.stderr) == (2, "error: There is no exchange 'XNYX'. Did you mean XNYS?\n")
    always = CliRunner().invoke(otel_obs, ["alerts", "calendar", "24/7"])
    assert "never closes" in always.stderr


def test_a_year_ahead_is_told_with_its_last_day() -> None:
    found = closed("XNYS", today=DAY)
    assert found.last - found.first >= timedelta(days=365)
    assert f"closed from 2026-01-05 to {found.last}" in found.text()
