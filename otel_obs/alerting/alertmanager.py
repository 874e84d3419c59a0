"""Alertmanager's HTTP interface: alerts posted, and asked where they went; bounded in time, no secret in an error."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import yaml

from otel_obs.alerting.asking import request, samples, shown
from otel_obs.errors import UnansweredError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_URL: Final = "http://127.0.0.1:9093"
_UNAUTHORISED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_SUFFIX: Final = "_configs"
_REQUESTS: Final = "alertmanager_notification_requests_total"
_FAILED: Final = "alertmanager_notification_requests_failed_total"
_ITSELF: Final = "Give the address of Alertmanager itself (9093 as a rule), not that of Prometheus or a proxy's page."


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where Alertmanager sends an alert, and what keeps it back."""

    receivers: tuple[str, ...]
    silenced_by: tuple[str, ...]
    inhibited_by: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """How often one way of telling was tried since Alertmanager started, and how often in vain."""

    made: int = 0
    failed: int = 0

    def since(self, earlier: Attempts) -> Attempts:
        """What came after ``earlier``."""
        return Attempts(made=self.made - earlier.made, failed=self.failed - earlier.failed)

    @property
    def taken(self) -> int:
        """Those that were taken."""
        return self.made - self.failed


class Alertmanager:
    """One Alertmanager. User and password in the URL go along as HTTP Basic."""

    def __init__(self, url: str = "") -> None:
        """Take its address; nothing is asked yet."""
        self._url: Final = url or DEFAULT_URL
        self.url: Final = shown(self._url).rstrip("/")

    def post(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Hand alerts over, as Prometheus does.

        Raises:
            UnansweredError: it does not answer, or refuses them.

        """
        self._ask("/api/v2/alerts", posted=json.dumps(alerts))

    def standing(self, label: str, value: str) -> Standing | None:
        """How the first alert stands that has this label; None where it has none such.

        Raises:
            UnansweredError: it does not answer, or is something else.

        """
        matcher = quote(f'{label}="{value}"', safe="")
        for alert in self._json(f"/api/v2/alerts?filter={matcher}", list):
            return Standing(
                receivers=tuple(str(receiver["name"]) for receiver in alert["receivers"]),
                silenced_by=tuple(alert["status"]["silencedBy"]),
                inhibited_by=tuple(alert["status"]["inhibitedBy"]),
            )
        return None

    def receivers(self) -> dict[str, Counter[str]]:
        """Each receiver of its configuration with its ways of telling, such as `slack`, and how many of each.

        Raises:
            UnansweredError: it does not answer, or is something else.

        """
        original = self._json("/api/v2/status", dict).get("config", {}).get("original", "")
        try:
            found = (yaml.safe_load(original) or {}).get("receivers", [])
        except (yaml.YAMLError, AttributeError):
            raise self._something_else("/api/v2/status") from None
        return {
            str(receiver["name"]): Counter(
                {
                    name.removesuffix(_SUFFIX): len(ways)
                    for name, ways in receiver.items()
                    if name.endswith(_SUFFIX) and ways
                }
            )
            for receiver in found
        }

    def attempts(self) -> dict[str, Attempts]:
        """Way of telling → attempts, from its own metrics.

        Raises:
            UnansweredError: it does not answer.

        """
        text = self._ask("/metrics")
        made, failed = _by_way(text, _REQUESTS), _by_way(text, _FAILED)
        return {way: Attempts(made=count, failed=failed[way]) for way, count in made.items()}

    def ready(self) -> None:
        """Return if it is ready to tell somebody.

        Raises:
            UnansweredError: it is not, or does not answer.

        """
        self._ask("/-/ready")

    def _json(self, path: str, kind: type[Any]) -> Any:
        try:
            found = json.loads(self._ask(path))
        except ValueError:
            found = None
        if not isinstance(found, kind):
            raise self._something_else(path)
        return found

    def _something_else(self, path: str) -> UnansweredError:
        return UnansweredError(f"{self.url} answers {path}, but not as Alertmanager does.", fix=_ITSELF)

    def _ask(self, path: str, *, posted: str | None = None) -> str:
        try:
            reply = request(self._url, path, posted=posted)
        except UnansweredError as error:
            raise UnansweredError(
                f"Alertmanager: {error.what}.",
                fix="Start it, or say where it is: --alertmanager URL, or OTEL_OBS_ALERTMANAGER_URL.",
            ) from None
        if reply.status == HTTPStatus.OK:
            return reply.text
        said = " ".join(reply.text.split())[:200]
        if reply.status in _UNAUTHORISED:
            fix = "Put user and password into its address: https://USER:PASSWORD@HOST."
        elif posted is not None and reply.status < HTTPStatus.INTERNAL_SERVER_ERROR and said.startswith('"'):
            fix = "Labels and times must be such as Prometheus sends."
        else:
            fix = _ITSELF
        raise UnansweredError(f"{self.url} answered {path} with {reply.status}: {said}", fix=fix)


def _by_way(text: str, name: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for labels, value in samples(text, name):
        found[labels.get("integration", "")] += int(value)
    return found
