"""ClickHouse's HTTP interface, spoken by hand over the real engine: statements, inserts, answers."""

from __future__ import annotations

import gzip
import json
import struct
import sys
import zlib
from typing import TYPE_CHECKING

import lz4.frame
import pytest

from otel_obs.store.embedded.clickhouse_frames import framed, unframed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from pathlib import Path


# ---- where a statement may stand


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/ping", "/replicas_status", "/"])
def test_health_checks_answer_ok(front, method: str, path: str) -> None:
    answer = front.ask(method=method, path=path)
    assert (answer.status, answer.body) == (200, b"Ok.\n" if method == "GET" else b"")


def test_another_path_is_not_found(front) -> None:
    assert front.ask("SELECT 1", path="/play").status == 404


def test_a_statement_stands_in_the_url_in_the_body_or_in_both(front) -> None:
    answers = [
        front.ask(method="GET", query="SELECT 1"),
        front.ask(query="SELECT 1"),
        front.ask("SELECT 1"),
        front.ask("1", query="SELECT -- which?"),
    ]
    assert [answer.body for answer in answers] == [b"1\n"] * 4


def test_an_empty_statement_is_a_syntax_error(front) -> None:
    answer = front.ask(" -- nothing\n")
    assert answer.error == (400, 62)


def test_a_request_body_may_come_in_chunks(front) -> None:
    table = front.table("a UInt32")
    assert front.ask(iter([b"INSERT INTO ", table.encode(), b" FORMAT CSV\n1\n", b"2\n"])).status == 200
    assert front.rows(table) == "1\n2\n"


# ---- inserts


def test_the_rows_of_an_insert_are_in_the_engine_before_the_answer(front) -> None:
    table = front.table("a UInt32, s String")
    front.ask(struct.pack("<IB", 7, 1) + b"\n", query=f"INSERT INTO {table} FORMAT RowBinary")
    assert front.rows(table) == "7\t\\n\n"


def test_an_insert_without_rows_succeeds(front) -> None:
    table = front.table("a UInt32")
    assert front.ask(query=f"INSERT INTO {table} FORMAT Native").status == 200
    assert front.ask(f"INSERT INTO {table} FORMAT CSV").status == 200
    assert front.rows(table) == ""


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {table} VALUES (1, 'x;y'), (2, 'it''s')",
        "INSERT INTO {table} (a, s) SETTINGS async_insert = 0 VALUES (1, 'x;y'), (2, 'it\\'s');",
        "INSERT INTO {table} SETTINGS max_insert_block_size = 10 FORMAT CSV\n1,x;y\n2,it's\n",
        "INSERT INTO {table} -- the rows\nSETTINGS async_insert = 0 -- at once\nVALUES (1, 'x;y'), (2, 'it''s')",
        "insert into otel.{table} format TSV 1\tx;y\n2\tit's\n",
        "INSERT INTO {table} SELECT * FROM values('a UInt32, s String', (1, 'x;y'), (2, 'it\\'s'))",
        "WITH [(1, 'x;y'), (2, 'it\\'s')] AS r INSERT INTO {table} SELECT x.1, x.2 FROM (SELECT arrayJoin(r) AS x)",
    ],
)
def test_every_form_of_insert_stores_its_rows(front, statement: str) -> None:
    table = front.table("a UInt32, s String")
    assert front.ask(statement.format(table=table)).status == 200
    assert front.rows(table) == "1\tx;y\n2\tit\\'s\n"


def test_the_rows_of_an_insert_may_take_parameters(front) -> None:
    table = front.table("a UInt32, s String")
    front.ask(f"INSERT INTO {table} VALUES ({{a:UInt32}}, {{s:String}})", param_a="5", param_s="it\\'s")
    assert front.rows(table) == "5\tit\\'s\n"


