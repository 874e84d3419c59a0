"""From a decision to the moment at which it can be asked for, while bots decide and dashboards are being read."""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import ingest

from otel_obs.errors import QueryError
from otel_obs.reports.registry import REPORTS
from otel_obs.reports.run import run
from otel_obs.store.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_obs.store.embedded.directory import Addresses

_BOTS = 3
_READERS = 2
_DECISIONS_A_SECOND = 30  # of each bot; one with a second between two bars makes a few
_SECONDS = 20
_KEPT = 100_000  # spans that are there before
_BOT = f"""
import sys, time
import otel_obs as obs
obs.configure(endpoint=sys.argv[1], service_name=sys.argv[2])
until = time.monotonic() + {_SECONDS}
while time.monotonic() < until:
    with obs.trace("cycle", intent="trade"):
        with obs.decision("enter long", symbol="BTCUSDT", inputs={{"S_model": 0.31}}) as decision:
            decision.gate("spread_guard", observed=16.7, at_most=5.0, unit="bps")
    time.sleep(1 / {_DECISIONS_A_SECOND})
sys.exit(obs.shutdown().undelivered)
"""


def _read(url: str, done: threading.Event, answered: list[float]) -> None:
    """What a dashboard does: one question after the other, over ClickHouse's HTTP interface."""
    client = connect(url)
    client.database = "otel"
    questions = [each for each in REPORTS if all(parameter.default is not None for parameter in each.parameters)]
    while not done.is_set():
        for question in questions:
            started = time.monotonic()
            run(client, question, {"from": "-14d"} if "from" in {each.name for each in question.parameters} else {})
            answered.append(time.monotonic() - started)
            if done.is_set():
                break
    client.close()


def _watch(url: str, done: threading.Event, seen: dict[str, float]) -> None:
    """Note for each decision how old it was when a query first found it; the pause between two queries counts, too."""
    client = connect(url)
    since = 0
    while not done.is_set():
        found = client.query(
            "SELECT span_id, toUnixTimestamp64Nano(timestamp) + duration_ns FROM otel.decisions "
            "WHERE service LIKE 'bot %' AND timestamp >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')",
            parameters={"since": since},
        ).result_rows
        now = time.time_ns()
        for span_id, made in found:
            seen.setdefault(span_id, (now - made) / 1e9)
        since = max(since, now - 60_000_000_000)
        time.sleep(0.02)
    client.close()


def _observed(addresses: Addresses) -> tuple[list[float], list[float]]:
    done, seen, answered = threading.Event(), dict[str, float](), list[float]()
    url = addresses.clickhouse_url
    threads = [threading.Thread(target=_read, args=(url, done, answered)) for _ in range(_READERS)]
    threads.append(threading.Thread(target=_watch, args=(url, done, seen)))
    for thread in threads:
        thread.start()
    bots = [
        subprocess.Popen([sys.executable, "-c", _BOT, addresses.otlp_url, f"bot {number}"]) for number in range(_BOTS)
    ]
    undelivered = sum(bot.wait(_SECONDS * 5) for bot in bots)
    time.sleep(3)
    done.set()
    for thread in threads:
        thread.join()
    client = connect(url)
    stored = client.query("SELECT count() FROM otel.decisions FINAL WHERE service LIKE 'bot %'").first_row[0]
    client.close()
    if undelivered or stored != len(seen):
        raise QueryError(f"{stored} decisions stored, {len(seen)} seen, {undelivered} undelivered")
    return sorted(seen.values()), answered


def measure() -> Iterator[dict[str, object]]:
    """Yield the ages at which decisions were first found."""
    with tempfile.TemporaryDirectory() as scratch:
        process, addresses = ingest.store(Path(scratch))
        try:
            for first in range(0, _KEPT, 10_000):
                ingest.send(addresses.otlp_port, [ingest.body(10_000, first)])
            ages, answered = _observed(addresses)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    what = f"decision to queryable, {_BOTS} bots, {_READERS} readers, "
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        yield {"figure": f"{what}{name}", "unit": "ms", "ours": ages[min(len(ages) - 1, int(len(ages) * share))] * 1000}
    yield {
        "figure": f"a report meanwhile ({len(answered)} answered)",
        "unit": "ms",
        "ours": statistics.mean(answered) * 1000,
    }
