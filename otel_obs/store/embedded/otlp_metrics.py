"""Metrics of OTLP as rows: each point is one line of JSON, in the order of the columns of its table."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_obs.contract import semconv
from otel_obs.store.embedded.otlp_insert import Form, Signal
from otel_obs.store.embedded.otlp_reading import METRIC_KINDS, TooLargeError, read_json, read_protobuf
from otel_obs.store.embedded.otlp_values import texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a body by their table, and what had to be left out."""

    by_form: Mapping[Form, bytes]
    rejected: int = 0
    reason: str = ""


def rows(body: bytes, *, is_json: bool, most_bytes: int) -> Rows:
    """Read a body of metrics; a point that cannot be read is left out and counted.

    Raises:
        MalformedError: the body is not OTLP.
        TooLargeError: the rows take more than ``most_bytes``: each repeats what its resource says.

    """
    read = (read_json if is_json else read_protobuf)(Signal.METRICS, body)
    lines: dict[Form, list[str]] = defaultdict(list)
    size = 0
    for form, line in _lines(read.request):
        size += len(line)
        if size > most_bytes:
            raise TooLargeError(
                f"The rows of the body are larger than {most_bytes} bytes.", fix="Send smaller batches."
            )
        lines[form].append(line)
    by_form = {form: "".join(found).encode() for form, found in lines.items()}
    return Rows(by_form=by_form, rejected=read.rejected, reason=read.reason)


def _lines(request: Any) -> Iterable[tuple[Form, str]]:
    for resource in request.resource_metrics:
        of_resource = texts(resource.resource.attributes)
        service = of_resource.get(semconv.SERVICE_NAME, "")
        for scope in resource.scope_metrics:
            of_scope = _json(
                of_resource, resource.schema_url, scope.scope.name, scope.scope.version, texts(scope.scope.attributes),
                scope.scope.dropped_attributes_count, scope.schema_url, service,
            )  # fmt: skip
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                if kind not in METRIC_KINDS:
                    continue
                form, data, cells = Form(kind), getattr(metric, kind), _CELLS[Form(kind)]
                of_metric = f"[{of_scope},{_json(metric.name, metric.description, metric.unit)},"
                for point in data.data_points:
                    yield form, f"{of_metric}{_json(*_common(point), *cells(point, data))}]\n"


def _json(*cells: Any) -> str:
    """Cells of a row, without its brackets; NaN and Infinity are written as the engine reads them."""
    return json.dumps(cells, ensure_ascii=False, separators=(",", ":"))[1:-1]


def _common(point: Any) -> tuple[Any, ...]:
    return texts(point.attributes), point.start_time_unix_nano, point.time_unix_nano, point.flags


def _value(of: Any) -> float:
    """The value of a point or exemplar; 0 where it has none, as the Collector's exporter writes it."""
    return float(of.as_int if of.WhichOneof("value") == "as_int" else of.as_double)


def _exemplars(point: Any) -> tuple[Any, ...]:
    given = point.exemplars
    return (
        [texts(exemplar.filtered_attributes) for exemplar in given],
        [exemplar.time_unix_nano for exemplar in given],
        [_value(exemplar) for exemplar in given],
        [exemplar.span_id.hex() for exemplar in given],
        [exemplar.trace_id.hex() for exemplar in given],
    )


def _gauge(point: Any, _data: Any) -> tuple[Any, ...]:
    return (*_exemplars(point), _value(point))


def _sum(point: Any, data: Any) -> tuple[Any, ...]:
    return (*_exemplars(point), _value(point), data.aggregation_temporality, data.is_monotonic)


def _histogram(point: Any, data: Any) -> tuple[Any, ...]:
    return (
        *_exemplars(point), point.count, point.sum, list(point.bucket_counts), list(point.explicit_bounds),
        point.min, point.max, data.aggregation_temporality,
    )  # fmt: skip


def _exponential_histogram(point: Any, data: Any) -> tuple[Any, ...]:
    return (
        *_exemplars(point), point.count, point.sum, point.scale, point.zero_count,
        point.positive.offset, list(point.positive.bucket_counts),
        point.negative.offset, list(point.negative.bucket_counts),
        point.min, point.max, data.aggregation_temporality,
    )  # fmt: skip


def _summary(point: Any, _data: Any) -> tuple[Any, ...]:
    given = point.quantile_values
    return point.count, point.sum, [each.quantile for each in given], [each.value for each in given]


_CELLS: Final[Mapping[Form, Callable[[Any, Any], tuple[Any, ...]]]] = {
    Form.GAUGE: _gauge,
    Form.SUM: _sum,
    Form.HISTOGRAM: _histogram,
    Form.EXPONENTIAL_HISTOGRAM: _exponential_histogram,
    Form.SUMMARY: _summary,
}