def test_a_row_that_cannot_be_parsed_is_told_without_our_file(front) -> None:
    table = front.table("a UInt32")
    answer = front.ask(f"INSERT INTO {table} FORMAT CSV\n1\nx\n")
    assert (answer.status, front.rows(table)) == (400, "")
    assert "spool" not in answer.text


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("lz4", lz4.frame.compress),
        ("zstd", zstd.compress),
        ("", lambda data: data),
    ],
)
def test_a_body_may_be_packed_as_http_and_as_clickhouse_do(front, encoding: str, pack) -> None:
    table = front.table("a UInt32")
    rows = b"".join(b"%d\n" % number for number in range(100_000))
    query = f"INSERT INTO {table} FORMAT CSV"
    assert front.ask(pack(rows), query=query, headers={"Content-Encoding": encoding}).status == 200
    framed_rows = pack(b"".join(framed([rows])))
    assert front.ask(framed_rows, query=query, decompress="1", headers={"Content-Encoding": encoding}).status == 200
    assert front.engine.read(f"SELECT count(), sum(a) FROM {table}") == b"200000\t9999900000\n"


def test_a_body_over_the_limit_is_refused_and_nothing_is_stored(front) -> None:
    table = front.table("s String")
    too_long = b"x" * (front.limit + 1)
    query = f"INSERT INTO {table} FORMAT LineAsString"
    answers = [
        front.ask(too_long, query=query),
        front.ask(gzip.compress(too_long), query=query, headers={"Content-Encoding": "gzip"}),
        front.ask(b"".join(framed([too_long])), query=query, decompress="1"),
    ]
    for answer in answers:
        assert answer.error == (413, 229)
        assert str(front.limit) in answer.text
    assert front.rows(table) == ""


def test_no_file_is_left_behind(front, tmp_path: Path) -> None:
    with front.another(spool=tmp_path) as other:
        table = front.table("a UInt32")
        other.ask(f"INSERT INTO {table} VALUES (1)")
        other.ask(f"INSERT INTO {table} VALUES (x)")
        other.ask("SELECT 1 FORMAT JSON")
        other.ask("SELECT throwIf(1) FORMAT JSON")
    assert list(tmp_path.iterdir()) == []


# ---- reads and commands


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        ("SHOW DATABASES LIKE 'otel'", "otel\n"),
        ("DESCRIBE TABLE system.one FORMAT CSV", '"dummy","UInt8","","","","",""\n'),
        ("EXISTS TABLE system.one", "1\n"),
        ("EXPLAIN SYNTAX FROM system.one SELECT 1", "SELECT 1\\nFROM system.one\n"),
        ("(SELECT 1) UNION ALL (SELECT 1)", "1\n1\n"),
        ("WITH 2 AS x SELECT x", "2\n"),
        ("FROM system.one SELECT *;", "0\n"),
    ],
)
def test_every_reading_statement_is_answered(front, statement: str, answer: str) -> None:
    assert front.ask(statement, method="POST").text == answer
    assert front.ask(statement, method="GET").text == answer


def test_commands_are_done_on_return(front) -> None:
    for command in (
        "CREATE TABLE made (a UInt32) ENGINE = MergeTree ORDER BY a",
        "ALTER TABLE made ADD COLUMN b String",
        "INSERT INTO made VALUES (1, 'x')",
        "OPTIMIZE TABLE made FINAL",
        "TRUNCATE TABLE made",
        "SYSTEM FLUSH LOGS",
    ):
        assert front.ask(command).status == 200
    assert front.ask("SELECT count() FROM made").text == "0\n"
    assert front.ask("DROP TABLE made").status == 200
    assert front.ask("EXISTS TABLE made").text == "0\n"


def test_the_session_is_not_kept(front) -> None:
    assert front.ask("SET max_result_rows = 1").status == 200
    assert front.ask("USE system").status == 200
    assert front.ask("SELECT currentDatabase() FROM numbers(2)").text == "otel\notel\n"


def test_the_database_is_named_in_url_or_header(front) -> None:
    assert front.ask("SELECT currentDatabase()", database="system").text == "system\n"
    assert front.ask("SELECT currentDatabase()", headers={"X-ClickHouse-Database": "system"}).text == "system\n"


