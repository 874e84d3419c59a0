"""Values of OTLP as text, as the engine writes them where it decodes a body itself (``ingest/values.sql``)."""

from __future__ import annotations

import base64
import json
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_DEEPEST: Final = 64
_PLAIN_FROM: Final = 1e-6
_PLAIN_BELOW: Final = 1e21


def flatten(pairs: Iterable[KeyValue | AnyValue]) -> None:
    """Write values that are deeper than the engine reads as JSON text, and leave all others to the engine.

    A value must read the same whether its neighbours made the engine refuse their body or not.
    """
    for pair in pairs:
        value: Any = getattr(pair, "value", pair)
        inner = [*value.array_value.values, *(item.value for item in value.kvlist_value.values)]
        if any(item.array_value.values or item.kvlist_value.values for item in inner):
            value.string_value = _json(value)


def texts(pairs: Iterable[KeyValue]) -> dict[str, str]:
    """Attributes as the engine's map would hold them."""
    return {pair.key: _text(pair.value) for pair in pairs}


def _text(value: Any) -> str:
    readers: dict[str | None, Callable[[], str]] = {
        None: lambda: "",
        "string_value": lambda: value.string_value,
        "int_value": lambda: str(value.int_value),
        "bool_value": lambda: "true" if value.bool_value else "false",
        "double_value": lambda: number_text(value.double_value),
        "bytes_value": lambda: base64.b64encode(value.bytes_value).decode(),
        "array_value": lambda: _json(value),
        "kvlist_value": lambda: _json(value),
    }
    return readers.get(value.WhichOneof("value"), readers[None])()


def number_text(number: float) -> str:
    """Write a number as the collector does: the shortest digits, and no exponent from 1e-6 up to 1e21."""
    if not math.isfinite(number):
        return str(number)
    shortest = Decimal(repr(number))
    if number == 0 or _PLAIN_FROM <= abs(number) < _PLAIN_BELOW:
        plain = format(shortest, "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    mantissa, exponent = f"{shortest.normalize():e}".split("e")
    return f"{mantissa}e{int(exponent):+d}"


def _json(value: Any, depth: int = 0) -> str:
    if depth > _DEEPEST:
        return '"…"'
    readers: dict[str | None, Callable[[], str]] = {
        None: lambda: "null",
        "array_value": lambda: f"[{','.join(_json(item, depth + 1) for item in value.array_value.values)}]",
        "kvlist_value": lambda: _object(value.kvlist_value.values, depth + 1),
        "double_value": lambda: _number_json(value.double_value),
        "int_value": lambda: str(value.int_value),
        "bool_value": lambda: "true" if value.bool_value else "false",
    }
    reader = readers.get(value.WhichOneof("value"))
    return reader() if reader else json.dumps(_text(value), ensure_ascii=False)


def _object(pairs: Iterable[KeyValue], depth: int) -> str:
    ordered = sorted(pairs, key=lambda pair: pair.key.encode())
    items = (f"{json.dumps(pair.key, ensure_ascii=False)}:{_json(pair.value, depth)}" for pair in ordered)
    return f"{{{','.join(items)}}}"


def _number_json(number: float) -> str:
    return number_text(number) if math.isfinite(number) else f'"{number}"'
