"""The public names are few, sorted, and what the modules really export."""

import importlib

import pytest

PUBLIC = ["otel_obs", "otel_obs.health", "otel_obs.query", "otel_obs.sdk", "otel_obs.testing"]


@pytest.mark.parametrize("name", PUBLIC)
def test_all_is_sorted_and_every_name_in_it_exists(name):
    module = importlib.import_module(name)
    assert sorted(module.__all__) == list(module.__all__)
    assert [missing for missing in module.__all__ if not hasattr(module, missing)] == []


def test_the_package_exports_nothing_that_is_not_in_all():
    module = importlib.import_module("otel_obs")
    submodules = {"alerting", "analytics", "codegen", "contract", "errors", "instrument", "query", "reports", "sdk",
                  "settings", "store", "surfaces", "testing"}  # fmt: skip
    helpers = {"annotations", "TYPE_CHECKING", "Any"}
    visible = {name for name in vars(module) if not name.startswith(("_", "@"))} - submodules - helpers
    assert visible == set(module.__all__)


def test_every_public_name_has_a_docstring():
    module = importlib.import_module("otel_obs")
    assert [name for name in module.__all__ if not getattr(module, name).__doc__] == []
