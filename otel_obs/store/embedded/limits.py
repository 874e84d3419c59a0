"""What one query of a client may take: time, rows, memory, room on the disk; and how long it waits for its turn."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_FEWEST_QUERIES: Final = 4
_LEAST_MEMORY: Final = 512 << 20
_DISK_FOR_MEMORY: Final = 4  # what does not fit into memory is sorted on the disk, up to this multiple


def _most_queries() -> int:
    """One for each core, and at least four, as a slow reader holds one."""
    return max(_FEWEST_QUERIES, os.cpu_count() or 1)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of each query of a client, who may lower those that ClickHouse has settings for, and raise none.

    ``queries`` run at once, at most. ``wait_seconds`` bounds the wait for one's turn, ``send_seconds`` how long a
    client may read nothing of its answer before it is given up.
    """

    seconds: int = 60
    rows: int = 10_000_000
    memory: int = 0  # 0: as much as lets all together take at most half of the machine's
    queries: int = field(default_factory=_most_queries)
    wait_seconds: float = 30.0
    send_seconds: float = 30.0

    @property
    def memory_of_each(self) -> int:
        """Bytes."""
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return self.memory or max(_LEAST_MEMORY, machine // 2 // self.queries)

    def of_reading(self) -> Mapping[str, str]:
        """The engine's settings for a query that reads."""
        return {"max_execution_time": str(self.seconds), "max_result_rows": str(self.rows), **self.of_writing()}

    def of_writing(self) -> Mapping[str, str]:
        """The engine's settings for a statement that stores or changes; it has the time that it takes."""
        return {
            "max_memory_usage": str(self.memory_of_each),
            "max_temporary_data_on_disk_size_for_query": str(self.memory_of_each * _DISK_FOR_MEMORY),
        }

    def most(self) -> Mapping[str, int]:
        """The greatest value that each limiting setting may have; none of them may be 0, which is no limit."""
        return {name: int(value) for name, value in self.of_reading().items()}

    def lowered(self, settings: Mapping[str, str]) -> Mapping[str, str]:
        """A client's settings without those that would raise a limit."""
        most = self.most()
        return {
            name: value for name, value in settings.items() if name not in most or _is_lower(value, than=most[name])
        }

    def lowered_of_writing(self, settings: Mapping[str, str]) -> Mapping[str, str]:
        """As ``lowered``, and without those of reading only: "no limit" is out of bounds, so none could be undone."""
        only_of_reading = self.of_reading().keys() - self.of_writing().keys()
        return {name: value for name, value in self.lowered(settings).items() if name not in only_of_reading}


def _is_lower(value: str, *, than: int) -> bool:
    try:
        return 0 < float(value) <= than
    except ValueError:
        return True  # the engine says that it is no number
