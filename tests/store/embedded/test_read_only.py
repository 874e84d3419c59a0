"""Attempts to write, to read files and to reach the network over the HTTP interface; then a look at the disk."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from otel_obs.store.embedded.clickhouse_forbidden import FORBIDDEN_CALLS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "the-secret-of-another-program"
# Table functions that stay inside the store. A new engine may bring others: decide on which list each belongs.
HARMLESS_TABLE_FUNCTIONS = frozenset(
    """
    format fuzzjson fuzzquery generate_series generaterandom generateseries input loop merge
    mergetreeanalyzeindexes mergetreeanalyzeindexesuuid mergetreecodecblockcounts mergetreeindex mergetreeprojection
    mergetreetextindex null numbers numbers_mt primes prometheusquery prometheusqueryrange sqlstandardvalues
    timeseriesdata timeseriesmetricfamilies timeseriesmetrics timeseriessamples timeseriesselector timeseriestags
    values view viewexplain viewifpermitted zeros zeros_mt
    """.split()  # noqa: SIM905 - it reads better than a hundred quotes
)


@dataclass
class Prey:
    """What an attacker is after: a directory with a secret, and an address that must not be reached."""

    directory: Path
    port: int
    table: str
    visits: list[str] = field(default_factory=list)

    def fill(self, statement: str) -> str:
        for name, value in {"D": str(self.directory), "A": f"127.0.0.1:{self.port}", "T": self.table}.items():
            statement = statement.replace(f"<{name}>", value)
        return statement

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.rglob("*"))


@pytest.fixture(scope="module")
def prey(front, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prey]:
    directory = tmp_path_factory.mktemp("prey")
    (directory / "secret.csv").write_text(f"{SECRET}\n")
    table = front.table("a UInt32")
    front.engine.write(f"INSERT INTO {table} VALUES (1)")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        prey = Prey(directory, listening.getsockname()[1], table)

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    visitor, _ = listening.accept()
                    prey.visits.append("somebody came")
                    visitor.close()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield prey
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


READING = [
    "SELECT * FROM file('<D>/secret.csv', 'LineAsString')",
    "SELECT * FROM `file`('<D>/secret.csv', 'LineAsString')",
    "SELECT * FROM \"f\\x69le\"('<D>/secret.csv', 'LineAsString')",
    "SELECT * FROM\u00a0file\u2003('<D>/secret.csv', 'LineAsString')",
    "SELECT * FROM file /* ( */ -- (\n ('<D>/secret.csv', 'LineAsString')",
    "SELECT file('<D>/secret.csv')",
    "SELECT `file`('<D>/secret.csv')",
    "SELECT `f\\x69le`('<D>/secret.csv')",
    "SELECT \u201cfile\u201d('<D>/secret.csv')",
    "SELECT arrayMap(file, ['<D>/secret.csv'])",
    "SELECT arrayMap((file), ['<D>/secret.csv'])",
    "SELECT arrayMap(file AS f, ['<D>/secret.csv'])",
    "SELECT arrayMap(x -> file(x), ['<D>/secret.csv'])",
    "SELECT * APPLY(file) FROM (SELECT '<D>/secret.csv' AS x)",
    "SELECT * APPLY file FROM (SELECT '<D>/secret.csv' AS x)",
    "SELECT COLUMNS('x') APPLY(`file`) FROM (SELECT '<D>/secret.csv' AS x)",
    "WITH (SELECT file('<D>/secret.csv')) AS x SELECT x",
    "SELECT * FROM eval('SELECT file(''<D>/secret.csv'')')",
    "SELECT * FROM eval('SELECT 1') SETTINGS allow_experimental_eval_table_function = 1",
    "SELECT 1 AS a FORMAT Template SETTINGS format_template_resultset = '<D>/secret.csv'",
    "SELECT 1 AS a FORMAT Template SETTINGS `format_template_row` = '<D>/secret.csv'",
    "SELECT * FROM format(Protobuf, 'x') SETTINGS format_schema = '<D>/secret.csv:x'",
    "SELECT 1 SETTINGS select = 'file(''<D>/secret.csv'')'",
    "SELECT * FROM (SELECT 1 SETTINGS filter = 'file(''<D>/secret.csv'') = ''x''')",
    "SELECT 1 SETTINGS max_threads = 1, additional_result_filter = 'file(''<D>/secret.csv'') = ''x'''",
    "SELECT * FROM system.one SETTINGS additional_table_filters = {'system.one': 'file(''<D>/secret.csv'') = ''x'''}",
    "SELECT b FROM values('a Int8, b String ALIAS file(''<D>/secret.csv'')', (1))",
    "SELECT b FROM values('a Int8, b String AL\\x49AS f\\x69le(''<D>/secret.csv'')', (1))",
    "SELECT b FROM values(('a Int8, b String ALI' || 'AS file(''<D>/secret.csv'')'), (1))",
    "SELECT b FROM values($$a Int8, b String ALIAS file('<D>/secret.csv')$$, (1))",
    "WITH 'a Int8, b String ALIAS file(''<D>/secret.csv'')' AS s SELECT b FROM values(s, (1))",
    "SELECT b FROM generateRandom(concat('a Int8, b String ALI', 'AS file(''<D>/secret.csv'')')) LIMIT 1",
    "SELECT * FROM format(JSONEachRow, 'a Int8, b String DEFAULT file(''<D>/secret.csv'')', '{\"a\": 1}')",
    "SELECT * FROM format('JSONEachRow', 'b String DEFAULT file(''<D>/secret.csv'')', '{\"a\": 1}')",
    "SELECT * FROM null('a Int8 DEFAULT length(file(''<D>/secret.csv''))')",
    "SELECT * FROM default.`<D>/secret.csv`",
    "SELECT * FROM `default`.`<D>/secret.csv`",
    "SELECT * FROM '<D>/secret.csv'",
    "DESCRIBE TABLE file('<D>/secret.csv')",
    "DESC file('<D>/secret.csv', 'CSV')",
    "DESCRIBE (SELECT * FROM file('<D>/secret.csv'))",
    "DESCRIBE TABLE default.`<D>/secret.csv`",
    "SHOW CREATE TABLE default.`<D>/secret.csv`",
    "EXPLAIN SELECT * FROM file('<D>/secret.csv')",
    "EXPLAIN SYNTAX SELECT * FROM file('<D>/secret.csv')",
    "EXPLAIN QUERY TREE SELECT file('<D>/secret.csv')",
    "SELECT * FROM fileCluster('default', '<D>/secret.csv', 'CSV', 'a String')",
    "SELECT * FROM filesystem('<D>')",
    "SELECT * FROM sqlite('<D>/new.db', 't')",
    "DESCRIBE sqlite('<D>/new.db', 't')",
    "SELECT * FROM icebergLocal('<D>')",
    "SELECT * FROM deltaLakeLocal('<D>')",
    "SELECT * FROM paimonLocal('<D>')",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT * FROM Python(prey)",
    "SELECT * FROM python(params)",
    "SELECT * FROM merge(REGEXP('default'), '.*')",
    "SELECT * FROM dictionary('d')",
    "SELECT dictGet('d', 'a', 1)",
    "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT * FROM file('<D>/secret.csv')))",
    "SELECT catboostEvaluate('<D>/secret.csv', 1)",
    *(f"SELECT * FROM {function}('http://<A>/x', 'CSV', 'a String')" for function in ("url", "URL", "`url`")),
    *(f"DESCRIBE TABLE {function}('http://<A>/bucket/x.csv')" for function in ("url", "s3", "gcs", "oss", "cosn")),
    "EXPLAIN SELECT * FROM url('http://<A>/x', 'CSV', 'a String')",
    "SELECT (SELECT * FROM url('http://<A>/x', 'CSV', 'a String'))",
    "SELECT 1 WHERE 1 IN (SELECT * FROM url('http://<A>/x', 'CSV', 'a Int8'))",
    "SELECT * FROM s3('http://<A>/bucket/x.csv', 'CSV', 'a String')",
    "SELECT * FROM s3('http://<A>/bucket/x.csv', NOSIGN, 'CSV', 'a String')",
    "SELECT * FROM s3Cluster('default', 'http://<A>/bucket/x.csv', 'CSV', 'a String')",
    "SELECT * FROM urlCluster('default', 'http://<A>/x', 'CSV', 'a String')",
    "SELECT * FROM remote('<A>', 'system', 'one')",
    "SELECT * FROM remote('<A>', view(SELECT 1))",
    "SELECT * FROM remoteSecure('<A>', 'system', 'one')",
    "SELECT * FROM cluster('default', 'system', 'one')",
    "SELECT * FROM clusterAllReplicas('default', 'system', 'one')",
    "SELECT * FROM hdfs('hdfs://<A>/x', 'CSV', 'a String')",
    "SELECT * FROM mysql('<A>', 'd', 't', 'u', 'p')",
    "SELECT * FROM postgresql('<A>', 'd', 't', 'u', 'p')",
    "SELECT * FROM mongodb('<A>', 'd', 't', 'u', 'p', 'a String')",
    "SELECT * FROM redis('<A>', 'k', 'k String')",
    "SELECT * FROM jdbc('jdbc:<A>', 'y', 'z')",
    "SELECT * FROM odbc('DSN=x', 'y', 'z')",
    "SELECT * FROM azureBlobStorage('http://<A>/x', 'c', 'f', 'a', 'YQ==', 'CSV', 'auto', 'a String')",
    *(f"SELECT * FROM {function}('http://<A>/bucket/x')" for function in ("iceberg", "icebergS3", "deltaLake", "hudi")),
    "SELECT aiGenerate('http://<A>', 'x')",
    "SELECT arrayMap(aiGenerate, ['x'])",
]
WRITING = [
    "SELECT 1 INTO OUTFILE '<D>/out'",
    "SELECT 1 InTo/**/OuTfIlE '<D>/out' TRUNCATE",
    "SELECT 1 INTO\u00a0OUTFILE\u3000'<D>/out'",
    "SELECT 1 INTO -- '\n OUTFILE '<D>/out' AND STDOUT",
    "SELECT 1 /* ' */ INTO OUTFILE '<D>/out'",
    "SELECT '\\'' INTO OUTFILE '<D>/out' --'",
    "SELECT 1 INTO OUTFILE \u2018<D>/out\u2019",
    "SELECT 1 INTO OUTFILE $$<D>/out$$",
    "SELECT 1 INTO OUTFILE $tag$<D>/out$tag$",
    "SELECT (SELECT 1) UNION ALL SELECT 2 INTO OUTFILE '<D>/out' APPEND",
    "SHOW TABLES INTO OUTFILE '<D>/out'",
    "DESCRIBE TABLE <T> INTO OUTFILE '<D>/out'",
    "EXISTS TABLE <T> INTO OUTFILE '<D>/out'",
    "EXPLAIN SELECT 1 INTO OUTFILE '<D>/out'",
    "INSERT INTO FUNCTION file('<D>/out', 'CSV', 'a Int8') SELECT 1",
    "INSERT INTO TABLE FUNCTION `file`('<D>/out', 'CSV', 'a Int8') VALUES (1)",
    "INSERT INTO FUNCTION url('http://<A>/x', 'CSV', 'a Int8') SELECT 1",
    "INSERT INTO <T> FROM INFILE '<D>/secret.csv' FORMAT CSV",
    *(
        f"CREATE {kind} x (a String) ENGINE = {engine}"
        for kind in ("TABLE", "OR REPLACE TABLE", "TEMPORARY TABLE")
        for engine in ("File(CSV, '<D>/out')", "URL('http://<A>/x', 'CSV')", "S3('http://<A>/bucket/x', 'CSV')")
    ),
    "CREATE TABLE x (a String) ENGINE File(CSV, '<D>/out')",
    "CREATE TABLE x (a String) ENGINE = `File`(CSV, '<D>/out')",
    "CREATE TABLE x ENGINE = SQLite('<D>/new.db', 't')",
    "CREATE TABLE x (a String) ENGINE = EmbeddedRocksDB(0, '<D>/rocks') PRIMARY KEY a",
    "CREATE TABLE x (a String) ENGINE = Executable('id', 'TSV')",
    "CREATE TABLE x (a String) ENGINE = Distributed('default', 'system', 'one')",
    "CREATE TABLE x (a String) ENGINE = Kafka('<A>', 't', 'g', 'CSV')",
    "CREATE TABLE x AS url('http://<A>/x', 'CSV', 'a String')",
    "CREATE TABLE x (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = 'local', path = '<D>/disk/')",
    "SELECT 1 FORMAT Protobuf SETTINGS output_format_schema = '<D>/out'",
    "SELECT 1 FORMAT Protobuf SETTINGS max_threads = 1, `output_format_schema` = '<D>/out'",
    "SELECT 1 FORMAT Protobuf SETTINGS output_format_schema = {p:String}",
    "INSERT INTO <T> SETTINGS input_format_record_errors_file_path = '<D>/out' FORMAT CSV\nx",
    "CREATE TABLE x (a Int8) ENGINE = Log SETTINGS disk = disk(type = 's3', endpoint = 'http://<A>/bucket/x/')",
    "CREATE DATABASE x ENGINE = Filesystem('<D>')",
    "CREATE DATABASE x ENGINE = SQLite('<D>/new.db')",
    "CREATE DATABASE x ENGINE = MySQL('<A>', 'd', 'u', 'p')",
    "CREATE DATABASE x ENGINE = PostgreSQL('<A>', 'd', 'u', 'p')",
    "CREATE DATABASE x ENGINE = Remote('<A>', 'd')",
    "CREATE DATABASE x ENGINE = Backup('d', File('<D>'))",
    "CREATE DICTIONARY x (a UInt64) PRIMARY KEY a SOURCE(FILE(path '<D>/secret.csv')) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE DICTIONARY x (a UInt64) PRIMARY KEY a SOURCE(HTTP(url 'http://<A>/x')) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE FUNCTION x AS (p) -> file(p)",
    "CREATE FUNCTION x AS (p) -> arrayMap(file, [p])",
    "CREATE VIEW x AS SELECT file('<D>/secret.csv')",
    "CREATE TABLE x (a String DEFAULT file('<D>/secret.csv')) ENGINE = Memory",
    "CREATE NAMED COLLECTION x AS url = 'http://<A>'",
    "ATTACH TABLE x FROM '<D>' (a String) ENGINE = File(CSV)",
    "ATTACH TABLE x FROM '<D>' (a String) ENGINE = MergeTree ORDER BY a",
    "BACKUP TABLE <T> TO File('<D>/backup')",
    "BACKUP TABLE <T> TO Disk('default', 'backup')",
    "BACKUP TABLE <T> TO S3('http://<A>/bucket/x')",
    "RESTORE TABLE <T> AS x FROM File('<D>/backup')",
    "SYSTEM SHUTDOWN",
    "SYSTEM KILL",
    "SELECT 1; DROP TABLE <T>",
    "CREATE USER x",
    "GRANT ALL ON *.* TO default",
]
ONLY_FOR_READERS = [
    "INSERT INTO <T> VALUES (2)",
    "INSERT INTO <T> SELECT 2",
    "INSERT INTO <T> FORMAT CSV\n2",
    "WITH 2 AS x INSERT INTO <T> SELECT x",
    "CREATE TABLE x (a Int8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE x (a Int8)",
    "CREATE VIEW x AS SELECT 1",
    "CREATE FUNCTION x AS (p) -> p",
    "CREATE DATABASE x",
    "ALTER TABLE <T> DELETE WHERE 1",
    "DELETE FROM <T> WHERE 1",
    "UPDATE <T> SET a = 2 WHERE 1",
    "TRUNCATE TABLE <T>",
    "DROP TABLE <T>",
    "DETACH TABLE <T>",
    "RENAME TABLE <T> TO x",
    "EXCHANGE TABLES <T> AND <T>",
    "OPTIMIZE TABLE <T> FINAL",
    "CHECK TABLE <T>",
    "KILL QUERY WHERE 1",
    "KILL MUTATION WHERE 1",
    "SYSTEM STOP MERGES",
    "SYSTEM FLUSH LOGS",
    "SYSTEM DROP MARK CACHE",
    "EXECUTE AS default SELECT 1",
    "WATCH <T>",
    "1 + 1",
    "SELECT 1 PARALLEL WITH DROP TABLE <T>",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 SETTINGS max_execution_time = 0",
    "SELECT 1 SETTINGS max_memory_usage = 0, max_result_rows = 0",
    "SELECT * FROM system.users",
]


@pytest.fixture(autouse=True, scope="module")
def _nothing_happened(front, prey: Prey) -> Iterator[None]:
    """After all attempts together: no file more, no visitor, the same rows and tables."""
    tables = front.engine.read("SELECT database, name FROM system.tables ORDER BY ALL")
    yield
    assert prey.files() == ["secret.csv"]
    assert (prey.directory / "secret.csv").read_text() == f"{SECRET}\n"
    assert prey.visits == []
    assert front.rows(prey.table) == "1\n"
    assert front.engine.read("SELECT database, name FROM system.tables ORDER BY ALL") == tables
    assert front.ask("SELECT 1").text == "1\n"


@pytest.mark.parametrize("statement", READING + WRITING + ONLY_FOR_READERS)
def test_the_reader_only_reads_what_is_in_the_store(front, prey: Prey, statement: str) -> None:
    answer = front.ask(prey.fill(statement), user="reader")
    assert answer.status >= 400, answer.text
    assert SECRET not in answer.text
    assert prey.files() == ["secret.csv"]
    assert prey.visits == []


@pytest.mark.parametrize("statement", READING + WRITING)
def test_nobody_leaves_the_store_through_its_port(front, prey: Prey, statement: str) -> None:
    """Every user of the machine reaches a port on loopback: so `default` is no way to this process's files either."""
    answer = front.ask(prey.fill(statement))
    assert answer.status >= 400, answer.text
    assert SECRET not in answer.text
    assert prey.files() == ["secret.csv"]
    assert prey.visits == []


