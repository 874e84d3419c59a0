"""clickhouse-connect as users have it, against the front."""

from __future__ import annotations

from typing import TYPE_CHECKING

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client

    from otel_obs.store.embedded.listener import Listener


def connected(front: Listener, **options: object) -> Client:
    return clickhouse_connect.get_client(host=front.host, port=front.port, database="otel", **options)


@pytest.fixture
def client(front: Listener) -> Iterator[Client]:
    client = connected(front)
    yield client
    client.close()


@pytest.fixture
def table(client: Client) -> str:
    client.command("CREATE OR REPLACE TABLE t (a UInt32, s String) ENGINE = MergeTree ORDER BY a")
    return "t"


def test_it_reads_writes_and_commands(client: Client, table: str) -> None:
    client.insert(table, [[1, "x"], [2, "y"]], column_names=["a", "s"])
    result = client.query(f"SELECT a, s, map('k', s) AS m FROM {table} ORDER BY a")
    assert result.column_names == ("a", "s", "m")
    assert result.result_rows == [(1, "x", {"k": "x"}), (2, "y", {"k": "y"})]
    assert client.command(f"SELECT count() FROM {table}") == 2
    assert client.query(f"SELECT * FROM {table} LIMIT 0").column_names == ("a", "s")
    assert client.ping()


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", False])
def test_it_inserts_with_every_compression(front: Listener, table: str, compress: object) -> None:
    client = connected(front, compress=compress)
    client.insert(table, [[number, "x" * 100] for number in range(50_000)], column_names=["a", "s"])
    assert client.query(f"SELECT count(), sum(a), uniqExact(s) FROM {table}").result_rows == [(50_000, 1249975000, 1)]
    client.close()


TRICKY = ["it's", 'a "quote"', "back\\slash", "a\nb", "a\tb", "\\N", "", " ", "\\'; DROP TABLE t --", "ü€😀", "%00&=+"]


@pytest.mark.parametrize("value", TRICKY)
def test_a_parameter_arrives_as_it_was_sent(client: Client, value: str) -> None:
    assert client.query("SELECT {v:String}", parameters={"v": value}).result_rows == [(value,)]
    assert client.query("SELECT {v:Array(String)}", parameters={"v": [value] * 2}).result_rows == [([value] * 2,)]


def test_parameters_too_long_for_a_url_arrive_as_a_form(client: Client) -> None:
    values = [f"it's number {number}\n" for number in range(5_000)]
    assert client.query("SELECT {v:Array(String)}", parameters={"v": values}).result_rows == [(values,)]
    with pytest.raises(DatabaseError, match=r"Code: 60\.") as refused:
        client.query("SELECT {v:Array(String)} FROM nosuch", parameters={"v": values})
    assert "it's number" not in str(refused.value)


def test_strings_may_hold_any_bytes(client: Client, table: str) -> None:
    every_byte = bytes(range(256)) * 10
    client.insert(table, [[every_byte], [b"\xff\x00\n"]], column_names=["s"])
    strings = client.query(f"SELECT s FROM {table} ORDER BY length(s)", query_formats={"String": "bytes"})
    assert strings.result_rows == [(b"\xff\x00\n",), (every_byte,)]


def test_an_error_has_its_code_and_its_text(client: Client) -> None:
    with pytest.raises(DatabaseError, match=r"Code: 60\..*UNKNOWN_TABLE") as refused:
        client.query("SELECT * FROM nosuch")
    assert refused.value.code == 60


def test_an_error_in_the_middle_is_noticed(client: Client) -> None:
    failing = "SELECT number, throwIf(number = 2000000) FROM numbers(5000000)"
    blocks = client.query_row_block_stream(failing)
    with pytest.raises(DatabaseError, match="FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"), blocks:
        for _ in blocks:
            pass


def test_settings_are_passed_for_one_statement(client: Client) -> None:
    with pytest.raises(DatabaseError, match=r"Code: 396\."):
        client.query("SELECT 1 FROM numbers(2)", settings={"max_result_rows": 1})
    assert client.query("SELECT 1 FROM numbers(2)").row_count == 2


def test_two_million_rows_arrive_as_a_stream(client: Client) -> None:
    total = 0
    with client.query_column_block_stream("SELECT number FROM numbers(2000000)") as blocks:
        for (numbers,) in blocks:
            assert len(numbers) < 500_000
            total += sum(numbers)
    assert total == 1_999_999_000_000
