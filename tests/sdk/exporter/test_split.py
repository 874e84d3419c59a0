"""A request taken apart: each run of its records is a request of its own that says the same of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_obs.sdk.exporter.dissection import Dissection
from otel_obs.sdk.exporter.split import Request
from otel_obs.sdk.exporter.transport import Reply, Verdict
from otel_obs.sdk.otlp import ResourceRecord, ScopeRecord, SpanRecord, encode_spans
from otel_obs.sdk.otlp.turns import hold_on

if TYPE_CHECKING:
    from collections.abc import Iterator


def said(body: bytes) -> Iterator[tuple[Any, ...]]:
    """Each record of a body, with all that stands around it."""
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            around = (resource.resource, resource.schema_url, scope.scope, scope.schema_url)
            yield from ((*(str(one) for one in around), str(span)) for span in scope.spans)


def test_any_run_of_records_of_joined_bodies_keeps_its_resource_scope_and_number() -> None:
    resources = [ResourceRecord({"service.name": name}, f"https://schema/{name}") for name in "ab"]
    scopes = [ScopeRecord(one, name, "1", "https://scope", {"x": 1}) for one in resources for name in ("s", "t")]
    spans = [
        SpanRecord(scopes[at % 3], at, at, 0, "decision", at, at + 1, attributes={"otel_obs.seq": at} if at % 4 else {})
        for at in range(1, 10)
    ]
    body = encode_spans(spans[:5], pause=hold_on) + encode_spans(spans[5:], pause=hold_on)
    request, whole = Request("traces", body), list(said(body))
    assert len(request) == len(whole) == 9
    for first in range(9):
        for end in range(first + 1, 10):
            assert list(said(request.body(first, end))) == whole[first:end]
    assert sorted(request.numbers(0, 9)) == [1, 2, 3, 5, 6, 7, 9]


@pytest.mark.parametrize("body", [b"\xff\xff", b""])
def test_a_frame_that_cannot_be_taken_apart_is_refused_as_a_whole(bot: Any, kit: Any, body: bytes) -> None:
    entry = kit.Entry(bot.frame(records=5)._replace(body=body))
    dissection = Dissection(entry, body, refused=Reply(verdict=Verdict.REFUSED, told="no"))
    [(frame, _, told)] = dissection.parts
    assert (frame.records, frame.body, told, dissection.delivered, dissection.left) == (5, body, "no", 0, False)
