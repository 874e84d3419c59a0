"""What the image of the package installs is enough for what it runs: migrations, and the example bot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "compose" / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment made as the Dockerfile makes it, of no more than what it copies."""
    place = tmp_path_factory.mktemp("image")
    source, made = place / "source", place / "otel_obs"
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        *files, into = line.split()
        for file in files:
            to = source / into / (Path(file).name if into.endswith("/") else "")
            to.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / file).is_dir():
                shutil.copytree(ROOT / file, to, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / file, to)
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, made], check=True)
    for step in re.findall(r"/opt/otel_obs/bin/pip (.+?)(?: &&|$)", DOCKERFILE, re.MULTILINE):
        words = [word for word in step.split() if word != "-y"]  # uv never asks
        subprocess.run([uv, "pip", words[0], "--quiet", "--python", made, *words[1:]], cwd=source, check=True)
    shutil.rmtree(source)
    return made


def _run(installed: Path, *command: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
    return subprocess.run(
        [installed / "bin" / command[0], *command[1:]],
        env=clean,
        cwd=installed,
        capture_output=True,
        text=True,
        check=False,
    )


def test_migrate_gets_as_far_as_asking_the_server(installed: Path) -> None:
    done = _run(installed, "otel-obs", "migrate", "--url", "http://127.0.0.1:1")
    assert "No store answers at http://127.0.0.1:1" in done.stderr
    assert done.returncode == 1


def test_the_example_bot_has_all_that_it_imports(installed: Path) -> None:
    done = _run(installed, "python", "-c", "import otel_obs.surfaces.cli.demo.bots.live")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_only_builds_is_not_in_it(installed: Path) -> None:
    assert _run(installed, "python", "-c", "import hatchling").returncode == 1
