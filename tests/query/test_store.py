"""otel_obs.query: every report as a method, at once and awaited, over HTTP and on a directory."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pytest

from otel_obs import query
from otel_obs.errors import QuestionError
from otel_obs.query.questions import argument_name, method_name
from otel_obs.reports.registry import REPORTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

NOON = datetime(2025, 12, 19, 12, tzinfo=UTC)
DAY: dict[str, Any] = {"from_": "2025-12-19", "to": "2025-12-20", "tz": "UTC"}


def _window(name: str) -> dict[str, Any]:
    row = next(row for row in REPORTS if row.name == name)
    return DAY if any(parameter.name == "from" for parameter in row.parameters) else {"tz": "UTC"}


def test_rows_are_typed_and_are_what_json_says(url: str) -> None:
    with query.connect(url) as store:
        answer = store.decisions(**DAY)
        assert [row.what for row in answer.rows] == ["hold", "enter"]
        assert answer.rows[1].timestamp == NOON
        assert answer.rows[1].timestamp.utcoffset() == timedelta(0)
        assert answer.data[1]["timestamp"] == "2025-12-19T12:00:00+00:00"
        assert (answer.rows[1].confidence, answer.data[1]["confidence"]) == (0.62, 0.62)
        assert store.why(**DAY).rows[0].by_gate == {"spread": 1}
        assert store.principles(**DAY, min_runs=1).rows[0].failures == 1


def test_a_cost_is_exact_and_one_that_cannot_be_read_is_named(url: str) -> None:
    with query.connect(url) as store:
        costs = {row.stage: row.cost_usd for row in store.stages(**DAY).rows}
        assert costs == {"synthesis": Decimal("0.000000000000000001"), "intake": Decimal(90000000000000000000)}
        assert store.summary(**DAY).rows[0].cost_usd == Decimal("90000000000000000000.000000000000000001")
        found = store.client.query("SELECT cost_usd, defects FROM stages FINAL WHERE notEmpty(defects)").result_rows
        assert found == [(None, ["stage.cost_usd cannot be read"])]


@pytest.mark.parametrize(
    ("start", "count"),
    [
        (NOON, 2),
        (NOON + timedelta(seconds=1), 1),
        (datetime(2025, 12, 19, 17, 30), 2),  # noqa: DTZ001 - a naive time is in the zone that is given
        (datetime(2025, 12, 19, 17, 30, 0, 1), 1),  # noqa: DTZ001 - likewise
        ("2025-12-19T12:00:00.5Z", 1),
    ],
)
def test_times_are_given_as_python_has_them(url: str, start: Any, count: int) -> None:
    with query.connect(url) as store:
        given = {"from_": start, "to": NOON + timedelta(hours=1), "tz": ZoneInfo("Asia/Kolkata")}
        assert store.why(**given).rows[0].decisions == count
        assert store.why(from_=timedelta(hours=-1)).rows[0].decisions == 0


def test_what_is_asked_wrongly_names_the_nearest(url: str) -> None:
    with query.connect(url) as store:
        with pytest.raises(QuestionError, match="Did you mean near-misses"):
            store.ask("near-miss")
        with pytest.raises(TypeError, match="symbl"):
            store.why(symbl="BTCUSDT")  # type: ignore[call-arg]
        with pytest.raises(QuestionError, match="symbl"):
            store.ask("why", symbl="BTCUSDT")
        with pytest.raises(QuestionError, match="vetoed"):
            store.decisions(outcome="vetted")  # type: ignore[arg-type]
        wrong = store.near_misses(**DAY, gate="spraed")
        assert (wrong.found, wrong.sentence) == (False, "No gate 'spraed' was ever recorded. Did you mean spread?")
        assert store.near_misses(**DAY, gate="spread").found


def test_every_report_can_be_asked_from_many_threads_at_once(url: str) -> None:
    with query.connect(url) as store, ThreadPoolExecutor(8) as threads:
        names = [row.name for row in REPORTS if not row.parameters[0].position] * 3
        answers = list(threads.map(lambda name: store.ask(name, **_window(name)).data, names))
        for name, data in zip(names, answers, strict=True):
            assert data == store.ask(name, **_window(name)).data


def test_it_is_awaited_without_holding_up_the_loop(url: str) -> None:
    async def ask() -> list[Any]:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0.001)

        pulse = asyncio.create_task(beat())
        async with query.connect_async(url) as store:
            found = await asyncio.gather(store.why(**DAY), store.gates(**DAY), store.trace("0" * 32))
        pulse.cancel()
        return [*found, beats]

    why, gates, trace, beats = asyncio.run(ask())
    assert (why.rows[0].decisions, gates.rows[0].gate, trace.found) == (2, "spread", False)
    assert beats > 5


def test_a_store_that_was_not_entered_says_how() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(query.connect_async("http://127.0.0.1:1").ask("why"))


def test_the_sql_that_is_shown_answers_the_same(url: str) -> None:
    with query.connect(url) as store:
        for row in REPORTS:
            ids = {parameter.name: "o'neil\\" for parameter in row.parameters if parameter.position}
            text = store.sql(row.name, **ids, **_window(row.name))
            given, statement = text.split("\n\n", 1)
            parameters = dict(line[len("SET param_") : -1].split(" = ", 1) for line in given.splitlines())
            bound = {f"param_{name}": _for_url(_unquoted(value)) for name, value in parameters.items()}
            asked = urlencode({**bound, "database": "otel", "default_format": "JSONEachRow"})
            request = urllib.request.Request(f"{url}/?{asked}", statement.encode())
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    shown = answer.read().splitlines()
            except urllib.error.HTTPError as error:
                pytest.fail(f"{row.name}: {error.read().decode()}")
            if not ids:
                assert len(shown) == len(store.ask(row.name, **_window(row.name)).rows), row.name


def _for_url(value: str) -> str:
    """ClickHouse reads a text in the URL as a cell of TSV, an array as it is."""
    return value if value == "\\N" or value.startswith("[") else value.replace("\\", "\\\\")


def _unquoted(literal: str) -> str:
    return re.sub(r"\\(.)", r"\1", literal[1:-1])


def test_each_decision_is_told_once_as_it_arrives(url: str, send: Callable[..., None], otlp: ModuleType) -> None:
    with query.connect(url) as store:
        arriving = store.tail(every=0.05, limit=1)
        assert next(arriving).what == "hold"  # the latest by event time, of those that are there already
        ancient = otlp.decision("ancient", at=otlp.SECOND)
        threading.Timer(0.2, send, [otlp.traces(ancient)]).start()
        assert next(arriving).what == "ancient"
        send(otlp.traces(ancient, otlp.decision("fresh", at=2 * otlp.SECOND)))  # one delivered twice
        assert next(arriving).what == "fresh"
        filtered = store.tail(every=0.05, service="other")
        threading.Timer(0.2, send, [otlp.traces(otlp.decision("theirs", at=otlp.SECOND), service="other")]).start()
        assert next(filtered).service == "other"
        with pytest.raises(QuestionError, match="tail has no parameter 'color'"):
            next(store.tail(color="red"))


def test_a_directory_that_is_served_is_asked_there(data: Path, url: str) -> None:
    with query.connect(data=data) as served:
        assert not served.is_held_here
        assert served.why(**DAY).rows[0].decisions == 2
    with pytest.raises(QuestionError, match="Give one of them"):
        query.connect(url, data=data)


# ---- to other libraries


def test_arrow_has_the_same_columns_and_types_however_many_rows_there_are(url: str) -> None:
    with query.connect(url) as store:
        for row in REPORTS:
            if row.parameters[0].position:
                continue
            full = store.ask(row.name, **_window(row.name)).to_arrow()
            empty = store.ask(row.name, from_="1999-01-01", to="1999-01-02", tz="UTC").to_arrow()
            assert full.schema == empty.schema, row.name
        stages = store.stages(**DAY).to_arrow()
        assert stages.schema.field("cost_usd").type == pa.decimal128(38, 18)
        assert Decimal(90000000000000000000) in stages.column("cost_usd").to_pylist()
        decisions = store.decisions(**DAY).to_arrow()
        assert decisions.schema.field("timestamp").type == pa.timestamp("us", tz="UTC")
        assert decisions.column("timestamp").to_pylist()[1] == NOON


def test_pandas_has_times_in_utc_and_exact_amounts(url: str) -> None:
    with query.connect(url) as store:
        decisions = store.decisions(**DAY).to_pandas()
        assert decisions["timestamp"][1] == pd.Timestamp(NOON)
        assert store.stages(**DAY).to_pandas()["cost_usd"][0] in {
            Decimal("0.000000000000000001"), Decimal(90000000000000000000),
        }  # fmt: skip
        assert store.overridden(**DAY).to_pandas().shape == (0, 12)
        run = store.traces(**DAY).rows[0].trace_id
        assert store.scorecard(run).to_arrow().num_rows == 1
        assert store.compare(run, run).to_pandas()["name"].tolist()[0] == "score"


# ---- the types


def test_the_methods_are_those_of_the_table() -> None:
    for kind, row in itertools.product((query.Store, query.AsyncStore), REPORTS):
        method = getattr(kind, method_name(row))
        names = list(inspect.signature(method).parameters)
        assert names == ["self", *(argument_name(parameter) for parameter in row.parameters)]
        assert row.question in (method.__doc__ or "")


def test_a_stranger_s_type_checker_knows_rows_and_parameters(tmp_path: Path) -> None:
    program = tmp_path / "stranger.py"
    program.write_text(
        "from otel_obs import query\n"
        "with query.connect() as store:\n"
        "    reveal_type(store.near_misses(gate='x').rows[0].margin_ratio)\n"
        "    reveal_type(store.orders(limit=3).rows[0].average_price)\n"
        "    store.decisions(outcome='vetted')\n"
        "    store.near_misses(gaet='x')\n"
        "async def ask() -> None:\n"
        "    async with query.connect_async() as store:\n"
        "        reveal_type((await store.why()).rows[0].by_gate)\n",
        encoding="utf-8",
    )
    checker = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(tmp_path), str(program)]
    told = subprocess.run(checker, capture_output=True, text=True, check=False, cwd=tmp_path).stdout
    revealed = re.findall(r'Revealed type is "(.*)"', told.replace("builtins.", "").replace("_decimal.", "decimal."))
    assert revealed == ["float", "decimal.Decimal | None", "dict[str, int]"], told
    assert re.findall(r"stranger.py:(\d+): error", told) == ["5", "6"], told
