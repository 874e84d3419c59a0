"""OTLP over HTTP: one body posted as protobuf on a connection that is kept, and the answer read as a verdict."""

from __future__ import annotations

import ipaddress
import math
import os
import time
import zlib
from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from otel_obs.errors import SettingError
from otel_obs.sdk.exporter.answers import rejected, status_words
from otel_obs.sdk.exporter.transport import Reply, Verdict
from otel_obs.sdk.exporter.words import Discreet, cause, without_secrets
from otel_obs.sdk.protocol import url

if TYPE_CHECKING:
    import requests

    from otel_obs.sdk.exporter.variables import Variables
    from otel_obs.sdk.frames import Signal
    from otel_obs.sdk.protocol import Way

USER_AGENT: Final = f"otel-obs/{version('otel-obs')}"
_PROTOBUF: Final = "application/x-protobuf"
_MOST_ANSWER: Final = 1 << 20  # bytes
_PIECE: Final = 1 << 16
_LEVEL: Final = 1  # zlib's: records are text that repeats itself, more costs much and gains little
_GZIP: Final = 31  # zlib's word for gzip's format
_OK: Final = 200
_HTTP_1_1: Final = 11
_LENGTHS: Final = ("Content-Length", "Transfer-Encoding")
_REDIRECTS: Final = 300
_ERRORS: Final = 400
_OF_THE_BODY: Final = {400: Verdict.REFUSED, 413: Verdict.TOO_LARGE, 422: Verdict.REFUSED}
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_CREDENTIALS: Final = "Are the credentials in OTEL_EXPORTER_OTLP_HEADERS right?"
_ENDPOINT: Final = "Does OTEL_EXPORTER_OTLP_ENDPOINT name an OTLP receiver, without /v1/…?"
_UNTRUSTED: Final = "CERTIFICATE_VERIFY_FAILED"
_CERTIFICATE: Final = "Does OTEL_EXPORTER_OTLP_CERTIFICATE name the file of whoever signed the receiver's certificate?"
_FIXES: Final = {401: _CREDENTIALS, 403: _CREDENTIALS, 407: "Are the credentials of the proxy right?"}


