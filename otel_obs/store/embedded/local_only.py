"""Keep a port to programs of this machine: an ASGI middleware that refuses foreign Host names and web pages."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Receive, Scope, Send

_OWN_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


class LocalOnly:
    """Passes a request on if it names this machine as its Host and no browser sent it for a page.

    A page in the user's browser can reach every local port: a name that its owner lets resolve to 127.0.0.1 shows in
    Host, a script or a form in Origin, an image in Sec-Fetch-Site.
    """

    def __init__(self, app: ASGIApp, *, accept_hosts: Collection[str] = (), accept_addresses: bool = False) -> None:
        """``accept_hosts``: further names or addresses under which the port is reached, without port.

        ``accept_addresses``: whether any address will do, for a port that listens beyond this machine. A page that
        reaches a port by a name of its own always shows that name.
        """
        self._app = app
        self._hosts = _OWN_NAMES.union(host.lower() for host in accept_hosts)
        self._accept_addresses = accept_addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reason = self._objection(Headers(scope=scope)) if scope["type"] == "http" else ""
        app = PlainTextResponse(f"Refused: {reason}\n", status_code=403) if reason else self._app
        await app(scope, receive, send)

    def _objection(self, headers: Headers) -> str:
        foreign = [host for host in headers.getlist("host") or [""] if not self._is_ours(_name(host))]
        if foreign:
            names = ", ".join(sorted(self._hosts))
            return f"this port answers to {names}, not to {foreign[0]!r}. See `otel-obs up --accept-host`."
        if "origin" in headers or headers.get("sec-fetch-site", "none") != "none":
            return "this port does not answer web pages."
        return ""

    def _is_ours(self, name: str) -> bool:
        return name in self._hosts or (self._accept_addresses and _is_address(name.strip("[]")))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _name(host: str) -> str:
    """``localhost`` of ``LocalHost:8123``, ``[::1]`` of ``[::1]:4318``."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isascii() and port.isdigit() else host.lower()
