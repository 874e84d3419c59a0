"""What one query may take, what a client is told who takes more, and that others are not harmed."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest

from otel_obs.store.embedded.limits import Limits
from otel_obs.store.embedded.server import Ports, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

LIMITS = Limits(seconds=2, rows=100_000, memory=200 << 20, queries=2, wait_seconds=1.5, send_seconds=1.0)
ENDLESS = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"
BOMBS = {
    ENDLESS: (408, {159, 160}, "--max-query-seconds"),
    "SELECT sum(sleepEachRow(1)) FROM numbers(100)": (408, {159, 160}, "--max-query-seconds"),
    "SELECT number FROM numbers(200000)": (500, {396}, "--max-result-rows"),
    "SELECT arrayReduce('groupArray', range(100000000))": (500, {241}, "--max-query-memory"),
    "SELECT * FROM generateRandom('a Array(Array(Array(String)))', 1, 1000000, 1000) LIMIT 90000": (
        500, {241}, "--max-query-memory",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(
        tmp_path_factory.mktemp("limited") / "data", Ports(otlp=0, clickhouse=0, web=0, otlp_grpc=0), limits=LIMITS
    )
    yield running
    running.stop()


def ask(server: Server, statement: str, **params: str) -> tuple[int, int, str]:
    """Status, ClickHouse's code, text."""
    connection = http.client.HTTPConnection("127.0.0.1", server.addresses.clickhouse_port, timeout=60)
    try:
        connection.request("POST", f"/?{urlencode(params)}", statement)
        response = connection.getresponse()
        code = int(response.getheader("x-clickhouse-exception-code", 0))
        try:
            return response.status, code, response.read().decode()
        except http.client.IncompleteRead as broken:
            return response.status, code, broken.partial.decode()
    finally:
        connection.close()


def eventually(condition: Callable[[], bool], *, within: float = 20.0) -> bool:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("user", ["default", "reader"])
@pytest.mark.parametrize("bomb", BOMBS, ids=range(len(BOMBS)))
def test_a_query_that_takes_too_much_is_ended_and_told_what_to_do(server: Server, user: str, bomb: str) -> None:
    status, codes, option = BOMBS[bomb]
    more = {"max_block_size": "1"} if "sleep" in bomb else {}
    found, code, text = ask(server, bomb, user=user, wait_end_of_query="1", max_execution_time="0", **more)
    assert (found, code in codes, option in text) == (status, True, True), (code, text)
    assert ask(server, "SELECT 1", user=user)[2] == "1\n"


def test_a_client_may_lower_a_limit_and_not_raise_it(server: Server) -> None:
    asked = "SELECT getSetting('max_execution_time'), getSetting('max_result_rows')"
    for user in ("default", "reader"):
        assert ask(server, asked, user=user, max_execution_time="1", max_result_rows="7")[2] == "1\t7\n"
        assert ask(server, asked, user=user, max_execution_time="9", max_result_rows="0")[2] == "2\t100000\n"
    for raised in ("max_execution_time = 9", "max_execution_time = 0", "max_memory_usage = 0"):
        assert ask(server, f"SELECT 1 SETTINGS {raised}")[1] == 452


def test_a_client_that_bounds_its_insert_as_clickhouse_go_does_stores_as_often_as_it_likes(server: Server) -> None:
    assert ask(server, "CREATE TABLE bounded (a UInt8) ENGINE = MergeTree ORDER BY a")[0] == 200
    for _ in range(2):
        bounded = ask(server, "INSERT INTO bounded VALUES (1)", max_execution_time="1", max_result_rows="1")
        assert bounded == (200, 0, "")
    assert ask(server, "SELECT count() FROM bounded")[2] == "2\n"


def test_bombs_do_not_keep_bots_waiting(server: Server, otlp: ModuleType, receiver_at: Any) -> None:
    """Every reader is busy with a bomb, again and again, and a client writes: what bots send lands meanwhile."""
    to = receiver_at(server.addresses.otlp_port)
    ended = threading.Event()

    def throw(bomb: str) -> None:
        while not ended.is_set():
            ask(server, bomb)

    bombs = [*BOMBS, "INSERT INTO FUNCTION null('a UInt64') SELECT sum(sleepEachRow(1)) FROM numbers(3)"]
    throwing = [threading.Thread(target=throw, args=[bomb]) for bomb in bombs]
    for thread in throwing:
        thread.start()
    try:
        sent = [otlp.decision("x") for _ in range(40)]
        for start in range(0, 40, 10):
            to.send(otlp.traces(*sent[start : start + 10]))
    finally:
        ended.set()
        for thread in throwing:
            thread.join()
    assert ask(server, "SELECT count() FROM decisions FINAL")[2] == "40\n"


def test_who_finds_no_free_reader_is_told_so_and_later_served(server: Server) -> None:
    running = [threading.Thread(target=ask, args=[server, ENDLESS]) for _ in range(2 * LIMITS.queries + 2)]
    for thread in running:
        thread.start()
    answers = [ask(server, "SELECT 1") for _ in range(6)]
    for thread in running:
        thread.join()
    assert {(status, code) for status, code, _ in answers} <= {(200, 0), (503, 202)}
    assert all("simultaneous queries" in text for status, _, text in answers if status == 503)
    assert ask(server, "SELECT 1")[2] == "1\n"


def test_clients_that_stop_reading_lose_their_readers(server: Server) -> None:
    rows = quote("SELECT repeat('x', 1000) FROM numbers(90000)")
    request = f"GET /?query={rows}&user=reader HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    stuck = []
    for _ in range(LIMITS.queries):
        client = socket.create_connection(("127.0.0.1", server.addresses.clickhouse_port))
        client.sendall(request)
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
        stuck.append(client)  # and it reads no more
    assert eventually(lambda: ask(server, "SELECT 1")[2] == "1\n")
    for client in stuck:
        client.close()


def test_a_share_of_the_memory_is_the_default_and_no_limit_is_none() -> None:
    assert Limits().memory_of_each * Limits().queries <= 64 << 40
    assert all(most > 0 for most in Limits().most().values())
    assert Limits(memory=7).memory_of_each == 7
