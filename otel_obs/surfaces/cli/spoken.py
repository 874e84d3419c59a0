"""What a port speaks, found out by asking it: HTTP/1, or the HTTP/2 on which gRPC stands."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Final

_SECONDS: Final = 0.7
_HTTP2: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # preface, empty SETTINGS
_HTTP1: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_SETTINGS_FRAME: Final = 4


def _answer(host: str, port: int, question: bytes) -> bytes:
    """The first bytes of an answer; empty where none comes."""
    found = b""
    with suppress(OSError), socket.create_connection((host, port), timeout=_SECONDS) as connection:
        connection.settimeout(_SECONDS)
        connection.sendall(question)
        while len(found) < len(b"HTTP/1.") and (piece := connection.recv(64)):
            found += piece
    return found


def spoken(host: str, port: int) -> frozenset[str]:
    """``http`` and ``grpc``, as far as the port answers to them; none where it says nothing, as with TLS."""
    first = _answer(host, port, _HTTP2)
    found = set()
    if len(first) > 3 and first[3] == _SETTINGS_FRAME:  # noqa: PLR2004 - after a frame's length stands its type
        found.add("grpc")
    if first.startswith(b"HTTP/1.") or _answer(host, port, _HTTP1).startswith(b"HTTP/1."):
        found.add("http")
    return frozenset(found)
