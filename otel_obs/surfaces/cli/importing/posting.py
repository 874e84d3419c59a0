"""Requests posted to an OTLP receiver and answered: tried again where it is busy, told where it refuses."""

from __future__ import annotations

import gzip
import os
import time
from typing import TYPE_CHECKING, Any, Final

from otel_obs.errors import UnansweredError
from otel_obs.sdk import protocol

if TYPE_CHECKING:
    from otel_obs.sdk.frames import Signal
    from otel_obs.settings import Settings

_POISON: Final = frozenset({400, 413, 422})  # something in the body is to blame
_TRIES: Final = 6
_SECONDS: Final = 30.0
_LONGEST_PAUSE: Final = 30.0
_BUSY: Final = frozenset({408, 429, 502, 503, 504})
_OK: Final = 200
_SHOWN: Final = 300
_SIGNALS: Final[dict[Signal, str]] = {"traces": "TRACES", "logs": "LOGS"}


class RefusedError(UnansweredError):
    """The receiver understood, and does not want this request: its size, or something in it, is to blame."""


class Receiver:
    """Where a bot would send to, spoken to over HTTP, with OpenTelemetry's variables for headers and certificates.

    Raises:
        UnansweredError: from ``post``: nobody answers there, or whoever does wants nothing from us.
        RefusedError: from ``post``: it does not want this request.

    """

    def __init__(self, wanted: Settings) -> None:
        import requests

        self._session = requests.Session()
        self._ways = {signal: protocol.way(wanted, name) for signal, name in _SIGNALS.items()}

    def url(self, signal: Signal) -> str:
        """Where a signal goes."""
        way = self._ways[signal]
        return way.place if way.is_own else f"{way.place.rstrip('/')}/v1/{signal}"

    def post(self, signal: Signal, body: bytes) -> tuple[int, str]:
        """Send a request; returns how many of its records were refused, and why."""
        import requests

        url, pause = self.url(signal), 1.0
        for left in reversed(range(_TRIES)):
            try:
                answer = self._session.post(
                    url, gzip.compress(body, 6), headers=_headers(signal), timeout=_SECONDS, **_certificates(signal)
                )
            except requests.RequestException as error:
                problem = f"Nobody answers at {url}: {error}"
                if isinstance(error, requests.ConnectionError) and "refused" in str(error):
                    problem = f"Nobody answers at {url}: the connection is refused."
            else:
                if answer.status_code == _OK:
                    return _refused(signal, answer.content)
                problem = f"{url} answers {answer.status_code}: {_words(answer)}"
                if answer.status_code in _POISON:
                    raise RefusedError(problem)
                if answer.status_code not in _BUSY:
                    break
                pause = _retry_after(answer.headers.get("Retry-After", ""), pause)
            if not left:
                break
            time.sleep(min(pause, _LONGEST_PAUSE))
            pause *= 2
        raise UnansweredError(
            problem,
            fix="Is the store or collector there? Importing again later changes nothing that is stored already.",
        )


def _headers(signal: Signal) -> dict[str, str]:
    from opentelemetry.util.re import parse_env_headers

    given = os.environ.get(f"OTEL_EXPORTER_OTLP_{_SIGNALS[signal]}_HEADERS") or os.environ.get(
        "OTEL_EXPORTER_OTLP_HEADERS", ""
    )
    return {
        **parse_env_headers(given, liberal=True),
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "gzip",
    }


def _certificates(signal: Signal) -> dict[str, Any]:
    def told(what: str) -> str:
        own = os.environ.get(f"OTEL_EXPORTER_OTLP_{_SIGNALS[signal]}_{what}")
        return own or os.environ.get(f"OTEL_EXPORTER_OTLP_{what}", "")

    client, key = told("CLIENT_CERTIFICATE"), told("CLIENT_KEY")
    found: dict[str, Any] = {"verify": told("CERTIFICATE") or True}
    return found | ({"cert": (client, key) if key else client} if client else {})


def _retry_after(said: str, otherwise: float) -> float:
    return float(said) if said.isdecimal() else otherwise


def _words(answer: Any) -> str:
    """What a refusal says: google.rpc.Status, whose second field is the message; else the text itself."""
    content: bytes = answer.content
    if "protobuf" in answer.headers.get("Content-Type", ""):
        content = content.partition(b"\x12")[2][1:] or content
    return content.decode(errors="replace").strip()[:_SHOWN] or str(answer.reason)


def _refused(signal: Signal, content: bytes) -> tuple[int, str]:
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    try:
        if signal == "traces":
            spans = ExportTraceServiceResponse.FromString(content).partial_success
            return spans.rejected_spans, spans.error_message
        logs = ExportLogsServiceResponse.FromString(content).partial_success
    except DecodeError:
        return 0, ""
    return logs.rejected_log_records, logs.error_message
