"""HTTP to Prometheus, Alertmanager, a collector: no proxy, no redirect, little patience, no secret in an error."""

from __future__ import annotations

import base64
import http.client
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from prometheus_client.parser import text_string_to_metric_families

from otel_obs.errors import UnansweredError

_SECONDS: Final = 3.0
_MOST_BYTES: Final = 64 * 1024 * 1024
_OK: Final = 200


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer of whatever status. ``ahead`` bounds how many seconds the other clock is ahead, if it was told."""

    status: int
    text: str
    headers: dict[str, str]
    ahead: tuple[float, float] | None


def shown(url: str) -> str:
    """The address as others may see it: without user and password."""
    scheme, slashes, rest = url.rpartition("//")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}"


def request(url: str, path: str = "", *, posted: str | None = None) -> Reply:
    """Ask ``url``, whose user and password go along, for ``path`` below it, or post JSON there.

    Raises:
        UnansweredError: nobody answers, or not in HTTP.

    """
    try:
        connection, parts = _connection(url)
    except ValueError as error:
        raise UnansweredError(f"{shown(url)} is no address: {error}.") from None
    try:
        before = time.time()
        place = f"{parts.path.rstrip('/')}{path}" or "/"
        if posted is None:
            connection.request("GET", place, headers=_headers(parts))
        else:
            sent = {"Content-Type": "application/json"} | _headers(parts)
            connection.request("POST", place, posted.encode(), headers=sent)
        response = connection.getresponse()
        after = time.time()
        return Reply(
            status=response.status,
            text=response.read(_MOST_BYTES).decode(errors="replace"),
            headers={name.lower(): value for name, value in response.getheaders()},
            ahead=_ahead(response.getheader("Date"), before, after),
        )
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnansweredError(f"nobody answers at {shown(url)}: {reason}") from None
    finally:
        connection.close()


def _connection(url: str) -> tuple[http.client.HTTPConnection, SplitResult]:
    parts = urlsplit(url if "//" in url else f"http://{url}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("it begins with http:// or https://")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname, parts.port, timeout=_SECONDS), parts


def _headers(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _ahead(date: str | None, before: float, after: float) -> tuple[float, float] | None:
    """From a Date header, which leaves out the parts of a second."""
    try:
        theirs = parsedate_to_datetime(date or "").timestamp()
    except (TypeError, ValueError):
        return None
    return theirs - after, theirs + 1 - before


def ask(url: str, path: str) -> Any:
    """The JSON that ``url`` answers for ``path``.

    Raises:
        UnansweredError: nobody answers, or not with JSON.

    """
    reply = request(url, path)
    place = shown(url)
    if reply.status in {401, 403}:
        raise UnansweredError(
            f"{place} lets nobody in without the right password (HTTP {reply.status})",
            fix="Put them into its URL: user, a colon, password and @ before the host.",
        )
    with suppress(ValueError):
        if reply.status == _OK:
            return json.loads(reply.text)
    raise UnansweredError(f"{place}{path.partition('?')[0]} answers HTTP {reply.status}, and not as asked") from None


def samples(text: str, name: str) -> list[tuple[dict[str, str], float]]:
    """Labels and value of each series of a metric in Prometheus's text format.

    Raises:
        UnansweredError: it is not in that format.

    """
    try:
        families = list(text_string_to_metric_families(text))
    except ValueError:
        raise UnansweredError("it tells no metrics as Prometheus reads them") from None
    return [
        (dict(sample.labels), float(sample.value))
        for family in families
        for sample in family.samples
        if sample.name == name
    ]
