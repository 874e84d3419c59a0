"""The request around the records: grouped by who speaks, as OTLP wants it, and encoded without holding up the bot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from otel_obs.sdk.otlp.attributes import Attributes
from otel_obs.sdk.otlp.records import NOTHING, ResourceRecord, ScopeRecord
from otel_obs.sdk.otlp.wire import altered, field, utf8, varint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from otel_obs.sdk.otlp.records import LogRecord, SpanRecord

_AT_ONCE: Final = 2  # records between two looks at whether it is time to pause
_of_resource: Final = Attributes(b"\x0a")
_of_scope: Final = Attributes(b"\x1a")

R = TypeVar("R", "SpanRecord", "LogRecord")


def enveloped(
    records: Iterable[R], *, encode: Callable[[R], bytes], mend: Callable[[R], R], pause: Callable[[], None]
) -> bytes:
    """The records as one request. One that cannot be encoded as it is, is mended; none is lost for another's sake."""
    found: dict[int, tuple[ScopeRecord, list[bytes]]] = {}
    until_pause = _AT_ONCE
    last: ScopeRecord | None = None
    for record in records:
        try:
            body = encode(record)
        except Exception:  # noqa: BLE001 - whatever is odd about one record must not cost the others
            altered["mended"] += 1
            body = encode(mend(record))
        scope = record.scope
        if scope is not last:
            last = scope
            extend = found.setdefault(id(scope), (scope, []))[1].extend
        extend((b"\x12", varint(len(body)), body))
        until_pause -= 1
        if not until_pause:
            until_pause = _AT_ONCE
            pause()
    return _request(found.values())


def readable(attributes: Any) -> Mapping[str, Any]:
    """Attributes that can be read, whatever was given for them."""
    try:
        return dict(attributes or NOTHING)
    except Exception:  # noqa: BLE001 - reading a bot's object may raise anything
        altered["unreadable"] += 1
        return NOTHING


def _request(found: Iterable[tuple[ScopeRecord, list[bytes]]]) -> bytes:
    """Scopes that are equal become one, and resources likewise."""
    resources: dict[Any, tuple[ResourceRecord, dict[Any, tuple[ScopeRecord, list[bytes]]]]] = {}
    for scope, bodies in found:
        _, scopes = resources.setdefault(_identity(scope.resource, _of_resource), (scope.resource, {}))
        key = (scope.name, scope.version, _identity(scope, _of_scope))
        scopes.setdefault(key, (scope, []))[1].extend(bodies)
    return b"".join(
        field(b"\x0a", _resource(resource) + b"".join(_scope(*entry) for entry in scopes.values()))
        for resource, scopes in resources.values()
    )


def _identity(of: ResourceRecord | ScopeRecord, attributes: Attributes) -> tuple[object, ...]:
    """Equal where two say the same, in whatever order; as bytes, because to Python 1, 1.0 and True are one."""
    return of.schema_url, frozenset(attributes.one_by_one(of.attributes))


def _resource(resource: ResourceRecord) -> bytes:
    attributes = b"".join(_of_resource.one_by_one(resource.attributes))
    return field(b"\x0a", attributes) + _text(b"\x1a", resource.schema_url)


def _scope(scope: ScopeRecord, bodies: list[bytes]) -> bytes:
    attributes = b"".join(_of_scope.one_by_one(scope.attributes))
    names = _text(b"\x0a", scope.name) + _text(b"\x12", scope.version)
    content = field(b"\x0a", names + attributes) + b"".join(bodies) + _text(b"\x1a", scope.schema_url)
    return b"\x12" + varint(len(content)) + content


def _text(tag: bytes, text: str) -> bytes:
    return field(tag, utf8(text)) if text else b""
