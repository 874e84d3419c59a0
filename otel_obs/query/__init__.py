"""Ask the store from Python: every report as a method, sync and async, with typed rows.

from otel_obs import query

with query.connect("http://127.0.0.1:8123") as store:  # or data="…": a directory, served or not
    answer = store.why(from_="-2h", service="my-bot")
    print(answer.sentence)
    for miss in store.near_misses(gate="spread_guard").rows:
        print(miss.timestamp, miss.observed, miss.margin_ratio)
"""

from __future__ import annotations

from otel_obs.query.store import AsyncStore, Store, connect, connect_async
from otel_obs.reports import rows
from otel_obs.reports.answer import Answer, Table

__all__ = ["Answer", "AsyncStore", "Store", "Table", "connect", "connect_async", "rows"]
