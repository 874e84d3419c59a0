"""The seam between the two sides of a bot's process: what a recorder may offer beyond OpenTelemetry's own API.

``instrument`` looks for these on the tracer that it was given; where they are absent it speaks plain OpenTelemetry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_obs.contract.gates import Gate
    from otel_obs.contract.outcome import Outcome
    from otel_obs.contract.tiers import Tier


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


class Words(Protocol):
    """Where a record's words are written down: a span, or what stands for one that has ended already."""

    def set_attribute(self, key: str, value: Any) -> None:
        """As a span's."""

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """As a span's."""

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None) -> None:
        """As a span's."""

    def set_status(self, status: Any) -> None:
        """As a span's."""


@runtime_checkable
class LateSpan(Protocol):
    """A span whose words are kept by whoever started it."""

    def settle(self) -> None:
        """Have those words written down."""

    def end_late(self, end_ns: int, tier: Tier, size: int, /) -> None:
        """End now; the words are asked for later. ``size`` is about how many bytes its words take."""


@runtime_checkable
class LateRecorder(Protocol):
    """A tracer that lets words be turned into attributes later, off the bot's thread, where nobody asks for them."""

    is_late: bool  # whether it does so now: not where a sampler or a processor wants to see attributes at once

    def record_late(  # noqa: PLR0917 - positions cost a bot less than names
        self, name: str, describe: Callable[[Any], dict[str, Any]], said: Any, tier: Tier, size: int, start_ns: int,
        context: Any, /,
    ) -> None:  # fmt: skip
        """Record a finished span whose attributes are ``describe(said)``, called later, off the bot's thread."""

    def start_late(self, name: str, settle: Callable[[Words], None], start_ns: int, context: Any, /) -> Any:
        """Start a span; one that records is a ``LateSpan``.

        ``settle`` writes down all that was said since the last time. It never raises, and is called from any thread.
        """


class DecisionWatch(Protocol):
    """Who is told of gates and outcomes as they fall, whatever tracer is in use. Its methods never raise."""

    def gate_known(self, gate: str) -> None:
        """Learn of a gate before it is evaluated for the first time."""

    def gate_evaluated(self, gate: Gate) -> None:
        """Take one verdict."""

    def decision_ended(self, outcome: Outcome, vetoed_by: str | None) -> None:
        """Take an outcome; ``vetoed_by`` is the gate that denied first, where it ended vetoed."""
