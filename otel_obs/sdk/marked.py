"""One marked span, sent as a bot's own would be, by the very exporter of its settings, and what became of it."""

from __future__ import annotations

import logging
import os
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from otel_obs.contract import semconv
from otel_obs.errors import MissingExtraError
from otel_obs.sdk import protocol
from otel_obs.sdk.otlp.exporters import span_exporter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

    from otel_obs.settings import Settings

SERVICE: Final = "otel-obs-doctor"  # no report counts it: it decides nothing, and is neither run nor stage
_SPAN: Final = "otel-obs doctor"
_HEADERS: Final = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
_SHORTEST_SECRET: Final = 4
_EXPORTERS: Final = "opentelemetry.exporter"
_RETRYING: Final = re.compile(r",? retrying in [\d.]+s")


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What became of it; ``told`` is what the exporter said first, without secrets, where nobody took it.

    Without ``trace_id`` there was not even an exporter.
    """

    trace_id: str
    is_accepted: bool
    seconds: float
    told: str = ""


def header_names(environment: os._Environ[str] | dict[str, str] = os.environ) -> tuple[list[str], int]:
    """The names of the headers that go along, and how many further ones cannot be read."""
    pieces = [piece.strip() for name in _HEADERS for piece in environment.get(name, "").split(",") if piece.strip()]
    pairs = [piece.partition("=") for piece in pieces]
    read = [
        name.strip().lower() for name, equals, value in pairs if equals and name.strip() and " " not in value.strip()
    ]
    return sorted(set(read)), len(pieces) - len(read)


def send_marked(wanted: Settings) -> Sent:
    """Send one span, and wait until it is taken, refused, or the exporter's own time is over.

    Raises:
        MissingExtraError: gRPC was asked for, and its package is not installed.

    """
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExportResult
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    with _listening() as told:
        try:
            exporter = span_exporter(protocol.url(protocol.way(wanted, "TRACES"), "/v1/traces"))
        except MissingExtraError:
            raise
        except Exception as error:  # noqa: BLE001 - a variable that the exporter cannot use, as a bot would be told
            return Sent(trace_id="", is_accepted=False, seconds=0.0, told=_without_secrets(str(error), wanted))
        made = len(told)

        class Sending(SpanProcessor):
            """Sends at once, in the caller's thread."""

            is_accepted = False
            seconds = 0.0

            def on_end(self, span: ReadableSpan) -> None:
                """Send."""
                started = time.monotonic()
                try:
                    self.is_accepted = exporter.export([span]) is SpanExportResult.SUCCESS
                except Exception as error:  # noqa: BLE001 - whatever an exporter raises is what became of it
                    told.append(str(error))
                self.seconds = time.monotonic() - started

        sending = Sending()
        provider = TracerProvider(
            resource=Resource.create({semconv.SERVICE_NAME: SERVICE}), sampler=ALWAYS_ON, shutdown_on_exit=False
        )
        provider.add_span_processor(sending)
        span = provider.get_tracer(semconv.SCOPE).start_span(_SPAN)
        span.end()
        _end(exporter)
    return Sent(
        trace_id=f"{span.get_span_context().trace_id:032x}",
        is_accepted=sending.is_accepted,
        seconds=sending.seconds,
        told="" if sending.is_accepted else _without_secrets(_RETRYING.sub("", next(iter(told[made:]), "")), wanted),
    )


def _end(exporter: SpanExporter) -> None:
    """Close its connection; what goes wrong there concerns nobody any more."""
    try:
        exporter.shutdown()
    except Exception as error:  # noqa: BLE001
        logging.getLogger("otel_obs").debug("The exporter did not end in order: %s", error)


class _Kept(logging.Handler):
    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        """Keep an exporter's words; another's may be of headers, which are secrets."""
        if record.name.startswith(_EXPORTERS):
            self._told.append(record.getMessage())


@contextmanager
def _listening() -> Iterator[list[str]]:
    """What exporters log meanwhile, which then nobody else is told."""
    told: list[str] = []
    logger, handler = logging.getLogger("opentelemetry"), _Kept(told)
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield told
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def _without_secrets(text: str, wanted: Settings) -> str:
    values = [piece.partition("=")[2] for name in _HEADERS for piece in os.environ.get(name, "").split(",")]
    given = [value.strip() for raw in values for value in (raw, unquote(raw))]
    secrets = [*given, *(value.rpartition(" ")[2] for value in given)]
    try:
        place = protocol.way(wanted, "TRACES").place
        password = urlsplit(place if "//" in place else f"//{place}").password or ""
    except ValueError:
        password = ""
    for secret in sorted({*secrets, password, unquote(password)}, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "…")
    return text