@pytest.mark.parametrize("name", ["file", "f\\x69le", "FILE"])
@pytest.mark.parametrize("user", ["default", "reader"])
def test_the_value_of_a_parameter_names_no_function_that_reads_files(front, prey: Prey, user: str, name: str) -> None:
    statement = f"SELECT arrayMap({{f: Identifier}}, ['{prey.directory}/secret.csv'])"
    answer = front.ask(statement, user=user, param_f=name)
    assert answer.status >= 400
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "values",
    [
        "(length(file('<D>/secret.csv')))",
        "(1), (length(`f\\x69le`('<D>/secret.csv')))",
        "((SELECT count() FROM url('http://<A>/x', 'CSV', 'a Int8')))",
        "((SELECT count() FROM eval('SELECT file(''<D>/secret.csv'')')))",
    ],
)
def test_the_values_of_an_insert_leave_the_store_as_little(front, prey: Prey, values: str) -> None:
    table = front.table("a UInt32")
    answer = front.ask(prey.fill(f"INSERT INTO {table} VALUES {values}"), allow_experimental_eval_table_function="1")
    assert answer.status >= 400, answer.text
    assert front.rows(table) == ""
    front.engine.write(f"DROP TABLE {table}")


def test_settings_that_name_a_file_are_not_taken_from_the_url(front, prey: Prey) -> None:
    for user in ("default", "reader"):
        out = f"{prey.directory}/out"
        named = {"output_format_schema": out, "input_format_record_errors_file_path": out, "format_schema": out}
        front.ask("SELECT 1 AS a FORMAT Protobuf", user=user, **named)
        assert prey.files() == ["secret.csv"]


