"""`make compose-env`: passwords that nobody chose, made once, for one pair of eyes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    (tmp_path / "compose").mkdir()
    return tmp_path / "compose" / ".env"


def _compose_env(file: Path) -> str:
    command = ["sh", ROOT / "scripts" / "compose-env", file]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_passwords_are_made_up_once_for_their_owner_alone_and_never_overwritten(made: Path) -> None:
    assert "has the passwords" in _compose_env(made)
    first = made.read_text(encoding="utf-8")
    assert made.stat().st_mode & 0o777 == 0o600
    assert (made.parent / "secrets").stat().st_mode & 0o777 == 0o700
    secret = made.parent / "secrets" / "alertmanager" / "slack_critical_url"
    assert secret.stat().st_mode & 0o777 == 0o644  # the container's user reads it; the folder above is closed
    secret.write_text("https://example.com/hook")
    assert "nothing was changed" in _compose_env(made)
    assert (made.read_text(encoding="utf-8"), secret.read_text()) == (first, "https://example.com/hook")
    assert sorted(path.name for path in made.parent.iterdir()) == [".env", "secrets"]


def test_no_two_passwords_are_the_same_and_each_hash_is_its_passwords(passwords: dict[str, str]) -> None:
    plain = {name: value for name, value in passwords.items() if not name.endswith("_SHA256")}
    assert len(set(plain.values())) == len(plain) == 5
    assert min(map(len, plain.values())) >= 32
    for name, value in plain.items():
        if name.startswith("OTEL_OBS_"):
            hashed = subprocess.run(["sha256sum"], input=value.encode(), capture_output=True, check=True).stdout
            assert passwords[f"{name}_SHA256"] == hashed.split()[0].decode()


def test_git_never_takes_the_passwords() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"deploy/compose/.env", "deploy/compose/secrets/"} <= set(ignored)