class HttpRoute:
    """Where one signal goes over HTTP.

    Raises:
        SettingError: the endpoint is no URL of HTTP, or a certificate is missing.

    """

    most_bytes = 8 << 20  # a collector takes 20 MiB, if nobody changed it; what takes less says so, and is heeded

    def __init__(self, signal: Signal, way: Way, variables: Variables) -> None:
        from requests.adapters import HTTPAdapter

        self._signal: Signal = signal
        place = _checked(url(way, f"/v1/{signal}"))
        self.shown: str = without_secrets(place)
        self._timeout = variables.timeout
        self._compression = variables.compression
        self._url = _without_user(place)
        self._headers = _headers(place, variables)
        self._discreet = Discreet(place, (self._headers.get("authorization", ""), *variables.headers.values()))
        # Sessions look into ~/.netrc and keep cookies; of all that they do, an adapter does what is wanted here.
        self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1)
        self._how: dict[str, Any] = {
            "verify": _trusted(variables), "cert": variables.client, "proxies": _proxies(self._url),
        }  # fmt: skip

    def send(self, body: bytes, *, timeout: float) -> Reply:
        """See Transport."""
        import requests

        seconds = max(0.001, min(timeout, self._timeout))
        until = time.monotonic() + seconds
        try:
            request = requests.Request("POST", self._url, headers=self._headers, data=self._packed(body)).prepare()
            with self._adapter.send(request, stream=True, timeout=seconds, **self._how) as response:
                answer = _read(response, until)
        except (requests.Timeout, TimeoutError):
            return self._again(f"no answer within {seconds:.3g} s")
        except Exception as error:  # noqa: BLE001 - whatever the network or its libraries come up with
            return self._again(cause(error))
        try:
            return self._reply(response, answer)
        except Exception as error:  # noqa: BLE001 - an answer is somebody else's: it may hold anything
            return self._again(
                f"HTTP {response.status_code}, and an answer that cannot be read ({type(error).__name__})"
            )

    def _again(self, why: str) -> Reply:
        fix = _CERTIFICATE if _UNTRUSTED in why else ""
        return Reply(verdict=Verdict.AGAIN, told=self._discreet(why), fix=fix)

    def close(self) -> None:
        """See Transport."""
        with suppress(Exception):
            self._adapter.close()

    def _packed(self, body: bytes) -> bytes:
        if self._compression == "none":
            return body
        packer = zlib.compressobj(_LEVEL, wbits=_GZIP if self._compression == "gzip" else zlib.MAX_WBITS)
        return packer.compress(body) + packer.flush()

    def _reply(self, response: requests.Response, answer: bytes) -> Reply:
        status, kind = response.status_code, _kind(response)
        if _OK <= status < _REDIRECTS:
            return self._thanks(response, kind, answer)
        words = self._discreet(f"HTTP {status}: {status_words(kind, answer)}".rstrip(": "))
        after = _after(response.headers.get("Retry-After", ""))
        if status in _OF_THE_BODY:
            return Reply(verdict=_OF_THE_BODY[status], told=words)
        if status in _PASSING:
            return Reply(verdict=Verdict.AGAIN, after=after, told=words)
        fix = _FIXES.get(status, _ENDPOINT)
        if _REDIRECTS <= status < _ERRORS:
            fix = "It points elsewhere, and is not followed: name the final place in OTEL_EXPORTER_OTLP_ENDPOINT."
        return Reply(verdict=Verdict.AGAIN, after=after, told=words, fix=fix)

    def _thanks(self, response: requests.Response, kind: str, answer: bytes) -> Reply:
        status = response.status_code
        if (
            status == _OK
            and response.raw.version == _HTTP_1_1
            and not any(name in response.headers for name in _LENGTHS)
        ):
            return self._again("half an answer")  # its head was cut off: libraries take the rest for a whole
        if kind == "text/html" and answer:
            return Reply(verdict=Verdict.AGAIN, told=f"HTTP {status} with a web page", fix=_ENDPOINT)
        if kind not in {_PROTOBUF, "application/json"} or not answer:
            return Reply(verdict=Verdict.DELIVERED)
        count, words = rejected(self._signal, answer, is_json=kind != _PROTOBUF)
        return Reply(verdict=Verdict.DELIVERED, rejected=count, told=self._discreet(words))


def _checked(place: str) -> str:
    try:
        parts = urlsplit(place)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise SettingError(
            "The OTLP endpoint is no URL of HTTP.", fix="OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 is one."
        )
    return place


def _without_user(place: str) -> str:
    parts = urlsplit(place)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()


def _headers(place: str, variables: Variables) -> dict[str, str]:
    parts = urlsplit(place)
    headers = {"content-type": _PROTOBUF, "user-agent": USER_AGENT}
    if variables.compression != "none":
        headers["content-encoding"] = variables.compression
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    return headers | variables.headers


def _trusted(variables: Variables) -> str | bool:
    return variables.certificate or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True


def _proxies(place: str) -> dict[str, str]:
    """The environment's, looked up once; none to this machine, whatever the environment says."""
    from requests.utils import get_environ_proxies

    host = urlsplit(place).hostname or ""
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return {}
    return {} if host == "localhost" else dict(get_environ_proxies(place))


def _read(response: requests.Response, until: float) -> bytes:
    """What the answer holds, up to a bound.

    Raises:
        TimeoutError: it drips.

    """
    found = bytearray()
    for piece in response.iter_content(_PIECE):
        found += piece
        if time.monotonic() > until:
            raise TimeoutError
        if len(found) > _MOST_ANSWER:
            break
    return bytes(found)


def _kind(response: requests.Response) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def _after(said: str) -> float | None:
    """Seconds from a Retry-After: a number, or a date."""
    with suppress(ValueError):
        number = float(said)
        return max(0.0, number) if math.isfinite(number) else None
    with suppress(ValueError, TypeError):
        when = parsedate_to_datetime(said)
        aware = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (aware - datetime.now(UTC)).total_seconds())
    return None
