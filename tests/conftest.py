"""Modules beside the tests, for all of them: the tests are no package, and nothing is put on sys.path."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _journals_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test starts keeps its journal with the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def beside() -> Callable[[str], ModuleType]:
    """Load a module by its path under tests/."""

    def load(path: str) -> ModuleType:
        name = f"tests_{Path(path).stem}"
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, HERE / path)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
        return sys.modules[name]

    return load


@pytest.fixture(scope="session")
def otlp(beside: Callable[[str], ModuleType]) -> ModuleType:
    """Builders of OTLP bodies, and of rows of the raw tables."""
    return beside("store/otlp.py")
