"""otel_obs.query on a directory that nobody serves: it is opened here, and let go."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from otel_obs import query
from otel_obs.errors import DataDirectoryError, QueryError
from otel_obs.store.embedded.server import Ports, Server

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_that_nobody_serves_is_opened_here_and_let_go(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with pytest.raises(DataDirectoryError, match="holds no store"):
        query.connect(data=data)
    Server(data, Ports(otlp=0, otlp_grpc=0, clickhouse=0, web=0)).stop()
    with query.connect(data=data) as held:
        assert held.is_held_here
        with ThreadPoolExecutor(4) as threads:  # one connection in this process: they take turns
            states = list(threads.map(lambda _: held.why().data["state"], range(8)))
        assert states == ["never_recorded"] * 8
        held.client.database = "nowhere"
        with pytest.raises(QueryError, match="nowhere"):
            held.why()
    with query.connect(data=data) as again:
        assert again.why().data["state"] == "never_recorded"