def test_nobody_is_told_whether_a_file_is_there(front, prey: Prey) -> None:
    for user in ("default", "reader"):
        assert front.ask(prey.fill("EXISTS TABLE default.`<D>/secret.csv`"), user=user).text == "0\n"
        assert front.ask(prey.fill("EXISTS TABLE `<D>/secret.csv`"), user=user, database="default").text == "0\n"


def test_harmless_tables_of_functions_and_settings_are_taken(front) -> None:
    for statement, answer in {
        "SELECT b FROM values('a Int8, b String', (1, 'by default'), (-2, '(y)'))": "by default\n(y)\n",
        "SELECT format('{} {}', toString(number), 'x') FROM numbers(1) SETTINGS max_threads = 1": "0 x\n",
        "SELECT a FROM format(JSONEachRow, 'a Int8', '{\"a\": 1}')": "1\n",
        "SELECT 1 AS filter, 2 AS settings WHERE filter = 1": "1\t2\n",
        "SELECT 1 SETTINGS session_timezone = 'UTC', log_comment = 'x'": "1\n",
    }.items():
        assert front.ask(statement).text == answer


def test_values_that_only_look_like_it_are_stored(front) -> None:
    table = front.table("a String, file String")
    answer = front.ask(f"INSERT INTO {table} (a, file) VALUES ('file', lower('URL(')), ('`', 'eval(')")
    assert (answer.status, front.rows(table)) == (200, "`\teval(\nfile\turl(\n")
    assert front.ask(f"SELECT t.file FROM {table} AS t ORDER BY 1", user="reader").text == "eval(\nurl(\n"
    front.engine.write(f"DROP TABLE {table}")


