"""One HTTP port: a bound socket, an ASGI application behind it, a thread of its own."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from otel_obs.errors import PortError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from starlette.types import ASGIApp

_BACKLOG: Final = 512
_KEEP_ALIVE_SECONDS: Final = 75


def _bound(host: str, port: int, what: str, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off only where the protocol is named; with it each answer takes 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PortError(
                f"{what} cannot listen on {host}:{port}: the port is in use.",
                fix=f"Stop what uses it, or choose another with {option} (0 = any free port).",
            ) from error
        raise PortError(f"{what} cannot listen on {host}:{port}: {error}.", fix=f"Change {option}.") from error
    return listening


class Listener:
    """Serves ``app`` on ``host:port`` (0 = any free port) from construction until ``stop``.

    Raises:
        PortError: the port cannot be bound.

    """

    def __init__(self, app: ASGIApp, *, port: int, what: str, option: str = "--port", host: str = "127.0.0.1") -> None:
        self._socket = _bound(host, port, what, option)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            )
        )
        self._thread = threading.Thread(target=self._run, name=f"{what} :{self.port}", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://{self.host}:{self.port}"

    def _run(self) -> None:
        asyncio.run(self._server._serve([self._socket]))  # noqa: SLF001 - serve() takes over the process's signals

    def stop(self, *, within: float = 10.0) -> None:
        """Take no new requests, let the running ones end (at most ``within`` seconds), free the port."""
        self._server.config.timeout_graceful_shutdown = max(1, int(within))
        self._server.should_exit = True
        self._thread.join(within + 1)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        self.stop()
