"""The seam between the two sides of a bot's process: what a recorder may offer beyond OpenTelemetry's own API.

``instrument`` looks for these on the tracer that it was given; where they are absent it speaks plain OpenTelemetry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_obs.contract.gates import Gate
    from otel_obs.contract.outcome import Outcome


@runtime_checkable
class LeafRecorder(Protocol):
    """A tracer that takes a whole decision in one call, without opening a span for it."""

    def record_leaf(self, name: str, attributes: Mapping[str, Any], *, start_ns: int, context: object) -> None:
        """Record a finished span ``name`` at ``start_ns`` (since the epoch) under OpenTelemetry's ``context``."""


@runtime_checkable
class GateCounter(Protocol):
    """A tracer that counts verdicts as they fall, for gauges that must not wait for a span to end."""

    def count_gate(self, gate: str, verdict: str, mode: str) -> None:
        """Count one evaluated gate."""


class DecisionWatch(Protocol):
    """Who is told of gates and outcomes as they fall, whatever tracer is in use. Its methods never raise."""

    def gate_known(self, gate: str) -> None:
        """Learn of a gate before it is evaluated for the first time."""

    def gate_evaluated(self, gate: Gate) -> None:
        """Take one verdict."""

    def decision_ended(self, outcome: Outcome, vetoed_by: str | None) -> None:
        """Take an outcome; ``vetoed_by`` is the gate that denied first, where it ended vetoed."""
