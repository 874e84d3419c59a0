"""The pytest plugin: a fixture ``otel_obs_capture`` that captures what the bot under test says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_obs.testing.capture import Captured


@pytest.fixture
def otel_obs_capture() -> Iterator[Captured]:
    """Everything that is said during this test; a record that breaks the contract fails it."""
    from otel_obs.testing.capture import capture

    with capture() as seen:
        yield seen
