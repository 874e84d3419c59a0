"""Bots as processes of their own, and what Prometheus would read of them."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
_PRELUDE = """
import json, sys
import otel_obs as obs
def tell(value=None):
    print(json.dumps(value), flush=True)
def wait():
    sys.stdin.readline()
"""


class Scraped:
    """What one scrape said."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._series: Series = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        """The value of one series; None where it is absent."""
        whole = name if name.startswith("otel_sdk_") else f"otel_obs_{name}"
        return self._series.get((whole, frozenset(labels.items())))

    def labels(self, name: str, label: str) -> set[str]:
        """The values that a label has."""
        return {dict(labels)[label] for found, labels in self._series if found == f"otel_obs_{name}"}


class Bot:
    """A running program; it tells lines of JSON, and waits where it says ``wait()``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def told(self) -> Any:
        """The next line it tells."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return json.loads(line)

    def go_on(self) -> None:
        """Let it pass its next ``wait()``."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> str:
        """Wait for its end; what it logged."""
        _, errors = self.process.communicate("\n" * 20, timeout=60)
        assert self.process.returncode == 0, errors
        return errors


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Bot]]:
    """Start a bot; nothing of OpenTelemetry or Prometheus is in its environment but what is given."""
    bots: list[Bot] = []

    def start_it(program: str, **variables: str) -> Bot:
        file = tmp_path / f"bot{len(bots)}.py"
        file.write_text(_PRELUDE + program, encoding="utf-8")
        clean = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "PROMETHEUS_"))}
        nowhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_OBS_SHUTDOWN_TIMEOUT": "0.2"}
        process = subprocess.Popen(
            [sys.executable, str(file)], env=clean | nowhere | variables, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        bots.append(Bot(process))
        return bots[-1]

    yield start_it
    for bot in bots:
        with suppress(ProcessLookupError):
            os.killpg(bot.process.pid, signal.SIGKILL)  # its workers, too, which hold its pipes open
        bot.process.communicate()


@pytest.fixture
def scrape() -> Callable[[str], Scraped]:
    """Read an address as Prometheus does."""

    def scrape_it(address: str) -> Scraped:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return Scraped(answer.read().decode())

    return scrape_it


@pytest.fixture(scope="session")
def otlp() -> ModuleType:
    """Builders of rows: tests/store/otlp.py. The tests are no package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("tests_otlp", Path(__file__).parents[1] / "store" / "otlp.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
