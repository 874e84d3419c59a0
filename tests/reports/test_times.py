"""Times and zones as people write them, and what they are told where one cannot be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from importlib import resources
from zoneinfo import ZoneInfo

import pytest
from tzlocal import reload_localzone

from otel_obs.errors import QuestionError
from otel_obs.reports.registry import report
from otel_obs.reports.run import read
from otel_obs.reports.times import for_store, moment, zone, zone_for_store

KOLKATA = ZoneInfo("Asia/Kolkata")
NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2025, 12, 19, 20, 15, 30, 500, tzinfo=UTC)  # in Kolkata it is the 20th


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-12-19", "2025-12-18T18:30:00+00:00"),
        ("2025-12-19T14:00", "2025-12-19T08:30:00+00:00"),
        (" 2025-12-19 14:00:01.5 ", "2025-12-19T08:30:01.500000+00:00"),
        ("2025-12-19T14:00Z", "2025-12-19T14:00:00+00:00"),
        ("2025-12-19T14:00+02:00", "2025-12-19T12:00:00+00:00"),
        ("now", "2025-12-19T20:15:30.000500+00:00"),
        ("NOW", "2025-12-19T20:15:30.000500+00:00"),
        ("today", "2025-12-19T18:30:00+00:00"),
        ("Yesterday", "2025-12-18T18:30:00+00:00"),
        ("-2h", "2025-12-19T18:15:30.000500+00:00"),
        ("- 90 m", "2025-12-19T18:45:30.000500+00:00"),
        ("+1d", "2025-12-20T20:15:30.000500+00:00"),
        ("-1w", "2025-12-12T20:15:30.000500+00:00"),
        ("-30s", "2025-12-19T20:15:00.000500+00:00"),
        # beyond what the store can hold: its edge
        ("0001-01-01", "1970-01-01T00:00:00+00:00"),
        ("9999-12-31T23:59", "2262-04-11T23:47:16+00:00"),
        ("-99999999999w", "1970-01-01T00:00:00+00:00"),
        ("+99999999999w", "2262-04-11T23:47:16+00:00"),
    ],
)
def test_a_time_is_read_in_the_reader_s_zone(text: str, expected: str) -> None:
    assert moment(text, tz=KOLKATA, now=NOW).astimezone(UTC).isoformat() == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2h",
        "-2x",
        "-h",
        "14:00",
        "2025-13-01",
        "2025-12-19T25:00",
        "19.12.2025",
        "-" + "9" * 5000 + "h",
    ],
)
def test_what_is_no_time_is_told_with_what_would_be_one(text: str) -> None:
    with pytest.raises(QuestionError) as caught:
        read(report("why"), {"from": text, "tz": "UTC"}, now=NOW)
    assert "-2h" in caught.value.fix or "window" in caught.value.fix


def test_today_begins_at_midnight_also_on_the_day_on_which_clocks_change() -> None:
    evening = datetime(2025, 11, 2, 20, 0, tzinfo=NEW_YORK)
    assert moment("today", tz=NEW_YORK, now=evening) == datetime(2025, 11, 2, 4, 0, tzinfo=UTC)
    next_day = datetime(2025, 11, 3, 1, 0, tzinfo=NEW_YORK)
    assert moment("yesterday", tz=NEW_YORK, now=next_day) == datetime(2025, 11, 2, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "asia/kolkatta", "../../etc/passwd", "Asia", "\x00", "UTC+5", "right/UTC"]
)
def test_an_unknown_zone_is_told_with_examples(name: str) -> None:
    with pytest.raises(QuestionError) as caught:
        zone(name)
    assert "Asia/Kolkata" in caught.value.fix


def test_zones_are_found_and_this_machine_s_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert zone("Asia/Kolkata") == KOLKATA
    try:
        monkeypatch.setenv("TZ", "Asia/Kathmandu")
        reload_localzone()  # it is looked up once in a process
        assert str(zone("")) == "Asia/Kathmandu"
    finally:
        monkeypatch.undo()
        reload_localzone()


def test_the_store_knows_a_zone_by_its_name_and_one_without_by_its_offset() -> None:
    with (
        resources.files("tzdata.zoneinfo.Asia").joinpath("Kolkata").open("rb") as copy
    ):  # as a container has it, by a mounted /etc/localtime
        nameless = ZoneInfo.from_file(copy, key="local")
    assert zone_for_store(KOLKATA, now=NOW) == "Asia/Kolkata"
    assert zone_for_store(nameless, now=NOW) == "Fixed/UTC+05:30:00"
    assert zone_for_store(timezone(timedelta(hours=-3, minutes=-30)), now=NOW) == "Fixed/UTC-03:30:00"


def test_the_store_is_asked_in_utc() -> None:
    at = datetime(2025, 12, 19, 14, 0, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert for_store(at) == "2025-12-19 08:30:00.123456"


@pytest.mark.parametrize(
    ("name", "given", "told", "fix"),
    [
        ("why", {"form": "now"}, "no parameter 'form'", "from"),
        ("why", {"from": "now", "to": "-1h"}, "before it starts", "Exchange"),
        ("decision", {}, "id is missing", "id"),
        ("decisions", {"limit": "0"}, "limit '0'", "At most"),
        ("decisions", {"limit": "many"}, "limit 'many'", "At most"),
        ("decisions", {"limit": "99999999999"}, "limit '99999999999'", "At most"),
        ("decisions", {"outcome": "vetted"}, "outcome 'vetted'", "vetoed"),
        ("gates", {"near": "-1"}, "near '-1'", "near miss"),
        ("gates", {"near": "nan"}, "near 'nan'", "near miss"),
        ("gates", {"near": "inf"}, "near 'inf'", "near miss"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_named_with_what_it_means(
    name: str, given: dict[str, str], told: str, fix: str
) -> None:
    with pytest.raises(QuestionError) as caught:
        read(report(name), {"tz": "UTC", **given}, now=NOW)
    assert told in caught.value.what
    assert fix in caught.value.fix


def test_a_report_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(QuestionError, match="Did you mean rejections"):
        report("rejectoins")
    with pytest.raises(QuestionError, match="Known: why, summary, rejections, gates, "):
        report("weather")
