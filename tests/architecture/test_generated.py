"""Generated files are what they would be."""

from pathlib import Path

import pytest

from otel_obs.codegen.reference import FILES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", FILES)
def test_generated_files_are_committed_as_generated(name):
    assert (ROOT / name).read_text(encoding="utf-8") == FILES[name](), "run `make generate` and commit the result"
