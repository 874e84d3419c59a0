"""The port that Prometheus scrapes: bound once, told where it is, and never a reason for a bot to stop."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final

from otel_obs.health.process import MULTIPROCESS

if TYPE_CHECKING:
    from otel_obs.settings import Settings

_log: Final = logging.getLogger("otel_obs")


class Port:
    """The listening port of this process; a forked child has none until it binds its own."""

    def __init__(self) -> None:
        self.address = ""
        self._server: Any = None
        self._lock = threading.Lock()
        self._refused: set[tuple[str, int]] = set()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._in_child)

    def _in_child(self) -> None:
        """Close what was inherited: else the port would stay taken, by a process that does not answer."""
        server, self._server, self.address = self._server, None, ""
        self._lock = threading.Lock()
        if server is not None:
            server.socket.close()

    def bind(self, wanted: Settings) -> None:
        """Listen as ``wanted`` says, unless this process listens already; what fails is logged once with its fix."""
        place = (wanted.metrics_host, wanted.metrics_port)
        with self._lock:
            if wanted.metrics_port < 0 or self.address or place in self._refused:
                return
            try:
                self._listen(*place)
            except Exception as error:  # noqa: BLE001 - a busy port, an address that is not ours, no such name
                self._refused.add(place)
                told = logging.INFO if MULTIPROCESS in os.environ else logging.WARNING
                _log.log(
                    told,
                    "Prometheus cannot scrape this process: %s:%d cannot be bound (%s). Give each bot a port of its "
                    "own with OTEL_OBS_METRICS_PORT (0 takes any free one), or `off`.",
                    *place,
                    getattr(error, "strerror", None) or error,
                )
            else:
                _log.info("Prometheus can scrape this process at %s", self.address)

    def _listen(self, host: str, port: int) -> None:
        from prometheus_client import start_http_server

        from otel_obs.health.exposition import registry

        self._server, _ = start_http_server(port, host, registry())
        shown = f"[{host}]" if ":" in host else host
        self.address = f"http://{shown}:{self._server.server_port}/metrics"


port: Final = Port()
