"""OTLP bodies that the engine cannot read by itself, rewritten: JSON, deep values, broken records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otel_obs.store.embedded.otlp_insert import Signal
from otel_obs.store.embedded.otlp_reading import SHAPES, Read, read_json, read_protobuf
from otel_obs.store.embedded.otlp_values import flatten

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """A protobuf body that the engine can read, and what had to be left out of it."""

    body: bytes
    rejected: int = 0
    reason: str = ""


def from_json(signal: Signal, body: bytes) -> Rewritten:
    """Turn an OTLP/JSON body into protobuf; a record that cannot be read is left out and counted.

    Raises:
        MalformedError: the body is no JSON, or not of OTLP's shape.

    """
    return _rewritten(signal, read_json(signal, body))


def repaired(signal: Signal, body: bytes) -> Rewritten:
    """Rewrite a protobuf body that the engine refused: flatten deep values, leave out records that cannot be read.

    Raises:
        MalformedError: the body is not OTLP, not even around its records.

    """
    read = read_protobuf(signal, body)
    read.request.DiscardUnknownFields()  # the engine steps over most of them, but not over every one
    return _rewritten(signal, read)


def _rewritten(signal: Signal, read: Read) -> Rewritten:
    for pairs in _all_pairs(signal, read.request):
        flatten(pairs)
    return Rewritten(body=read.request.SerializeToString(), rejected=read.rejected, reason=read.reason)


def _all_pairs(signal: Signal, request: Any) -> Iterable[Any]:
    """Every list of attributes in a request, and each log record's body as a list of one."""
    shape = SHAPES[signal]
    for resource in getattr(request, shape.resources):
        yield resource.resource.attributes
        for scope in getattr(resource, shape.scopes):
            yield scope.scope.attributes
            for record in getattr(scope, shape.records):
                yield record.attributes
                yield from (event.attributes for event in getattr(record, "events", ()))
                yield from (link.attributes for link in getattr(record, "links", ()))
                if signal is Signal.LOGS:
                    yield [record.body]
