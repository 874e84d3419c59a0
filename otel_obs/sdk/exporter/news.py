"""What the log is told of a receiver: that it went away and came back, once each, and what has to be mended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from otel_obs.sdk.exporter.transport import Reply

_FAILURES_UNTIL_TOLD: Final = 2  # one is often a connection that was closed while it was not used
_MOST_REASONS: Final = 16
_TOLD_EVERY: Final = 300.0  # seconds
_log: Final = logging.getLogger("otel_obs")


class News:
    """One line for each turn of events, not for each attempt; of one that comes and goes, one in five minutes."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._told_at: dict[str, float] = {}
        self._reasons: set[str] = set()

    def failed(self, place: str, reply: Reply, *, failures: int, now: float) -> None:
        """Nothing got through."""
        about = place if reply.fix else _origin(place)
        if about in self._since or (failures < _FAILURES_UNTIL_TOLD and not reply.fix):
            return
        if now - self._told_at.get(about, -_TOLD_EVERY) < _TOLD_EVERY:
            return
        self._since[about] = self._told_at[about] = now
        _log.warning(
            "%s does not take what is sent: %s. It is tried again, and what waits is kept. %s",
            about, reply.told, reply.fix or "Is the store or collector running there?",
        )  # fmt: skip

    def succeeded(self, place: str, *, waited: int, now: float) -> None:
        """Something got through."""
        since = [self._since.pop(about) for about in (place, _origin(place)) if about in self._since]
        if since:
            _log.info("%s takes records again, after %.0f s; %d waited for it.", place, now - min(since), waited)

    def doubted(self, place: str, reply: Reply) -> None:
        """It refuses one after the other."""
        if place not in self._since:
            self._since[place] = 0.0
            _log.warning(
                "%s refuses all that it is sent: %s. It is tried now and then. Is it an OTLP receiver, and of this "
                "signal?", place, reply.told,
            )  # fmt: skip

    def set_aside(self, place: str, told: str) -> None:
        """Some records were refused for good."""
        if told not in self._reasons and len(self._reasons) < _MOST_REASONS:
            self._reasons.add(told)
            _log.warning(
                "%s took a record neither with others nor alone, and it was set aside: %s. Further ones that are "
                "refused so are only counted; `otel-obs journal show --refused` shows them.", place, told,
            )  # fmt: skip


def _origin(place: str) -> str:
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else place
