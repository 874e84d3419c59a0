"""Traces as the recorder hands them over, and a small disk that is really full."""

from __future__ import annotations

import itertools
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.sdk.otlp import EventRecord, LogRecord, ResourceRecord, ScopeRecord, SpanRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOON = 1_766_145_600 * 1_000_000_000  # 2025-12-19T12:00:00Z
SCOPE = ScopeRecord(ResourceRecord({"service.name": "bot", "service.instance.id": "one"}), "otel_obs")
_ids = itertools.count(1)


class Bot:
    """Says traces of one decision each: a root, what was decided below it, and its order."""

    scope = SCOPE

    def cycle(self, *, at: int = NOON, why: str = "momentum") -> list[Any]:
        """The records of one, in the order in which they end."""
        trace, root, decision = next(_ids), next(_ids), next(_ids)
        gate = EventRecord("gate.evaluated", at, {"gate.name": "spread", "gate.verdict": "pass"})
        return [
            LogRecord(self.scope, at, at, None, {"order.id": f"o{trace}"}, "order", trace_id=trace, span_id=decision),
            SpanRecord(self.scope, trace, decision, root, "decision", at, at + 10,
                       {"decision.what": "enter", "decision.why": why}, [gate]),
            SpanRecord(self.scope, trace, root, 0, "cycle", at, at + 20, {"trace.name": "cycle"}),
        ]  # fmt: skip


@pytest.fixture
def bot() -> Bot:
    """A bot that says things."""
    return Bot()


@pytest.fixture(scope="session")
def until() -> Callable[..., None]:
    """Wait until a condition holds; the machine may be slow."""

    def wait(holds: Callable[[], object], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.02)

    return wait


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no disk can be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def frozen_disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], object]]]:
    """A file system on which every write hangs, until what is given beside it is called."""
    image, place = tmp_path / "image", tmp_path / "frozen"
    place.mkdir()
    image.write_bytes(bytes(8 << 20))
    for command in (["mkfs.ext4", "-q", image], ["mount", "-o", "loop", image, place], ["fsfreeze", "-f", place]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        except FileNotFoundError as error:
            pytest.skip(str(error))
        if done.returncode:
            subprocess.run(["umount", place], capture_output=True, check=False)
            pytest.skip(f"no disk can be frozen here: {done.stderr.strip()}")

    def thaw() -> None:
        subprocess.run(["fsfreeze", "-u", place], capture_output=True, check=False)

    yield place, thaw
    thaw()
    subprocess.run(["umount", "--lazy", place], check=True)