@pytest.mark.parametrize("parameter", ["readonly", "max_execution_time", "max_result_rows", "max_memory_usage"])
def test_a_limit_is_not_lifted_by_the_url(front, parameter: str) -> None:
    answer = front.ask(f"SELECT getSetting('{parameter}')", user="reader", **{parameter: "0"})
    wanted = {"readonly": 1, **front.engine.limits.most()}[parameter]
    assert answer.text == f"{wanted}\n"


def test_a_limit_is_not_lifted_in_a_subquery(front) -> None:
    for user in ("default", "reader"):
        for value in (0, 1_000_000):
            inner = f"SELECT getSetting('max_execution_time') AS s SETTINGS max_execution_time = {value}, readonly = 0"
            answer = front.ask(f"SELECT s <= {front.engine.limits.seconds} AND s > 0 FROM ({inner})", user=user)
            assert answer.text == "1\n" or answer.status >= 400


def test_set_and_use_of_a_reader_change_nothing(front) -> None:
    for statement in ("SET readonly = 0", "SET max_execution_time = 0", "SET ROLE ours", "USE system"):
        assert front.ask(statement, user="reader").text == ""
    asked = "SELECT getSetting('readonly'), currentRoles(), currentDatabase()"
    assert front.ask(asked, user="reader").text == "1\t['reader']\totel\n"


