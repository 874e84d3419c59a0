"""What ClickHouse's HTTP interface refuses, how it says so, and what a client may set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_obs.store.embedded.clickhouse_frames import unframed

if TYPE_CHECKING:
    from pathlib import Path


# ---- errors


@pytest.mark.parametrize(
    ("statement", "status", "code"),
    [
        ("SELECT * FROM nosuch", 404, 60),
        ("SELECT * FROM nosuch.t", 404, 81),
        ("SELEC 1", 400, 62),
        ("SELECT 'not closed", 400, 62),
        ("SELECT 1; DROP TABLE nosuch", 400, 62),
        ("SELECT {a:String}", 400, 456),
        ("SELECT throwIf(1)", 500, 395),
        ("SELECT 1 INTO OUTFILE '/tmp/never'", 403, 497),
        ("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", 403, 497),
        ("SYSTEM SHUTDOWN", 403, 497),
    ],
)
def test_an_error_has_a_status_a_code_and_a_text(front, statement: str, status: int, code: int) -> None:
    answer = front.ask(statement)
    assert answer.error == (status, code)
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    framed_answer = front.ask(statement, compress="1").body
    assert b"".join(unframed([framed_answer], front.limit)).startswith(f"Code: {code}. DB::Exception: ".encode())


def test_an_error_after_the_first_piece_ends_the_body_and_breaks_the_connection(front) -> None:
    failing = "SELECT number, throwIf(number = 2000000) FROM numbers(5000000)"
    answer = front.ask(failing)
    assert (answer.status, answer.broken) == (200, True)
    tag = answer.headers["x-clickhouse-exception-tag"]
    block = answer.text.split("\r\n__exception__\r\n")[1]
    text, length = block.removeprefix(f"{tag}\r\n").removesuffix(f" {tag}").rsplit("\n", 1)
    assert text.startswith("Code: 395. DB::Exception: ")
    assert int(length) == len(text) + 1
    assert b"__exception__\r\nCode: 395"[:15] in front.ask(failing, compress="1").body


def test_who_waits_for_the_end_of_the_query_gets_a_status_for_a_late_error(front) -> None:
    answer = front.ask("SELECT throwIf(number = 2000000) FROM numbers(5000000)", wait_end_of_query="1")
    assert answer.error == (500, 395)


def test_the_values_of_parameters_are_neither_told_nor_logged(front, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    for statement in (
        "SELECT {p:UInt32}",
        "SELECT toUInt32({p:String})",
        "SELECT nosuch FROM (SELECT {p:String})",
        "SELECT throwIf(number = 2000000, {p:String}) FROM numbers(5000000)",
        "nonsense {p:String}",
    ):
        answer = front.ask(statement, param_p="s3cret\\'s\\tvalue")
        assert "s3cret" not in answer.text
        assert "Code: " in answer.text
    # The server's access log is off; pytest puts its handler there all the same.
    assert not any("s3cret" in record.getMessage() for record in caplog.records if record.name != "uvicorn.access")


def test_a_statement_that_is_not_utf8_is_a_syntax_error(front) -> None:
    assert front.ask(b"SELECT '\xff'").headers["x-clickhouse-exception-code"] == "62"


def test_files_of_the_server_are_not_written(front, tmp_path: Path) -> None:
    for hidden in ("", "/* ' */", "-- '\n", "\u2018'\u2019", "$$'$$"):
        front.ask(f"SELECT 1 {hidden} INTO OUTFILE '{tmp_path}/out'")
    assert list(tmp_path.iterdir()) == []


# ---- settings and rights


def test_a_setting_holds_for_its_request_only(front) -> None:
    assert front.ask("SELECT 1 FROM numbers(2)", max_result_rows="1").headers["x-clickhouse-exception-code"] == "396"
    assert front.ask("SELECT timezone()", session_timezone="Asia/Tokyo").text == "Asia/Tokyo\n"
    for _ in range(front.readers):
        assert front.ask("SELECT timezone() FROM numbers(2)").text == "UTC\nUTC\n"


def test_other_settings_are_accepted_and_ignored(front) -> None:
    assert front.ask("SELECT 1", session_id="s", log_queries="1", no_such_setting="1").text == "1\n"


def test_an_unknown_setting_of_the_allowed_kinds_is_the_engines_error(front) -> None:
    answer = front.ask("SELECT 1", output_format_nosuch="1")
    assert answer.error == (404, 115)


def test_get_and_readonly_change_nothing(front) -> None:
    table = front.table("a UInt32")
    for answer in (
        front.ask(method="GET", query=f"INSERT INTO {table} VALUES (1)"),
        front.ask(method="GET", query=f"DROP TABLE {table}"),
        front.ask(f"INSERT INTO {table} SELECT 1", readonly="1"),
    ):
        assert answer.error == (403, 164)
    assert front.rows(table) == ""


def test_web_pages_and_foreign_hosts_do_not_reach_the_port(front) -> None:
    assert front.ask("SELECT 1", headers={"Origin": "http://localhost"}).status == 403
    assert front.ask(method="GET", path="/ping", headers={"Host": "attacker.example"}).status == 403
