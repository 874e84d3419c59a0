"""Trace and span ids that a replay gives again at each run, so that its second run replaces the first."""

from __future__ import annotations

import hashlib
import itertools
import os

from opentelemetry.sdk.trace.id_generator import IdGenerator


class SeededIds(IdGenerator):
    """Ids counted up from a place that the seed names. Different seeds do not meet; ids sort in order of creation.

    A forked child counts from a place of its own, which its parent's seed and its number among the forks name.
    """

    def __init__(self, seed: str) -> None:
        self._forks = 0
        self._start(seed)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._count_fork, after_in_child=self._start_in_child)

    def _start(self, seed: str) -> None:
        self._seed = seed
        digest = hashlib.sha256(seed.encode()).digest()
        # The upper half names the seed, the lower half counts; the set bit keeps every id different from 0.
        self._trace_base = (int.from_bytes(digest[:8], "big") | 1) << 64
        self._span_base = (int.from_bytes(digest[8:12], "big") | 1) << 32
        self._traces = itertools.count(1)
        self._spans = itertools.count(1)

    def _count_fork(self) -> None:
        self._forks += 1

    def _start_in_child(self) -> None:
        self._start(f"{self._seed} fork {self._forks}")
        self._forks = 0

    def generate_trace_id(self) -> int:
        """Return 128 bits."""
        return self._trace_base + next(self._traces)

    def generate_span_id(self) -> int:
        """Return 64 bits; 4,294,967,295 of them before they run into another seed."""
        return self._span_base + next(self._spans)
