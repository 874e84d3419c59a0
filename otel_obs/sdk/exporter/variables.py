"""OpenTelemetry's variables on how records are sent, for one signal or for all; what is unreadable is told and left."""

from __future__ import annotations

import logging
import math
import os
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from otel_obs.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEFAULT_TIMEOUT: Final = 10.0
_MILLISECONDS_FROM: Final = 1_000
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_COMPRESSIONS: Final = ("none", "gzip", "deflate")
_log: Final = logging.getLogger("otel_obs")


class Variables:
    """Those of one signal (``TRACES``, ``LOGS``): its own where they are set, else the common ones."""

    def __init__(
        self, signal: str, environment: Mapping[str, str] = os.environ, *, tell: Callable[..., object] = _log.warning
    ) -> None:
        self._signal = signal
        self._environment = environment
        self._tell = tell

    def _said(self, name: str) -> tuple[str, str]:
        """The variable that counts, and what it says."""
        for variable in (f"OTEL_EXPORTER_OTLP_{self._signal}_{name}", f"OTEL_EXPORTER_OTLP_{name}"):
            if said := self._environment.get(variable, "").strip():
                return variable, said
        return f"OTEL_EXPORTER_OTLP_{name}", ""

    @cached_property
    def headers(self) -> dict[str, str]:
        """Names in lower case, and values, percent-decoded. No value is ever logged."""
        variable, said = self._said("HEADERS")
        found = {}
        for pair in filter(str.strip, said.split(",")):
            name, _, value = (unquote(part.strip()).strip() for part in pair.partition("="))
            if "=" in pair and _NAME.fullmatch(name) and _VALUE.fullmatch(value):
                found[name.lower()] = value
            else:
                self._tell(
                    "%s: one header is left out, for it is not name=value, percent-encoded and divided by commas.",
                    variable,
                )
        return found

    @cached_property
    def timeout(self) -> float:
        """Seconds for one request.

        OpenTelemetry for Python reads seconds, its specification milliseconds: a number from 1,000 on can only be the
        latter.
        """
        variable, said = self._said("TIMEOUT")
        try:
            number = float(said or DEFAULT_TIMEOUT)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            self._tell("%s is no number of seconds above 0: %s s count.", variable, DEFAULT_TIMEOUT)
            return DEFAULT_TIMEOUT
        return number / 1_000 if number >= _MILLISECONDS_FROM else number

    @cached_property
    def compression(self) -> str:
        """``none``, ``gzip`` or ``deflate``."""
        variable, said = self._said("COMPRESSION")
        word = said.lower() or "none"
        if word not in _COMPRESSIONS:
            self._tell("%s=%s is not known: nothing is compressed. Use %s.", variable, word, ", ".join(_COMPRESSIONS))
            return "none"
        return word

    @cached_property
    def is_insecure(self) -> bool:
        """Whether gRPC to a place without a scheme goes without TLS."""
        return self._said("INSECURE")[1].lower() == "true"

    @cached_property
    def certificate(self) -> str:
        """The file of whose certificates are trusted; empty: the usual ones."""
        return self._file("CERTIFICATE")

    @cached_property
    def client(self) -> tuple[str, str] | None:
        """Our own certificate and its key, as files; one file may hold both."""
        certificate, key = self._file("CLIENT_CERTIFICATE"), self._file("CLIENT_KEY")
        return (certificate, key or certificate) if certificate else None

    def _file(self, name: str) -> str:
        variable, said = self._said(name)
        if said and not Path(said).is_file():
            raise SettingError(f"{variable}={said}: there is no such file.", fix="Name a PEM file, or unset it.")
        return said
