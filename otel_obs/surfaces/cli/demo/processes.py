"""The demo's processes: the store and the bots, started, watched, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_obs.errors import OtelObsError, StoreError
from otel_obs.store.embedded.directory import Addresses

if TYPE_CHECKING:
    from collections.abc import Sequence

_UP_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05
_BOTS: Final = Path(__file__).with_name("bots")


def _environment(**more: str) -> dict[str, str]:
    """This environment without what would change the demo: no setting of OpenTelemetry's or ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return {**kept, **more}


@dataclass
class _Process:
    name: str
    popen: subprocess.Popen[bytes]
    output: Path

    def tail(self) -> str:
        lines = self.output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return "\n".join(lines[-15:])


class Processes:
    """Child processes with their output in files; ``stop`` ends all that still run."""

    def __init__(self) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="otel_obs_demo_"))
        self._running: list[_Process] = []

    def _start(self, name: str, command: Sequence[str], environment: dict[str, str]) -> _Process:
        output = self._scratch / f"{name}.log"
        with output.open("wb") as file:
            popen = subprocess.Popen(  # noqa: S603 - our own programs
                [sys.executable, *command], stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env=environment, start_new_session=True,
            )  # fmt: skip
        process = _Process(name, popen, output)
        self._running.append(process)
        return process

    def store(self, data: Path) -> Addresses:
        """Start a store on ``data`` with free ports; returns where it is once it is up.

        Raises:
            StoreError: it did not come up.

        """
        ports = self._scratch / "ports.json"
        command = ["-m", "otel_obs.surfaces.cli", "up", "--data", str(data), "--ports-file", str(ports)]
        command += ["--otlp-port", "0", "--clickhouse-port", "0", "--web-port", "0", "--otlp-grpc-port", "0"]
        process = self._start("store", command, _environment())
        deadline = time.monotonic() + _UP_SECONDS
        while time.monotonic() < deadline and process.popen.poll() is None:
            if addresses := Addresses.read(ports):
                return addresses
            time.sleep(_POLL_SECONDS)
        raise StoreError(f"The store did not come up:\n{process.tail()}")

    def bot(self, name: str, endpoint: str) -> _Process:
        """Start one of the demo's bots."""
        return self._start(name, [str(_BOTS / f"{name}.py")], _environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint))

    def finished(self, process: _Process) -> dict[str, Any] | None:
        """Return what a bot printed when it had ended; None while it runs.

        Raises:
            OtelObsError: it failed.

        """
        code = process.popen.poll()
        if code is None:
            return None
        if code != 0:
            raise OtelObsError(f"The bot {process.name} failed (exit code {code}):\n{process.tail()}")
        printed: dict[str, Any] = json.loads(process.tail().splitlines()[-1])
        return printed

    def leave(self) -> None:
        """Let what runs go on after this process; its output goes on to its file."""
        self._running.clear()

    def stop(self) -> None:
        """End all, the youngest first: asked at first, then made to."""
        for process in reversed(self._running):
            if process.popen.poll() is None:
                process.popen.send_signal(signal.SIGTERM)
            try:
                process.popen.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.popen.kill()
                process.popen.wait()
        self._running.clear()
        for file in self._scratch.iterdir():
            file.unlink()
        self._scratch.rmdir()
