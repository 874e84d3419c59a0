"""The data directory: what lies where, who holds it, and where its server is reached."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from otel_obs.errors import DataDirectoryError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

_LOCK: Final = "otel_obs.lock"
_ADDRESSES: Final = "server.json"
_POLL_SECONDS: Final = 0.05


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where a running store is reached; what ``--ports-file`` and ``server.json`` hold."""

    pid: int
    host: str
    otlp_port: int
    clickhouse_port: int
    web_port: int
    otlp_grpc_port: int = 0  # 0: gRPC is not spoken

    @property
    def otlp_url(self) -> str:
        """OTLP over HTTP."""
        return f"http://{_in_url(self.host)}:{self.otlp_port}"

    @property
    def otlp_grpc_url(self) -> str:
        """OTLP over gRPC; empty where it is not spoken."""
        return f"http://{_in_url(self.host)}:{self.otlp_grpc_port}" if self.otlp_grpc_port else ""

    @property
    def clickhouse_url(self) -> str:
        """ClickHouse's HTTP interface."""
        return f"http://{_in_url(self.host)}:{self.clickhouse_port}"

    @property
    def web_url(self) -> str:
        """Health, readiness and metrics."""
        return f"http://{_in_url(self.host)}:{self.web_port}"

    def write(self, file: Path) -> None:
        """Write as JSON, whole or not at all."""
        new = file.with_name(file.name + ".new")
        new.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
        new.replace(file)

    @classmethod
    def read(cls, file: Path) -> Addresses | None:
        """Read what ``write`` wrote; None where there is nothing readable."""
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def _lock(file: int, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)


class DataDirectory:
    """A data directory, held by this process until ``release`` (or the process's end, however it ends).

    ``patience`` is how long to wait, in seconds, for another that holds it: who only looks lets go soon.

    Raises:
        DataDirectoryError: it is held by another process, not writable, missing, or holds somebody else's files.

    """

    def __init__(self, path: Path, *, create: bool = True, patience: float = 0.5) -> None:
        self.path = path.expanduser().absolute()
        lock = self.path / _LOCK
        if not create and not lock.exists():
            raise DataDirectoryError(
                f"{self.path} holds no store.", fix="Start one with `otel-obs up --data`, or give another --data."
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not lock.exists() and any(self.path.iterdir()):
                raise DataDirectoryError(
                    f"{self.path} is not empty and holds no store of otel_obs.",
                    fix="Give an empty directory to --data.",
                )
            self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirectoryError(
                f"{self.path} cannot be used: {error.strerror}.", fix="Give a directory that you may write to --data."
            ) from error
        try:
            _lock(self._lock, patience)
        except OSError as error:
            os.close(self._lock)
            holder = Addresses.read(self.path / _ADDRESSES)
            who = f"process {holder.pid}, reached at {holder.clickhouse_url}" if holder else "another process"
            raise DataDirectoryError(
                f"{self.path} is in use by {who}.", fix="Stop that one, ask it with --url, or give another --data."
            ) from error
        (self.path / _ADDRESSES).unlink(missing_ok=True)  # of a server that was killed

    @property
    def engine(self) -> Path:
        """The engine's own files."""
        return self.path / "engine"

    @property
    def spool(self) -> Path:
        """Bodies on their way in; nothing here has been acknowledged."""
        return self.path / "spool"

    def announce(self, addresses: Addresses) -> None:
        """Tell other processes where the store is reached."""
        addresses.write(self.path / _ADDRESSES)

    def release(self) -> None:
        """Let go of it."""
        (self.path / _ADDRESSES).unlink(missing_ok=True)
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def running_at(path: Path) -> Addresses | None:
    """Where the store on this directory is reached, if a server holds it."""
    file = path.expanduser().absolute() / _LOCK
    try:
        lock = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return Addresses.read(file.with_name(_ADDRESSES))
    finally:
        os.close(lock)
    return None
