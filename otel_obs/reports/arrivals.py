"""Decisions as they arrive: what is new since the last time it was asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from otel_obs.errors import QuestionError
from otel_obs.reports.registry import report
from otel_obs.reports.rows import DecisionLine
from otel_obs.reports.run import for_query, read, unrecorded
from otel_obs.store.client import ask, clock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clickhouse_connect.driver.client import Client

FILTERS: Final = ("service", "symbol", "outcome", "gate")
_TOLD_AGAIN_SECONDS: Final = 15  # as tail.sql has it


class Arrivals:
    """Tells each decision once, in the order of arrival, from the first time that it is asked on.

    ``given`` may hold ``service``, ``symbol``, ``outcome``, ``gate``, and ``limit``: how many of those that are there
    already come first (0 unless told).

    Raises:
        QuestionError: an unknown filter, or one that cannot be read.

    """

    def __init__(self, client: Client, given: Mapping[str, str]) -> None:
        if unknown := sorted(set(given) - {*FILTERS, "limit"}):
            raise QuestionError(
                f"tail has no parameter {unknown[0]!r}.", fix=f"It has {', '.join((*FILTERS, 'limit'))}."
            )
        given = dict(given)
        self._has_earlier = given.get("limit", "0") != "0"
        if not self._has_earlier:
            given.pop("limit", None)
        now = datetime.now(UTC)
        always = {"from": "1970-01-01", "to": "2262-01-01", "tz": "UTC"}
        self._client = client
        self._asked = for_query(read(report("decisions"), {**always, **given}, now=now), now=now)
        self._since = 0
        self._seen: dict[tuple[str, str], int] = {}

    def unknown(self) -> list[str]:
        """What is wrong with filters that no record carries so far, each with the nearest that one does."""
        found = [unrecorded(self._client, name, self._asked[name]) for name in ("service", "symbol", "gate")]
        return [sentence for sentence in found if sentence]

    def new(self) -> list[DecisionLine]:
        """Ask the store once."""
        if self._since:
            return self._arrived()
        self._since = clock(self._client)
        self._arrived()
        earlier = ask(self._client, "decisions", self._asked) if self._has_earlier else []
        return [DecisionLine.of(row) for row in reversed(earlier)]

    def _arrived(self) -> list[DecisionLine]:
        rows = ask(self._client, "tail", {**self._asked, "since": self._since})
        unseen = [row for row in rows if _key(row) not in self._seen]
        self._since = max([self._since, *(row["arrived"] for row in unseen)])
        self._seen.update((_key(row), row["arrived"]) for row in unseen)
        forgotten = self._since - 2 * _TOLD_AGAIN_SECONDS
        self._seen = {key: at for key, at in self._seen.items() if at >= forgotten}
        return [DecisionLine.of(row) for row in unseen]


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["trace_id"], row["span_id"]
