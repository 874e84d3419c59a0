"""The Compose file as Docker's own library reads it, with the passwords that `make compose-env` makes up."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose"


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of passwords, made as a user makes it."""
    file = tmp_path_factory.mktemp("compose") / ".env"
    subprocess.run(["sh", ROOT / "scripts" / "compose-env", file], check=True, capture_output=True)
    return file


@pytest.fixture(scope="session")
def passwords(environment: Path) -> dict[str, str]:
    lines = environment.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


@pytest.fixture(scope="session")
def read_compose(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """Compose's own reading of our file, and BuildKit's of our Dockerfiles, with the passwords of a file."""
    assert shutil.which("go"), "missing: Go 1.26 or newer, with which the reader of Compose files is built"
    program = tmp_path_factory.mktemp("go") / "compose"
    built = subprocess.run(
        ["go", "build", "-o", program, "."],
        cwd=Path(__file__).parent / "go",
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr

    def read(environment: Path) -> subprocess.CompletedProcess[str]:
        files = [COMPOSE / "Dockerfile", COMPOSE / "collector.Dockerfile"]
        command = [program, COMPOSE / "compose.yaml", environment, *files]
        return subprocess.run(command, env={"HOME": "/", "PATH": "/"}, capture_output=True, text=True, check=False)

    return read


@pytest.fixture(scope="session")
def services(
    read_compose: Callable[[Path], subprocess.CompletedProcess[str]], environment: Path
) -> dict[str, dict[str, Any]]:
    done = read_compose(environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["services"]


@pytest.fixture(scope="session")
def as_written() -> dict[str, dict[str, Any]]:
    """The services as the file has them, nothing filled in."""
    return yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))["services"]
