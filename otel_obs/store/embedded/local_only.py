"""Keep a port to programs of this machine: an ASGI middleware that refuses foreign Host names and web pages."""

from __future__ import annotations

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

    def __init__(self, app: ASGIApp, *, accept_hosts: Collection[str] = ()) -> None:
        """``accept_hosts``: further names or addresses under which the port is reached, without port."""
        self._app = app
        self._hosts = _OWN_NAMES.union(host.lower() for host in accept_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reason = self._objection(Headers(scope=scope)) if scope["type"] == "http" else ""
        app = PlainTextResponse(f"Refused: {reason}\n", status_code=403) if reason else self._app
        await app(scope, receive, send)

    def _objection(self, headers: Headers) -> str:
        foreign = [host for host in headers.getlist("host") or [""] if _name(host) not in self._hosts]
        if foreign:
            return f"this port answers to {', '.join(sorted(self._hosts))}, not to {foreign[0]!r}."
        if "origin" in headers or headers.get("sec-fetch-site", "none") != "none":
            return "this port does not answer web pages."
        return ""


def _name(host: str) -> str:
    """``localhost`` of ``LocalHost:8123``, ``[::1]`` of ``[::1]:4318``."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isascii() and port.isdigit() else host.lower()
