"""Whoever only reads can ask everything, and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from otel_obs import query
from otel_obs.errors import StoreError
from otel_obs.reports.registry import REPORTS
from otel_obs.store.embedded.credentials import Credentials
from otel_obs.store.embedded.server import Access, Ports, Server

if TYPE_CHECKING:
    from pathlib import Path


def test_a_reader_asks_every_report_and_changes_nothing(tmp_path: Path) -> None:
    access = Access(credentials=Credentials(password="w", reader_password="r"))
    server = Server(tmp_path / "data", Ports(otlp=0, otlp_grpc=0, clickhouse=0, web=0), access=access)
    try:
        port = server.addresses.clickhouse_port
        with query.connect(f"http://reader:r@127.0.0.1:{port}") as store:
            for row in REPORTS:
                ids = {parameter.name: "ab" for parameter in row.parameters if parameter.position}
                assert store.ask(row.name, **ids).found is not bool(ids), row.name
            assert store.arrivals(limit=5).new() == []
            with pytest.raises(DatabaseError, match=r"164|497"):
                store.client.command("DROP TABLE otel.decisions")
        with pytest.raises(StoreError, match=r"refuses|Authentication|password"):
            query.connect(f"http://reader:x@127.0.0.1:{port}")
    finally:
        server.stop()
