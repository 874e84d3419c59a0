"""Prometheus with the files that we ship, and a bot that it watches."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType
    from typing import Self


def _beside(path: str) -> ModuleType:
    """A module of the tests by its path, under the name that the fixture `beside` gives it."""
    file = Path(__file__).parents[1] / path
    name = f"tests_{file.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


line = _beside("acceptance/pipeline.py")
PROMETHEUS = shutil.which("prometheus") or "prometheus"
SHIPPED = line.ROOT / "deploy" / "prometheus"
BOT = line.ROOT / "tests" / "acceptance" / "bots" / "watched.py"


@dataclass
class Watched(line.Process):  # type: ignore[name-defined,misc]
    """The bot of ``bots/watched.py``; on the port of its metrics it stays, so that it is the same target."""

    place: Path = Path()
    otlp: str = ""
    port: int = 0

    def market(self, *, spread_bps: float, feed: bool = True) -> None:
        """How its market is from now on."""
        new = self.place / "market.new"
        new.write_text(json.dumps({"spread_bps": spread_bps, "feed": feed}), encoding="utf-8")
        new.rename(self.place / "market.json")

    def start(self) -> Self:
        address = self.place / "address"
        address.unlink(missing_ok=True)
        environment = {
            "OTEL_SERVICE_NAME": "watched", "OTEL_EXPORTER_OTLP_ENDPOINT": self.otlp,
            "OTEL_OBS_METRICS_PORT": str(self.port), "OTEL_OBS_SEND_INTERVAL": "0.2",
        }  # fmt: skip
        self.run([sys.executable, BOT, self.place], environment)
        line.eventually(f"{self.name} runs", lambda: address.exists() or self.ended() is not None)
        assert self.ended() is None, self.told()
        self.port = int(address.read_text(encoding="utf-8").split(":")[2].split("/")[0])
        return self

    def decided(self) -> Counter[str]:
        """What all its runs that ended decided, by their own count."""
        runs = (self.place / "decided").read_text(encoding="utf-8").splitlines()
        return sum((Counter(json.loads(run)) for run in runs), Counter())


@dataclass
class Prometheus(line.Process):  # type: ignore[name-defined,misc]
    """Prometheus on a port that it chooses itself, with our configuration and our rules, in quick."""

    place: Path = Path()
    port: int = 0

    def prepare(self, thresholds: Mapping[str, Any]) -> None:
        """Put the files there as a person does, but for how often it looks."""
        text = (SHIPPED / "prometheus.yml").read_text(encoding="utf-8")
        assert "scrape_interval: 15s" in text
        self.place.mkdir()
        (self.place / "prometheus.yml").write_text(text.replace(": 15s", ": 1s"), encoding="utf-8")
        (self.place / "thresholds.yaml").write_text(yaml.safe_dump(dict(thresholds)), encoding="utf-8")
        command = [sys.executable, "-m", "otel_obs.surfaces.cli", "alerts", "rules", "--thresholds", "thresholds.yaml"]
        done = subprocess.run(
            [*command, "--into", "rules"],
            cwd=self.place,
            env=line.ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def target(self, name: str, port: int, **labels: str) -> None:
        """Have it look at a port from now on; ``name`` is a file of targets."""
        file = self.place / "targets" / f"{name}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        new.write_text(yaml.safe_dump([{"targets": [f"127.0.0.1:{port}"], "labels": labels}]), encoding="utf-8")
        new.rename(file)

    def start(self) -> Self:
        self.run(
            [
                PROMETHEUS, f"--config.file={self.place / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.place / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}", "--rules.alert.resend-delay=2s",
            ],
            {},
        )  # fmt: skip
        line.eventually(f"{self.name} is ready", lambda: self._ready() or self.ended() is not None)
        assert self.ended() is None, self.told()
        return self

    def _ready(self) -> bool:
        try:
            for port in line._listening(self.pid):
                if line.request(port, "GET", "/-/ready")[0] == 200:
                    self.port = port
                    return True
        except line.GONE:
            return False
        return False

    def get(self, path: str) -> Any:
        status, text = line.request(self.port, "GET", path)
        assert status == 200, text
        return json.loads(text)["data"]

    def ask(self, expression: str) -> list[Any]:
        found: list[Any] = self.get(f"/api/v1/query?query={quote(expression)}")["result"]
        return found

    def firing(self) -> set[str]:
        """The names of the alerts that fire now, but for the one that always does."""
        alerts = self.get("/api/v1/alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"} - {"Watchdog"}
