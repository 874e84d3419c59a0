"""What the bot under test says: with mistakes raised (``seen``), and as in production, where nothing raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_obs.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_obs.testing import Captured


@pytest.fixture
def seen() -> Iterator[Captured]:
    """Everything said; what breaks the contract raises."""
    with capture() as captured:
        yield captured


@pytest.fixture
def lenient() -> Iterator[Captured]:
    """Everything said; what breaks the contract is marked, as in production."""
    with capture(strict=False) as captured:
        yield captured
