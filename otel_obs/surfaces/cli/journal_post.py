"""How `otel-obs journal replay` hands a body to the receiver."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from otel_obs import settings
from otel_obs.errors import QuestionError
from otel_obs.sdk import protocol

if TYPE_CHECKING:
    from otel_obs.sdk.frames import Signal

_SECONDS: Final = 30
_WORDS: Final = 300


class Poster:
    """Posts to ``endpoint``, else to where the settings and OpenTelemetry's variables say. ``failure`` is the last one.

    Raises:
        QuestionError: they ask for gRPC.

    """

    def __init__(self, endpoint: str | None) -> None:
        wanted = settings.override(endpoint=endpoint) if endpoint else settings.active
        self._urls = {signal: _url(wanted, signal, is_given=bool(endpoint)) for signal in ("traces", "logs")}
        self.place = endpoint or wanted.endpoint
        self.failure = ""

    def __call__(self, signal: Signal, body: bytes) -> bool:
        """Whether it was acknowledged."""
        import requests
        from opentelemetry.util.re import parse_env_headers

        own = parse_env_headers(os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", ""), liberal=True)
        try:
            answer = requests.post(
                self._urls[signal], data=body, timeout=_SECONDS,
                headers={**own, "Content-Type": "application/x-protobuf"},
            )  # fmt: skip
        except requests.RequestException as error:
            self.failure = str(error)
            return False
        if not answer.ok:
            self.failure = f"{answer.status_code} {answer.reason}: {answer.text[:_WORDS]}"
        return answer.ok


def _url(wanted: settings.Settings, signal: str, *, is_given: bool) -> str:
    way = protocol.way(wanted, signal.upper())
    if is_given:
        return f"{wanted.endpoint.rstrip('/')}/v1/{signal}"
    if way.protocol == protocol.GRPC:
        raise QuestionError(
            f"{protocol.VARIABLE} asks for gRPC, and a replay speaks HTTP.",
            fix="Name the receiver with --endpoint, such as http://127.0.0.1:4318.",
        )
    return way.place if way.is_own else f"{way.place.rstrip('/')}/v1/{signal}"
