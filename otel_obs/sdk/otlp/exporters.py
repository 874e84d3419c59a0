"""OpenTelemetry's HTTP exporters with our encoding: their endpoint, headers, certificates, retries and size limit stay.

Their ``export`` is theirs to the letter, run with another function under the one name by which it calls its encoder.
A version of theirs that has no such name keeps its own encoder, and that is logged.
"""

from __future__ import annotations

import logging
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from otel_obs.sdk.otlp.from_sdk import log_records, span_records
from otel_obs.sdk.otlp.logs import encode_logs
from otel_obs.sdk.otlp.spans import encode_spans
from otel_obs.sdk.otlp.turns import GiveWay
from otel_obs.sdk.otlp.wire import REASONS, altered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_log: Final = logging.getLogger("otel_obs")
_told: Final[set[str]] = set()

E = TypeVar("E", OTLPSpanExporter, OTLPLogExporter)


class Encoded:
    """A body that is asked to serialise itself, as a message of the protobuf library would be."""

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        self._body = body

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Return it."""
        return self._body

    SerializePartialToString = SerializeToString


def span_exporter(endpoint: str) -> OTLPSpanExporter:
    """An exporter of spans to ``endpoint``, a whole URL."""
    pause = GiveWay()
    ours = _speaking_ours(
        OTLPSpanExporter, "encode_spans", lambda batch: encode_spans(span_records(batch), pause=pause)
    )
    return ours(endpoint=endpoint)


def log_exporter(endpoint: str) -> OTLPLogExporter:
    """An exporter of log records to ``endpoint``, a whole URL."""
    pause = GiveWay()
    ours = _speaking_ours(OTLPLogExporter, "encode_logs", lambda batch: encode_logs(log_records(batch), pause=pause))
    return ours(endpoint=endpoint)


def _speaking_ours(stock: type[E], name: str, encoded: Callable[[Sequence[Any]], bytes]) -> type[E]:
    """A subclass whose ``export`` finds our encoder under ``name``; ``stock`` itself where it asks for no such name."""
    export = stock.export
    theirs = getattr(export, "__globals__", {}).get(name)
    if not isinstance(export, FunctionType) or name not in export.__code__.co_names or theirs is None:
        _tell(f"{stock.__name__} of this OpenTelemetry calls no {name}: it encodes by itself, which costs more.")
        return stock

    def encode(batch: Sequence[Any]) -> Any:
        try:
            body = Encoded(encoded(batch))
        except Exception as error:  # noqa: BLE001 - what we cannot encode is theirs to try
            _tell(f"{stock.__name__}: a batch was left to OpenTelemetry's own encoder: {error!r}")
            return theirs(batch)
        for reason in altered.keys() - _told:
            _told.add(reason)
            _log.warning(
                "OTLP cannot carry everything as it was said: %s. Further ones are only counted.", REASONS[reason]
            )
        return body

    bound = FunctionType(
        export.__code__, {**export.__globals__, name: encode}, name="export", argdefs=export.__defaults__,
        closure=export.__closure__,
    )  # fmt: skip
    return type(stock.__name__, (stock,), {"export": bound})


def _tell(what: str) -> None:
    if what not in _told:
        _told.add(what)
        _log.warning("%s", what)
