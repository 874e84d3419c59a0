"""The public test kit: capture what a bot says, with a frozen clock and ids that count up.

from otel_obs.testing import capture

def test_my_bot_vetoes_on_wide_spreads():
    with capture() as seen:
        my_bot.on_tick(spread_bps=16.7)
    assert seen.decision().veto == "spread_guard"
"""

from __future__ import annotations

from otel_obs.testing.capture import Captured, CapturedDecision, CapturedFact, CapturedPart, capture
from otel_obs.testing.clock import FrozenClock
from otel_obs.testing.ids import IncrementalIds

__all__ = [
    "Captured",
    "CapturedDecision",
    "CapturedFact",
    "CapturedPart",
    "FrozenClock",
    "IncrementalIds",
    "capture",
]
