"""Alertmanager's HTTP interface: alerts posted, and asked where they went; bounded in time, no secret in an error."""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit

import yaml

from otel_obs.errors import AlertmanagerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_URL: Final = "http://127.0.0.1:9093"
_SECONDS: Final = 5.0
_MOST_BYTES: Final = 16 * 1024 * 1024
_OK: Final = 200
_UNAUTHORISED: Final = frozenset({401, 403})
_SUFFIX: Final = "_configs"
_SAMPLE: Final = re.compile(r'^(\w+)\{[^}]*?integration="([^"]+)"[^}]*\} (\S+)$', re.MULTILINE)
_REQUESTS: Final = "alertmanager_notification_requests_total"
_FAILED: Final = "alertmanager_notification_requests_failed_total"


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
        """Take its address; nothing is asked yet.

        Raises:
            AlertmanagerError: that is no address.

        """
        try:
            parts = urlsplit(url or DEFAULT_URL)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        self._host: Final = parts.hostname or ""
        if parts.scheme not in {"http", "https"} or not self._host:
            raise AlertmanagerError(
                f"{_shown(url)!r} is no address of Alertmanager.", fix=f"Write it as {DEFAULT_URL} is written."
            )
        self._kind: Final = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._port: Final = port
        self._path: Final = parts.path.rstrip("/")
        self._headers: Final = {"Content-Type": "application/json"}
        if parts.username:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        self.url: Final = _shown(url or DEFAULT_URL).rstrip("/")

    def post(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Hand alerts over, as Prometheus does.

        Raises:
            AlertmanagerError: it does not answer, or refuses them.

        """
        self._ask("POST", "/api/v2/alerts", json.dumps(alerts))

    def standing(self, label: str, value: str) -> Standing | None:
        """How the first alert stands that has this label; None where it has none such.

        Raises:
            AlertmanagerError: it does not answer, or is something else.

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
            AlertmanagerError: it does not answer, or is something else.

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
            AlertmanagerError: it does not answer.

        """
        made: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        for name, way, number in _SAMPLE.findall(self._ask("GET", "/metrics")):
            if name == _REQUESTS:
                made[way] += int(float(number))
            elif name == _FAILED:
                failed[way] += int(float(number))
        return {way: Attempts(made=count, failed=failed[way]) for way, count in made.items()}

    def _json(self, path: str, kind: type[Any]) -> Any:
        try:
            found = json.loads(self._ask("GET", path))
        except ValueError:
            found = None
        if not isinstance(found, kind):
            raise self._something_else(path)
        return found

    def _something_else(self, path: str) -> AlertmanagerError:
        return AlertmanagerError(
            f"{self.url} answers {path}, but not as Alertmanager does.",
            fix="Give the address of Alertmanager itself (9093 as a rule), not that of Prometheus or a proxy's page.",
        )

    def _ask(self, method: str, path: str, body: str = "") -> str:
        connection = self._kind(self._host, self._port, timeout=_SECONDS)
        try:
            connection.request(method, self._path + path, body.encode() or None, self._headers)
            response = connection.getresponse()
            text = response.read(_MOST_BYTES).decode(errors="replace")
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise AlertmanagerError(
                f"Nobody answers as Alertmanager at {self.url}: {reason}.",
                fix="Start it, or say where it is: --alertmanager URL, or OTEL_OBS_ALERTMANAGER_URL.",
            ) from None
        finally:
            connection.close()
        if response.status == _OK:
            return text
        said = " ".join(text.split())[:200]
        if response.status in _UNAUTHORISED:
            fix = "Put user and password into its address: https://USER:PASSWORD@HOST."
        elif method == "POST" and response.status < http.client.INTERNAL_SERVER_ERROR and said.startswith('"'):
            fix = "Labels and times must be such as Prometheus sends."
        else:
            fix = "Give the address of Alertmanager itself (9093 as a rule), with its path if it has one."
        raise AlertmanagerError(f"{self.url} answered {method} {path} with {response.status}: {said}", fix=fix)


def _shown(url: str) -> str:
    scheme, slashes, rest = url.rpartition("//")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}"
