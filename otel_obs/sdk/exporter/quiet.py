"""What the sender does is not itself recorded: neither its requests by instrumentations, nor its libraries' logs."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from opentelemetry import context

if TYPE_CHECKING:
    from collections.abc import Iterator

# As OpenTelemetry's own exporters set them; instrumentations of old ask for the plain word.
_KEYS: Final = (
    *(getattr(context, name) for name in ("_SUPPRESS_INSTRUMENTATION_KEY", "_SUPPRESS_HTTP_INSTRUMENTATION_KEY")
      if hasattr(context, name)),
    "suppress_instrumentation",
)  # fmt: skip
_CHATTY: Final = ("urllib3.connectionpool", "urllib3.connection", "urllib3.response", "urllib3.util.retry",
                  "grpc._channel", "grpc._common")  # fmt: skip
_threads: Final[set[int]] = set()


def _of_others(record: logging.LogRecord) -> bool:
    """Each post logs a line or two: where logs are records, they would be the next post, and so on."""
    return record.thread not in _threads


@contextmanager
def unobserved() -> Iterator[None]:
    """Keep what this thread does inside out of what is recorded."""
    found = context.get_current()
    for key in _KEYS:
        found = context.set_value(key, True, found)  # noqa: FBT003 - OpenTelemetry's signature
    token = context.attach(found)
    for name in _CHATTY:
        logging.getLogger(name).addFilter(_of_others)
    _threads.add(threading.get_ident())
    try:
        yield
    finally:
        _threads.discard(threading.get_ident())
        context.detach(token)
