"""A request taken apart: any run of its records as a request of their own, under the same resource and scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otel_obs.contract.semconv import OTEL_OBS_SEQ

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_obs.sdk.frames import Signal

_NAMES: Final = {
    "traces": ("resource_spans", "scope_spans", "spans"),
    "logs": ("resource_logs", "scope_logs", "log_records"),
}


class _Record(NamedTuple):
    resource: Any
    scope: Any
    record: Any


class Request:
    """The records of a body, which may be several requests joined end to end, in their order.

    Raises:
        ValueError: the body is no request of this signal.

    """

    def __init__(self, signal: Signal, body: bytes) -> None:
        from google.protobuf.message import DecodeError

        self._resources, self._scopes, self._kind = _NAMES[signal]
        self._make = _request(signal)
        try:
            whole = self._make.FromString(body)
        except DecodeError:
            raise ValueError(f"no request of {signal}") from None
        self._records = list(self._flat(whole))

    def _flat(self, whole: Any) -> Iterator[_Record]:
        for resource in getattr(whole, self._resources):
            for scope in getattr(resource, self._scopes):
                for record in getattr(scope, self._kind):
                    yield _Record(resource, scope, record)

    def __len__(self) -> int:
        return len(self._records)

    def body(self, first: int, end: int) -> bytes:
        """The records from ``first`` to before ``end`` as a body."""
        request = self._make()
        of: tuple[Any, Any] = (None, None)
        resource = scope = None
        for found in self._records[first:end]:
            if found.resource is not of[0]:
                resource = getattr(request, self._resources).add(schema_url=found.resource.schema_url)
                resource.resource.CopyFrom(found.resource.resource)
            if found.scope is not of[1]:
                scope = getattr(resource, self._scopes).add(schema_url=found.scope.schema_url)
                scope.scope.CopyFrom(found.scope.scope)
            of = found.resource, found.scope
            getattr(scope, self._kind).add().CopyFrom(found.record)
        return bytes(request.SerializeToString())

    def numbers(self, first: int, end: int) -> list[int]:
        """The ledger's numbers of these records; one that has none is left out."""
        return [
            attribute.value.int_value
            for found in self._records[first:end]
            for attribute in found.record.attributes
            if attribute.key == OTEL_OBS_SEQ
        ]


def _request(signal: Signal) -> Any:
    if signal == "traces":
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        return ExportTraceServiceRequest
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    return ExportLogsServiceRequest
