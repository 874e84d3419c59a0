"""ClickHouse's HTTP interface with many clients, with clients that leave, with long answers, and at its end."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

NEVER_ENDING = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"


def eventually(condition: Callable[[], bool], *, within: float = 10.0) -> bool:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_two_slow_statements_do_not_block_a_third(front) -> None:
    slow = [threading.Thread(target=front.ask, args=["SELECT sleep(1.5)"]) for _ in range(2)]
    for thread in slow:
        thread.start()
    assert eventually(lambda: front.running().count("sleep") == 2)
    started = time.monotonic()
    assert front.ask("SELECT 1").text == "1\n"
    assert time.monotonic() - started < 0.5
    for thread in slow:
        thread.join()


@pytest.mark.parametrize("form", ["TSV", "JSON"])
def test_a_client_that_goes_away_frees_its_reader(front, form: str) -> None:
    for _ in range(front.readers + 1):
        with socket.create_connection(("127.0.0.1", front.port)) as leaving:
            leaving.sendall(f"GET /?{urlencode({'query': f'{NEVER_ENDING} FORMAT {form}'})} HTTP/1.1\r\n".encode())
            leaving.sendall(b"Host: localhost\r\n\r\n")
            assert eventually(lambda: "sipHash64" in front.running())
        assert eventually(lambda: "sipHash64" not in front.running(), within=5)
    assert front.ask("SELECT 1").text == "1\n"


def test_a_client_that_stops_reading_and_goes_away_frees_its_reader(front) -> None:
    query = urlencode({"query": "SELECT number FROM numbers(100000000000)"})
    for _ in range(front.readers + 1):
        with socket.create_connection(("127.0.0.1", front.port)) as leaving:
            leaving.sendall(f"GET /?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert leaving.recv(1000).startswith(b"HTTP/1.1 200 OK")
        assert eventually(lambda: "100000000000" not in front.running(), within=5)
    assert front.ask("SELECT 1").text == "1\n"


def test_an_insert_whose_client_leaves_before_its_end_stores_nothing(front) -> None:
    table = front.table("a UInt32")
    query = urlencode({"query": f"INSERT INTO {table} FORMAT CSV"})
    with socket.create_connection(("127.0.0.1", front.port)) as leaving:
        leaving.sendall(f"POST /?{query} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n1\n2\n".encode())
    assert front.ask("SELECT 1").text == "1\n"
    assert front.rows(table) == ""


def test_answers_come_without_the_delay_of_small_packets(front) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", front.port)
    started = time.monotonic()
    for _ in range(20):
        connection.request("POST", "/", "SELECT 1")
        assert connection.getresponse().read() == b"1\n"
    connection.close()
    assert time.monotonic() - started < 20 * 0.03


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads the peak of memory from /proc")
@pytest.mark.parametrize("form", ["Native", "CSVWithNames"])
def test_two_million_rows_stream_in_bounded_memory(front, form: str) -> None:
    def peak_mib() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) // 1024

    connection = http.client.HTTPConnection("127.0.0.1", front.port)
    Path("/proc/self/clear_refs").write_text("5")
    before = peak_mib()
    statement = "SELECT number, repeat('x', 300) AS s FROM numbers(2000000)"
    connection.request("POST", f"/?default_format={form}&max_block_size=8192", statement)
    response = connection.getresponse()
    size = 0
    while piece := response.read(1 << 20):
        size += len(piece)
    connection.close()
    assert size > 600 * 1_000_000
    assert peak_mib() - before < 250


def test_the_end_of_the_server_does_not_wait_for_statements_that_have_none(front) -> None:
    endless = [NEVER_ENDING, f"{NEVER_ENDING} FORMAT JSON", "SELECT number FROM numbers(100000000000)"]
    with front.another(own_engine=True) as other:
        clients = [socket.create_connection(("127.0.0.1", other.port)) for _ in endless]
        for client, query in zip(clients, endless, strict=True):
            client.sendall(f"GET /?{urlencode({'query': query})} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert eventually(lambda: front.running() != "")
        other.listener.stop(within=1)
    started = time.monotonic()
    other.engine.close()
    assert time.monotonic() - started < 5
    assert front.running() == ""
    for client in clients:
        client.close()
