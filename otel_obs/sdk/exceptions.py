"""An exception as OpenTelemetry tells it; one that has no words, or whose parts raise, harms nobody."""

from __future__ import annotations

from traceback import format_exception

from otel_obs.contract import semconv
from otel_obs.sdk.otlp.wire import words


def told_of(error: BaseException) -> dict[str, str]:
    """Its type, its words, and its stack, as attributes."""
    kind = type(error)
    is_plain = kind.__module__ in {"builtins", ""}
    try:
        stack = "".join(format_exception(error))
    except Exception:  # noqa: BLE001 - parts of a bot's exception may raise anything
        stack = ""
    return {
        semconv.EXCEPTION_TYPE: kind.__qualname__ if is_plain else f"{kind.__module__}.{kind.__qualname__}",
        semconv.EXCEPTION_MESSAGE: words(error),
        semconv.EXCEPTION_STACKTRACE: stack,
    }
