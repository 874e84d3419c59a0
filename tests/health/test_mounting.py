"""Health inside an application that serves already, and added up over the forked workers of one bot."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any


def test_it_mounts_in_an_asgi_application(start: Callable[..., Any], scrape: Callable[..., Any]) -> None:
    bot = start(
        """
import asyncio, socket
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
obs.configure()
app = Starlette(routes=[Mount("/metrics", app=obs.health.asgi_app())])
obs.health.error("before")
async def main():
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    serving = asyncio.create_task(server.serve([listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    tell(f"http://127.0.0.1:{listening.getsockname()[1]}/metrics")
    await asyncio.to_thread(wait)
    server.should_exit = True
    await serving
asyncio.run(main())
"""
    )
    found = scrape(bot.told())
    assert found("errors_total", kind="before") == 1
    bot.end()


def test_it_mounts_in_a_wsgi_application_and_in_a_registry_of_the_bots_own(
    start: Callable[..., Any], scrape: Callable[..., Any]
) -> None:
    bot = start(
        """
import threading
from wsgiref.simple_server import make_server, WSGIRequestHandler
import prometheus_client
WSGIRequestHandler.log_message = lambda *_: None
obs.configure()
prometheus_client.Counter("own", "the bot's own").inc(7)
prometheus_client.REGISTRY.register(obs.health.collector())
server = make_server("127.0.0.1", 0, obs.health.wsgi_app(), handler_class=WSGIRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
own, _ = prometheus_client.start_http_server(0, "127.0.0.1")
obs.health.error("later")
tell([server.server_port, own.server_port])
wait()
"""
    )
    for port in bot.told():
        found = scrape(f"http://127.0.0.1:{port}/metrics")
        assert found("errors_total", kind="later") == 1
    assert "own_total 7.0" in found.text
    bot.end()


def test_forked_workers_are_added_up_and_their_label_sets_stand_at_zero(
    start: Callable[..., Any], scrape: Callable[..., Any], tmp_path: Path
) -> None:
    files = tmp_path / "metrics"
    files.mkdir()
    bot = start(
        """
import os
obs.configure(metrics_port=0)
obs.health.declare(errors=["exchange"], gates=["spread_guard"])
obs.health.error("exchange")
feed = obs.health.source("ws", kind="websocket")
children = []
for worker in range(3):
    child = os.fork()
    if child == 0:
        obs.configure(metrics_port=0)
        feed.connected()
        feed.seen(at=1_700_000_000_000_000_000 + worker * 10**9)
        for _ in range(worker + 1):
            obs.health.error("exchange")
            with obs.decision("enter") as d:
                d.gate("spread_guard", observed=16.7, at_most=5.0)
        os._exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
obs.decide("hold")
tell(obs.health.address())
wait()
""",
        PROMETHEUS_MULTIPROC_DIR=str(files),
    )
    found = scrape(bot.told())
    ws = {"source": "ws", "kind": "websocket"}
    assert found("errors_total", kind="exchange") == 1 + 1 + 2 + 3
    assert found("decisions_total", outcome="vetoed") == 6
    assert found("decisions_total", outcome="held") == 1
    assert found("decisions_total", outcome="failed") == 0
    assert found("vetoes_total", gate="spread_guard") == 6
    assert found("gate_observed", gate="spread_guard") == 16.7
    assert found("source_update_timestamp_seconds", **ws) == 1_700_000_002
    assert (found("source_seen", **ws), found("source_updates_total", **ws)) == (1, 3)
    assert found.labels("build_info", "version")
    assert not any('pid="' in line for line in found.text.splitlines())
    bot.end()
