"""OTLP over gRPC: one body as it is in one call, and the status of the call read as a verdict."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from otel_obs.errors import MissingExtraError, SettingError
from otel_obs.sdk.exporter.answers import rejected
from otel_obs.sdk.exporter.http import USER_AGENT
from otel_obs.sdk.exporter.transport import Reply, Verdict
from otel_obs.sdk.exporter.words import Discreet, without_secrets
from otel_obs.sdk.protocol import VARIABLE

if TYPE_CHECKING:
    from otel_obs.sdk.exporter.variables import Variables
    from otel_obs.sdk.frames import Signal
    from otel_obs.sdk.protocol import Way

_METHODS: Final = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_RETRY_INFO: Final = "google.rpc.retryinfo-bin"
_STATUS: Final = "grpc-status-details-bin"
# gRPC's own pause between two connections grows to minutes, which would come on top of the sender's.
_RECONNECT: Final = (("grpc.initial_reconnect_backoff_ms", 200), ("grpc.min_reconnect_backoff_ms", 200),
                     ("grpc.max_reconnect_backoff_ms", 2_000))  # fmt: skip
_OPTIONS: Final = (("grpc.primary_user_agent", USER_AGENT), *_RECONNECT)
_CREDENTIALS: Final = "Are the credentials in OTEL_EXPORTER_OTLP_HEADERS right?"
_ENDPOINT: Final = "Does OTEL_EXPORTER_OTLP_ENDPOINT name an OTLP receiver over gRPC?"
_FIXES: Final = {
    "UNAUTHENTICATED": _CREDENTIALS, "PERMISSION_DENIED": _CREDENTIALS, "UNIMPLEMENTED": _ENDPOINT,
    "NOT_FOUND": _ENDPOINT,
}  # fmt: skip


class GrpcRoute:
    """Where one signal goes over gRPC. The channel is opened by the first body, in the thread that sends it.

    Raises:
        MissingExtraError: the package is not installed.
        SettingError: the endpoint names no host, or a certificate is missing.

    """

    most_bytes = 3 << 20  # gRPC takes 4 MiB, if nobody changed it

    def __init__(self, signal: Signal, way: Way, variables: Variables) -> None:
        try:
            import grpc
            import opentelemetry.exporter.otlp.proto.grpc  # noqa: F401 - the extra; grpc alone may be there by chance
        except ImportError:
            raise MissingExtraError(f"{VARIABLE}=grpc", extra="grpc") from None
        self._grpc: Any = grpc
        self._signal: Signal = signal
        place = way.place if "://" in way.place else f"//{way.place}"
        self._target, is_secure = _target(place, variables)
        self.shown: str = without_secrets(place).removeprefix("//")
        self._discreet = Discreet(place, variables.headers.values())
        self._timeout = variables.timeout
        self._metadata = tuple(variables.headers.items())
        self._credentials = _credentials(grpc, variables) if is_secure else None
        kinds = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip,
                 "deflate": grpc.Compression.Deflate}  # fmt: skip
        self._compression = kinds[variables.compression]
        self._channel: Any = None
        self._call: Any = None

    def send(self, body: bytes, *, timeout: float) -> Reply:
        """See Transport."""
        seconds = max(0.001, min(timeout, self._timeout))
        try:
            answer = self._opened()(body, timeout=seconds, metadata=self._metadata)
        except self._grpc.RpcError as error:
            return self._reply(error)
        except Exception as error:  # noqa: BLE001 - whatever the network or its libraries come up with
            return Reply(verdict=Verdict.AGAIN, told=type(error).__name__)
        try:
            count, words = rejected(self._signal, answer, is_json=False)
        except ValueError as error:
            return Reply(verdict=Verdict.AGAIN, told=f"an answer that cannot be read ({error})")
        return Reply(verdict=Verdict.DELIVERED, rejected=count, told=self._discreet(words))

    def close(self) -> None:
        """See Transport."""
        channel, self._channel, self._call = self._channel, None, None
        if channel is not None:
            with suppress(Exception):
                channel.close()

    def _opened(self) -> Any:
        if self._call is None:
            how = {"options": _OPTIONS, "compression": self._compression}
            if self._credentials is None:
                self._channel = self._grpc.insecure_channel(self._target, **how)
            else:
                self._channel = self._grpc.secure_channel(self._target, self._credentials, **how)
            self._call = self._channel.unary_unary(_METHODS[self._signal])
        return self._call

    def _reply(self, error: Any) -> Reply:
        try:
            code, details = error.code().name, str(error.details() or "")
            after = _after(error.trailing_metadata() or ())
        except Exception:  # noqa: BLE001 - an error of another kind than calls have
            return Reply(verdict=Verdict.AGAIN, told=type(error).__name__)
        told = self._discreet(f"{code}: {details}".rstrip(": "))
        if code == "INVALID_ARGUMENT":
            return Reply(verdict=Verdict.REFUSED, told=told)
        if code == "RESOURCE_EXHAUSTED" and "larger than max" in details:  # as gRPC itself says it, in any language
            return Reply(verdict=Verdict.TOO_LARGE, told=told)
        return Reply(verdict=Verdict.AGAIN, after=after, told=told, fix=_FIXES.get(code, ""))


def _target(place: str, variables: Variables) -> tuple[str, bool]:
    try:
        parts = urlsplit(place)
        target, scheme = parts.netloc.rpartition("@")[2], parts.scheme
        is_good = bool(parts.hostname)
    except ValueError:
        is_good, target, scheme = False, "", ""
    if not is_good:
        raise SettingError(
            "The OTLP endpoint names no host.", fix="OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317 does."
        )
    return target, scheme == "https" or (scheme != "http" and not variables.is_insecure)


def _credentials(grpc: Any, variables: Variables) -> Any:
    files = (variables.certificate, *(variables.client or ("", "")))
    try:
        trusted, certificate, key = (Path(name).read_bytes() if name else None for name in files)
    except OSError as error:
        raise SettingError(
            f"A certificate of OTLP cannot be read: {error.strerror}.", fix="See OTEL_EXPORTER_OTLP_CERTIFICATE."
        ) from None
    return grpc.ssl_channel_credentials(root_certificates=trusted, private_key=key, certificate_chain=certificate)


def _after(metadata: Any) -> float | None:
    """Seconds from a google.rpc.RetryInfo, alone or among a status's details."""
    from google.rpc.error_details_pb2 import RetryInfo
    from google.rpc.status_pb2 import Status

    found = dict(metadata)
    info = RetryInfo()
    if _RETRY_INFO in found:
        info.ParseFromString(found[_RETRY_INFO])
    elif _STATUS in found:
        if not any(detail.Unpack(info) for detail in Status.FromString(found[_STATUS]).details):
            return None
    else:
        return None
    return max(0.0, float(info.retry_delay.ToTimedelta().total_seconds()))
