"""From the bot to the collector: how it is sent and to whom, who takes it there, and whether it is taken."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from otel_obs.alerting.asking import Reply, request
from otel_obs.errors import MissingExtraError, UnansweredError
from otel_obs.sdk import protocol
from otel_obs.sdk.marked import said, send_marked
from otel_obs.surfaces.cli.doctor.finding import Hop, at, clock, installed, shown
from otel_obs.surfaces.cli.spoken import spoken

if TYPE_CHECKING:
    from collections.abc import Generator

    from otel_obs.sdk.marked import Sent
    from otel_obs.settings import Settings
    from otel_obs.surfaces.cli.doctor.finding import Finding

_CONNECT_SECONDS: Final = 1.0
_OUR_RECEIVER: Final = "OTLP is taken at"  # so says the local store's receiver to who asks for no place of OTLP
_OUR_REALM: Final = 'realm="otel-obs"'
_OUR_DOOR: Final = "otel-obs up --accept-host"
_UNAVAILABLE: Final = r"(?i)HTTP 429|HTTP 50[234]|unavailable|resource_exhausted"
_finding: Final = at(Hop.BOT)

_FIXES: Final = (
    (
        r"HTTP 401|UNAUTHENTICATED",
        (
            "It wants a password, or another one: OTEL_EXPORTER_OTLP_HEADERS='authorization=Basic%20…'. See "
            "docs/how-to/secure-the-store.md."
        ),
    ),
    (
        r"HTTP 403|PERMISSION_DENIED",
        (
            "It does not know the name it is called by, or these headers: `otel-obs up --accept-host NAME`, or "
            "OTEL_EXPORTER_OTLP_HEADERS."
        ),
    ),
    (
        r"HTTP 40[045]|web page|UNIMPLEMENTED",
        (
            "No OTLP is taken there. OTEL_EXPORTER_OTLP_ENDPOINT is the address of a collector or of `otel-obs up`, "
            "without /v1/traces."
        ),
    ),
    (
        r"(?i)not known|resolving|lookup|resolution|failed to connect|connection refused|unreachable",
        "Its name or address does not lead anywhere from here: OTEL_EXPORTER_OTLP_ENDPOINT.",
    ),
    (
        _UNAVAILABLE,
        (
            "It is there and takes nothing more: its queue is full, its memory short, or its store away. Its log says "
            "which; docs/how-to/run-the-collector.md tells what to do."
        ),
    ),
    (r"(?i)wrong.version.number", "It speaks without TLS: begin OTEL_EXPORTER_OTLP_ENDPOINT with http://."),
    (
        r"(?i)ssl|certificate|tls",
        (
            "OTEL_EXPORTER_OTLP_CERTIFICATE names the authority that it is known by, …_CLIENT_CERTIFICATE and "
            "…_CLIENT_KEY who you are."
        ),
    ),
    (
        r"(?i)no answer within|timed out|DEADLINE",
        (
            "It took longer than OTEL_EXPORTER_OTLP_TIMEOUT (10 s unless set) to answer. Is a collector or a store "
            "behind that port?"
        ),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Sending:
    """Who was found at the other end, and what became of the marked span, where one was sent."""

    host: str
    is_reached: bool
    is_store: bool
    sent: Sent | None


def sending(wanted: Settings, *, unsent: str, store_ports: frozenset[int]) -> Generator[Finding, None, Sending]:
    """Look at the way out, and send the marked span unless ``unsent`` says why not.

    ``store_ports`` are those of a local store that is known.
    """
    ways = list(dict.fromkeys(protocol.way(wanted, signal) for signal in protocol.SIGNALS))
    reached = []
    for way in ways:
        found = _reachable(way)
        reached.append(found.ok)
        yield found
    for way in ways:
        yield _spoken_by_us(way)
    yield from _variables()
    way = protocol.way(wanted, "TRACES")
    host, port = _address(way)
    reply = _greeting(way) if reached[0] else None
    is_store = _is_store(reply) or (host in {"127.0.0.1", "::1", "localhost"} and port in store_ports)
    if is_store:
        yield _finding("who takes it", "the local store itself (otel-obs up): no collector is in between")
    if not reached[0]:
        yield _finding("span sent", "not sent: nobody takes it")
        return Sending(host=host, is_reached=reached[0], is_store=is_store, sent=None)
    if reply is not None and reply.ahead is not None and not is_store:
        yield clock(Hop.BOT, f"the clock at {host}", reply.ahead)
    if unsent:
        yield _finding("span sent", f"none: {unsent}")
        return Sending(host=host, is_reached=reached[0], is_store=is_store, sent=None)
    try:
        sent = send_marked(wanted)
    except MissingExtraError as error:
        yield _finding("span sent", f"not sent: {error.what}", ok=False, fix=error.fix)
        return Sending(host=host, is_reached=reached[0], is_store=is_store, sent=None)
    yield _outcome(way, sent)
    return Sending(host=host, is_reached=reached[0], is_store=is_store, sent=sent)


def _outcome(way: protocol.Way, sent: Sent) -> Finding:
    if sent.is_accepted:
        return _finding("span sent", f"accepted in {sent.seconds * 1000:.0f} ms (trace {sent.trace_id})")
    if not sent.trace_id:
        return _finding("span sent", f"not sent: {sent.told}", ok=False, fix=sent.fix)
    fix = next((fix for pattern, fix in _FIXES if re.search(pattern, sent.told)), "")
    return _finding(
        "span sent", f"not taken at {shown(way.place)} after {sent.seconds:.1f} s: {sent.told}", ok=False,
        fix=fix or sent.fix or "Is it a collector, or `otel-obs up`?",
    )  # fmt: skip


def _address(way: protocol.Way) -> tuple[str, int]:
    with suppress(ValueError):
        parts = urlsplit(way.place if "//" in way.place else f"//{way.place}")
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    return "", 0


def _reachable(way: protocol.Way) -> Finding:
    about = "OTLP endpoint"
    try:
        parts = urlsplit(way.place if "//" in way.place else f"//{way.place}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_SECONDS):
            pass
    except (OSError, ValueError) as error:
        return _finding(
            about, f"nobody answers at {shown(way.place)}: {error}", ok=False,
            fix="Start the store with `otel-obs up`, or point OTEL_EXPORTER_OTLP_ENDPOINT at a collector.",
        )  # fmt: skip
    place = f"{parts.hostname}:{port}"
    there = spoken(parts.hostname or "", port) if parts.scheme != "https" else frozenset()
    wanted = "grpc" if way.protocol == protocol.GRPC else "http"
    if not there or wanted in there:
        return _finding(about, f"{place} answers")
    if wanted == "http":
        return _finding(
            about, f"{place} speaks gRPC, and {way.protocol} is sent there", ok=False,
            fix="Use the port of OTLP over HTTP (4318 as a rule), or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc with "
            "`pip install 'otel-obs[grpc]'`.",
        )  # fmt: skip
    return _finding(
        about, f"{place} speaks HTTP, and gRPC is sent there", ok=False,
        fix="Use the port of OTLP over gRPC (4317 as a rule), or unset OTEL_EXPORTER_OTLP_PROTOCOL: then HTTP is sent.",
    )  # fmt: skip


def _spoken_by_us(way: protocol.Way) -> Finding:
    if way.protocol == protocol.GRPC and not installed("opentelemetry.exporter.otlp.proto.grpc"):
        return _finding(
            "protocol", f"{protocol.VARIABLE}=grpc without its package", ok=False,
            fix="pip install 'otel-obs[grpc]', or unset it: HTTP is spoken then.",
        )  # fmt: skip
    if not way.is_understood:
        return _finding(
            "protocol", f"{way.asked} was asked for, and {way.protocol} is sent", ok=False,
            fix=f"Set {protocol.VARIABLE} to {protocol.HTTP} or {protocol.GRPC}, or unset it.",
        )  # fmt: skip
    return _finding("protocol", way.protocol)


def _variables() -> Generator[Finding, None, None]:
    found = said()
    for problem in found.unread_headers:
        yield _finding(
            "headers", problem, ok=False,
            fix="OTEL_EXPORTER_OTLP_HEADERS is name=value,name=value; a space in a value is written %20, a comma %2C.",
        )  # fmt: skip
    if found.headers and not found.unread_headers:
        yield _finding("headers", f"{', '.join(found.headers)} (values are not shown)")
    for problem in found.unread:
        yield _finding("variables", problem, ok=False, fix="Mend it, or unset it: the default is what counts now.")


def _greeting(way: protocol.Way) -> Reply | None:
    """What the endpoint says to who asks for no place of OTLP; nothing where it speaks gRPC only."""
    if way.protocol == protocol.GRPC:
        return None
    with suppress(UnansweredError, ValueError):
        parts = urlsplit(way.place)
        return request(f"{parts.scheme}://{parts.netloc}", "/")
    return None


def _is_store(reply: Reply | None) -> bool:
    if reply is None:
        return False
    return (
        _OUR_RECEIVER in reply.text
        or _OUR_DOOR in reply.text
        or _OUR_REALM in reply.headers.get("www-authenticate", "")
    )
