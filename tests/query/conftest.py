"""A store that is served, with a few decisions, a run and its cost."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import pytest

from otel_obs.store.embedded.server import Ports, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from google.protobuf.message import Message


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the store lies."""
    return tmp_path_factory.mktemp("query") / "data"


@pytest.fixture(scope="module")
def server(data: Path) -> Iterator[Server]:
    """A store that is served."""
    server = Server(data, Ports(otlp=0, otlp_grpc=0, clickhouse=0, web=0))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def send(server: Server) -> Callable[[Message], None]:
    """Send a body of traces to it."""

    def post(body: Message) -> None:
        request = urllib.request.Request(
            f"{server.addresses.otlp_url}/v1/traces",
            body.SerializeToString(),
            {"Content-Type": "application/x-protobuf"},
        )
        urllib.request.urlopen(request, timeout=30).read()

    return post


@pytest.fixture(scope="module")
def url(server: Server, send: Callable[[Message], None], otlp: ModuleType) -> str:
    """Where it is asked."""
    run = otlp.new_trace()
    cycle = otlp.new_span()
    spans = [
        otlp.cycle(
            "research", intent="validating", trace=run, id=cycle, took=5_000_000,
            more={
                "trace.score": 1.5, "trace.passed": False, "trace.gaps": ["META-12"],
                "trace.principles": {"META-12": 1},
            },
        ),
        otlp.span(
            {"stage.name": "synthesis", "gen_ai.usage.input_tokens": 12, "stage.cost_usd": "0.000000000000000001"},
            trace=run, parent=cycle, took=2_000_000,
        ),
        otlp.span({"stage.name": "synthesis", "stage.cost_usd": "much"}, trace=run, parent=cycle, took=1_000_000),
        otlp.span({"stage.name": "intake", "stage.cost_usd": "90000000000000000000"}, trace=run, parent=cycle),
        otlp.decision(
            "enter", otlp.gate("spread", observed=16.7, threshold=5.0, comparison="at_most", unit="bps"),
            more={"decision.confidence": 0.62, "instrument.symbol": "BTCUSDT"}, trace=run, parent=cycle,
        ),
        otlp.decision("hold", at=otlp.NOON + otlp.SECOND),
    ]  # fmt: skip
    send(otlp.traces(*spans))
    return server.addresses.clickhouse_url