def test_the_format_is_the_statements_the_urls_or_the_headers(front) -> None:
    header = {"X-ClickHouse-Format": "CSV"}
    answers = [
        front.ask("SELECT 'a'"),
        front.ask("SELECT 'a'", headers=header),
        front.ask("SELECT 'a'", headers=header, default_format="JSONEachRow"),
        front.ask("SELECT 'a' FORMAT TSVWithNames", headers=header, default_format="JSONEachRow"),
    ]
    assert [answer.text for answer in answers] == ["a\n", '"a"\n', '{"\'a\'":"a"}\n', "\\'a\\'\na\n"]
    formats = [answer.headers["x-clickhouse-format"] for answer in answers]
    assert formats == ["TabSeparated", "CSV", "JSONEachRow", "TSVWithNames"]


def test_what_is_no_format_is_an_unknown_format(front) -> None:
    for form in ("NoSuch", "DataFrame", "TSV\r\nX-Injected: 1"):
        answer = front.ask("SELECT 1", default_format=form)
        assert answer.error == (404, 73)
        assert "x-injected" not in answer.headers


@pytest.mark.parametrize(
    "form",
    ["Native", "TSV", "CSV", "RowBinary", "JSONEachRow", "CSVWithNames", "TSVWithNamesAndTypes", "Markdown", "Values"],
)
def test_a_long_answer_is_the_document_that_the_engine_makes_in_one_go(front, form: str) -> None:
    statement = "SELECT number, toString(number) AS s FROM numbers(300000)"
    in_one_go = front.engine.read(statement, form)
    answer = front.ask(statement, default_format=form)
    if form == "Native":  # blocks are cut elsewhere
        front.engine.write("CREATE TABLE back (number UInt64, s String) ENGINE = Memory")
        front.ask(answer.body, query="INSERT INTO back FORMAT Native")
        assert front.ask("SELECT count(), sum(number) FROM back").text == "300000\t44999850000\n"
    else:
        assert answer.body == in_one_go
    assert answer.headers["transfer-encoding"] == "chunked"


def test_totals_are_part_of_the_answer(front) -> None:
    statement = "SELECT number % 2 AS n, count() FROM numbers(3) GROUP BY n WITH TOTALS ORDER BY n"
    assert front.ask(statement).text == "0\t2\n1\t1\n\n0\t3\n"


def test_an_answer_without_rows_still_names_its_columns(front) -> None:
    assert json.loads(front.ask("SELECT 1 AS a WHERE 0 FORMAT JSON").body)["meta"] == [{"name": "a", "type": "UInt8"}]
    assert front.ask("SELECT 1 AS a WHERE 0 FORMAT TSVWithNames").text == "a\n"


def test_a_small_answer_is_sent_at_once_with_its_length(front) -> None:
    answer = front.ask("SELECT number FROM numbers(10)")
    assert answer.headers["content-length"] == str(len(answer.body))


def test_an_answer_is_framed_on_request(front) -> None:
    answer = front.ask("SELECT number FROM numbers(1000000)", compress="1")
    text = b"".join(unframed([answer.body], front.limit))
    assert text == b"".join(b"%d\n" % number for number in range(1_000_000))


def test_the_hello_is_in_the_newer_layout_and_reports_revision_0(front) -> None:
    hello = "SELECT displayName(), version(), revision(), timezone()"
    newer = {"default_format": "Native", "client_protocol_version": "54454"}
    answer = front.ask(hello, **newer).body
    assert answer.startswith(b"\x01\x00\x02\xff\xff\xff\xff\x00\x04\x01\x0ddisplayName()\x06String\x00")
    assert b"\x0arevision()\x06UInt32\x00\x00\x00\x00\x00" in answer
    assert answer.endswith(b"\x0atimezone()\x06String\x00\x03UTC")
    assert front.ask(hello, default_format="Native").body.startswith(b"\x04\x01\x0ddisplayName()\x06String")
    assert front.ask(hello).text.count("\t") == 3