def test_the_reader_reads(front, prey: Prey) -> None:
    assert front.ask(f"SELECT a FROM {prey.table}", user="reader").text == "1\n"
    assert front.ask(f"SELECT a FROM merge('otel', '^{prey.table}$')", user="reader").text == "1\n"
    assert front.ask(f"SELECT a FROM {prey.table} FORMAT JSON", user="reader").text.startswith("{")
    assert front.ask(f"DESCRIBE TABLE {prey.table}", user="reader").text.startswith("a\tUInt32")
    assert front.ask(f"EXISTS {prey.table}", user="reader").text == "1\n"
    assert front.ask("SHOW TABLES", user="reader").text.count(prey.table + "\n") == 1
    assert "ReadFromMergeTree" in front.ask(f"EXPLAIN SELECT * FROM {prey.table}", user="reader").text
    assert front.ask("SELECT timezone()", user="reader", session_timezone="Asia/Tokyo").text == "Asia/Tokyo\n"
    assert front.ask("SELECT number FROM numbers(2)", user="reader", output_format_json_quote_64bit_integers="1").text
    assert front.ask("SELECT {a:UInt8}", user="reader", param_a="3").text == "3\n"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT " + "(" * 100_000 + "1" + ")" * 100_000,
        "SELECT " + "[" * 50_000 + "]" * 50_000,
        "SELECT " + "NOT " * 100_000 + "1",
        "SELECT 1" + " + 1" * 200_000,
        "SELECT " + "(SELECT " * 5_000 + "1" + ")" * 5_000,
        "SELECT " + "x -> " * 50_000 + "1",
        "SELECT * FROM " + "(SELECT * FROM " * 3_000 + "system.one" + ")" * 3_000,
        "SELECT CASE " * 3_000 + "1" + " END" * 3_000,
        "SELECT 1 UNION ALL " * 60_000 + "SELECT 1",
        "/*" * 100_000,
        "SELECT '" + "x" * 5_000_000 + "'",
    ],
    ids=range(11),
)
@pytest.mark.parametrize("user", ["default", "reader"])
def test_very_long_and_deep_statements_are_refused_and_the_engine_lives(front, user: str, statement: str) -> None:
    assert front.ask(statement, user=user).status >= 400
    assert front.ask("SELECT 1", user=user).text == "1\n"


def test_every_table_function_of_the_engine_is_either_harmless_or_refused(front) -> None:
    names = json.loads(front.engine.read("SELECT groupArray(lower(name)) FROM system.table_functions", "JSONCompact"))
    [[known]] = names["data"]
    assert set(known) - FORBIDDEN_CALLS == HARMLESS_TABLE_FUNCTIONS & set(known)
