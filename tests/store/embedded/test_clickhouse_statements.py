"""What a statement is, and where the engine itself sees its strings and comments."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_obs.errors import QueryError
from otel_obs.store.embedded.clickhouse_statements import Insert, Kind, Statement, examine, string, tokens
from otel_obs.store.embedded.engine import Engine
from otel_obs.store.embedded.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

# What makes lexers disagree, and the words that must not be hidden.
FRAGMENTS = (
    *"'\"`\\$;()-+./#*_!~@,=0159eExXbBpPa \t\r\n\x0b",
    *("''", "\\'", "$$", "$a$", "$1$", "--", "//", "/*", "*/", "# ", "#!", "\\G", "x'41'", "0x", "1e-", "1.5", "→"),
    *("\u2018", "\u2019", "\u201c", "\u201d", "\u2212", "\xa0", "\ufeff", "é", "\0"),
    *(" INTO ", " OUTFILE ", " FROM ", " INFILE ", " INSERT ", " SELECT ", " VALUES ", " FORMAT ", " SETTINGS "),
)
tricky = st.lists(st.sampled_from(FRAGMENTS)).map("".join)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("store"), limits=Limits(queries=1))
    yield engine
    engine.close()


def examined(text: str) -> Statement:
    statement = examine(text)
    assert isinstance(statement, Statement)
    return statement


def inserted(text: str) -> Insert:
    insert = examine(text)
    assert isinstance(insert, Insert)
    return insert


# ---- tokens


def test_tokens_are_those_of_the_engine(engine: Engine) -> None:
    """What neither we nor the engine refuse has its strings, quoted names and comments where both see them."""

    @settings(max_examples=500, deadline=None)
    @given(st.one_of(tricky, st.text()))
    def agree(text: str) -> None:
        try:
            ours = list(tokens(text))
        except QueryError:
            return
        kinds = {"StringLiteral": "string", "HereDoc": "string", "QuotedIdentifier": "quoted"}
        query = f"SELECT arrayMap(t -> (t.1, t.2, t.3), tokenizeQuery({string(text)})) FORMAT JSONCompact"
        theirs = json.loads(engine.read(query))["data"][0][0]
        if any("Error" in kind for _, _, kind in theirs):
            return  # the engine refuses it by itself
        data = text.encode()
        significant = [token for token in theirs if token[2] not in {"Comment", "Whitespace"}]
        seen = b"".join(data[int(start) : int(end)] for start, end, _ in significant)
        assert "".join(token.text for token in ours).encode() == seen
        assert [(token.rule, len(text[: token.end].encode())) for token in ours if token.rule in kinds.values()] == [
            (kinds[kind], int(end)) for _, end, kind in significant if kind in kinds
        ]

    agree()


@given(st.one_of(tricky, st.text()))
def test_arbitrary_text_raises_nothing_but_a_query_error(text: str) -> None:
    with suppress(QueryError):
        examine(text)


def test_long_texts_take_linear_time() -> None:
    for opening in ("'", "`", "/*", "$$", "((", "'a''", "x'0"):
        with pytest.raises(QueryError):
            examine("SELECT " + opening * 300_000 + "\0")


def test_a_text_of_keywords_that_are_names_or_strings_is_not_taken_for_clauses() -> None:
    statement = examined("SELECT 'FORMAT CSV; INTO OUTFILE', `FORMAT`, \"INTO OUTFILE '\" /* ; */ -- FORMAT\n FROM t")
    assert (statement.kind, statement.form) == (Kind.SELECT, "")


# ---- kinds


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", Kind.EMPTY),
        (" ; -- nothing", Kind.EMPTY),
        ("select 1", Kind.SELECT),
        ("((SELECT 1))", Kind.SELECT),
        ("WITH x AS (SELECT 1) SELECT * FROM x", Kind.SELECT),
        ("FROM t SELECT 1", Kind.SELECT),
        ("/* SELECT */ SHOW TABLES", Kind.LISTING),
        ("desc t", Kind.LISTING),
        ("DESCRIBE (SELECT 1)", Kind.LISTING),
        ("EXISTS t", Kind.LISTING),
        ("EXPLAIN SELECT 1", Kind.LISTING),
        ("SET a = 1", Kind.SESSION),
        ("use db", Kind.SESSION),
        ("INSERT INTO t SELECT * FROM s", Kind.INSERT_SELECT),
        ("INSERT INTO t (a, values) SETTINGS x = 1 WITH 1 AS y SELECT y", Kind.INSERT_SELECT),
        ("INSERT INTO t FROM s SELECT 1", Kind.INSERT_SELECT),
        ("INSERT INTO t (SELECT 1)", Kind.INSERT_SELECT),
        ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", Kind.INSERT_SELECT),
        ("CREATE TABLE t (a Int8) ENGINE = Memory", Kind.COMMAND),
        ("SYSTEM FLUSH LOGS", Kind.COMMAND),
        ("EXPLAIN", Kind.LISTING),
        ("1 + 1", Kind.COMMAND),
    ],
)
def test_the_kind_of_a_statement(text: str, kind: Kind) -> None:
    assert examined(text).kind is kind


@pytest.mark.parametrize(
    "text", ["SELECT 1; SELECT 2", "SELECT 1;;DROP TABLE t", "INSERT INTO t; VALUES (1)", "; ; SET a = 1"]
)
def test_several_statements_are_refused(text: str) -> None:
    with pytest.raises(QueryError, match="one statement") as refused:
        examine(text)
    assert refused.value.code == 62


def test_a_statement_ends_before_its_semicolon_and_comment() -> None:
    assert examined(" SELECT ';' ;; -- done").text == " SELECT ';'"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 INTO OUTFILE '/x'",
        "select 1 into/**/outfile -- \n'/x' truncate",
        "SELECT 1 INTO OUTFILE $$/x$$",
        "SELECT 1 INTO OUTFILE \u2018/x\u2019",
        "SELECT 1 INTO OUTFILE x'2f78'",
        "EXPLAIN SELECT 1 INTO OUTFILE '/x'",
        "INSERT INTO t FROM INFILE '/x' FORMAT CSV",
        "INSERT INTO t SETTINGS a = 1 FROM INFILE '/x'",
        "CREATE TABLE t (a Int8) ENGINE = Memory PARALLEL WITH INSERT INTO u FROM INFILE '/x' FORMAT CSV",
    ],
)
def test_files_of_the_server_are_refused(text: str) -> None:
    with pytest.raises(QueryError, match="a file of the server") as refused:
        examine(text)
    assert refused.value.code == 497


@pytest.mark.parametrize("text", ["SYSTEM SHUTDOWN", "system /**/ kill"])
def test_the_end_of_the_process_is_not_the_clients_to_ask(text: str) -> None:
    with pytest.raises(QueryError) as refused:
        examine(text)
    assert refused.value.code == 497


@pytest.mark.parametrize(
    "text", ["SELECT * FROM infile", "SELECT 'INTO OUTFILE ''x'''", "INSERT INTO outfile SELECT 1"]
)
def test_tables_may_be_called_as_files_are(text: str) -> None:
    assert isinstance(examine(text), Statement)


# ---- FORMAT


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("SELECT 1 FORMAT JSON", "JSON"),
        ("SELECT 1 format CSV;", "CSV"),
        ("SELECT 1 FORMAT CSV SETTINGS max_threads = 1", "CSV"),
        ("SELECT 1 SETTINGS max_threads = 1 FORMAT CSV -- as text", "CSV"),
        ("(SELECT 1) UNION ALL (SELECT 2) FORMAT CSV", "CSV"),
        ("SELECT format FROM t", ""),
        ("SELECT a, format b FROM t", ""),
        ("SELECT t.format AS format FROM t", ""),
        ("SELECT (SELECT 1 FORMAT CSV)", ""),
    ],
)
def test_the_format_of_an_answer(text: str, form: str) -> None:
    assert examined(text).form == form


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("SELECT 1", "SELECT 1 INTO OUTFILE '/o''s' COMPRESSION 'none' FORMAT CSV"),
        ("SELECT 1 FORMAT CSV;", "SELECT 1  INTO OUTFILE '/o''s' COMPRESSION 'none' FORMAT CSV"),
    ],
)
def test_an_answer_may_be_written_to_a_file_of_ours(text: str, written: str) -> None:
    assert examined(text).into_outfile("/o's", "CSV") == written.replace("''", "\\'")


# ---- INSERT


@pytest.mark.parametrize(
    ("text", "head", "settings_clause", "form", "data"),
    [
        ("INSERT INTO t VALUES (1), (2);", "INSERT INTO t", "", "Values", " (1), (2);"),
        ("insert into t(a,b)values(1,'x;y')", "insert into t(a,b)", "", "Values", "(1,'x;y')"),
        ("INSERT INTO t FORMAT CSV 1,'", "INSERT INTO t", "", "CSV", "1,'"),
        ("INSERT INTO t FORMAT CSV\r\n\n1", "INSERT INTO t", "", "CSV", "\n1"),
        ("INSERT INTO t FORMAT CSV", "INSERT INTO t", "", "CSV", ""),
        (
            "INSERT INTO t SETTINGS a=1, log_comment='FORMAT' FORMAT CSV 1",
            "INSERT INTO t",
            "SETTINGS a=1, log_comment='FORMAT'",
            "CSV",
            "1",
        ),
        (
            "INSERT INTO db.values (`format`, format) FORMAT CSV\n",
            "INSERT INTO db.values (`format`, format)",
            "",
            "CSV",
            "",
        ),
        ("INSERT INTO TABLE format VALUES (1)", "INSERT INTO TABLE format", "", "Values", " (1)"),
        ("INSERT INTO {t:Identifier} FORMAT CSV\n1", "INSERT INTO {t:Identifier}", "", "CSV", "1"),
        (
            "INSERT INTO FUNCTION null('a Int8') (a) VALUES (1)",
            "INSERT INTO FUNCTION null('a Int8') (a)",
            "",
            "Values",
            " (1)",
        ),
        ("/* x */ INSERT INTO t FORMAT Native\n\0\udcff'", "/* x */ INSERT INTO t", "", "Native", "\0\udcff'"),
    ],
)
def test_an_insert_is_cut_into_head_settings_format_and_data(
    text: str, head: str, settings_clause: str, form: str, data: str
) -> None:
    insert = inserted(text)
    assert (insert.head, insert.settings, insert.form, text[insert.data_at :]) == (head, settings_clause, form, data)


def test_settings_move_behind_the_file() -> None:
    insert = inserted("INSERT INTO t (a) SETTINGS async_insert = 0 FORMAT CSV\n1")
    lines = ["INSERT INTO t (a)", "FROM INFILE '/f' COMPRESSION 'none'", "SETTINGS async_insert = 0", "FORMAT CSV"]
    assert insert.from_infile("/f").splitlines() == lines


@pytest.mark.parametrize("text", ["INSERT INTO t FORMAT", "INSERT INTO t FORMAT CSV; 1", "INSERT INTO t FORMAT 'CSV'"])
def test_an_insert_whose_format_or_data_cannot_be_found_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match="FORMAT wants") as refused:
        examine(text)
    assert refused.value.code == 62


@given(st.text().filter(lambda text: "\0" not in text))
def test_a_string_literal_is_one_token(value: str) -> None:
    assert [token.rule for token in tokens(string(value))] == ["string"]
