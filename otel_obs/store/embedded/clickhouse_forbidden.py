"""What no client may say in a statement, as its tokens show it: functions, engines and settings that leave the store.

This is the second line. The first are the grants of ``rights``: the engine refuses a client its table functions, table
engines and database engines for files and networks. Here stands what the grants do not cover, and what is done before
they are asked: ``sqlite('/new/file')`` makes the file, then looks for the right to.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from otel_obs.errors import QueryError
from otel_obs.store.embedded.clickhouse_settings import may_stand_in_a_statement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from otel_obs.store.embedded.clickhouse_statements import Token

ACCESS_DENIED: Final = 497


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# `eval` runs the statement in a string, where nobody sees it; `python` looks at our own objects; `disk` describes a
# disk, with a path or an endpoint, in a table's settings.
FORBIDDEN_CALLS: Final = _names(
    """
    arrowflight arrowstream azureblobstorage azureblobstoragecluster bigquery cluster clusterallreplicas cosn deltalake
    deltalakeazure deltalakeazurecluster deltalakecluster deltalakelocal deltalakes3 deltalakes3cluster dictionary disk
    eval executable file filecluster filesystem gcs hdfs hdfscluster hudi hudicluster iceberg icebergazure
    icebergazurecluster icebergcluster iceberghdfs iceberghdfscluster iceberglocal iceberglocalcluster icebergs3
    icebergs3cluster jdbc mongodb mysql odbc oss paimon paimonazure paimonazurecluster paimoncluster paimonhdfs
    paimonhdfscluster paimonlocal paimons3 paimons3cluster postgresql python redis remote remotesecure s3 s3cluster
    sqlite url urlcluster ytsaurus
    """
)
# Functions for which the engine wants no right. They need no brackets: `arrayMap(file, [path])`, `* APPLY file`.
_FORBIDDEN_FUNCTIONS: Final = _names(
    "file aiclassify aiembed aiextract aifilter aigenerate airedact aisimilarity aitranslate catboostevaluate"
)
_ENGINES: Final = _names(
    """
    alias atomic buffer generaterandom join log materializedview memory merge null set stripelog timeseries tinylog
    view
    """
)
# Table functions that take the names and types of columns as a text. That text may say `ALIAS file(…)`, and may be
# computed: so they are given literals only.
_STRUCTURED: Final = _names("format fuzzjson generaterandom input null sqlstandardvalues values")
_LITERALS: Final = frozenset({"null", "true", "false", "inf", "nan"})
_MARKS: Final = frozenset(",()[]-+.")
_EXPRESSION: Final = re.compile(r"\b(?:alias|default|materialized|ephemeral)\b.*[(`\"]", re.DOTALL | re.IGNORECASE)
_DEFINING: Final = frozenset({"CREATE", "ATTACH", "REPLACE"})
_READING: Final = frozenset({"SELECT", "WITH", "FROM"})
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|N|(.))", re.DOTALL)
_SUSPECT: Final = re.compile(rb"file|eval|\bai[a-z]|catboost|[`\"]|\xe2\x80\x9c", re.IGNORECASE)


def may_hold_a_name(data: bytes) -> bool:
    """Whether VALUES hold more than literals: what looks like a function that is refused, or a quoted name."""
    return _SUSPECT.search(data) is not None


def named(token: Token) -> str:
    """The name that a word or a quoted name spells, in lower case; empty for all else."""
    if token.rule == "word":
        return token.text.lower()
    if token.rule != "quoted":
        return ""
    return _ESCAPE.sub(_unescaped, token.text[1:-1]).lower()


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else escape[2] or ""


def refuse(what: str, fix: str = "") -> QueryError:
    """The refusal of something that leaves the store."""
    return QueryError(f"{what} is not the client's to use.", code=ACCESS_DENIED, fix=fix)


class Watch:
    """Looks at the tokens of one statement, one after the other, and refuses what leaves the store."""

    def __init__(self) -> None:
        self._first = ""
        self._names = ("", "")  # of the two tokens before
        self._texts = ("", "")
        self._open: list[str] = []  # for each open bracket, the function that takes literals only around it, or ""
        self._settings_depth: int | None = None
        self._is_list_of_columns = False

    def see(self, token: Token) -> None:
        """Take the next token.

        Raises:
            QueryError: it, with those before it, is not the client's to use (code 497).

        """
        name = named(token)
        if not self._first and token.text != "(":
            self._first = token.word
            self._is_list_of_columns = token.word == "INSERT"
        if token.depth == 0 and token.word in _READING:
            self._is_list_of_columns = False
        if token.text == ")" and self._open:
            self._open.pop()
        self._check_functions(token, name)
        self._check_settings(token, name)
        self._check_engine(token, name)
        if token.text == "(":
            around = self._open[-1] if self._open else ""
            is_structured = self._names[1] in _STRUCTURED and self._texts[0] != "."
            self._open.append(around or (self._names[1] if is_structured else ""))
        self._names = (self._names[1], name)
        self._texts = (self._texts[1], token.text)

    def _check_functions(self, token: Token, name: str) -> None:
        before = self._names[1]
        if token.text == "(" and before in FORBIDDEN_CALLS:
            raise refuse(f"The function {before}", "It reads or writes files of the server, or reaches a network.")
        if name in _FORBIDDEN_FUNCTIONS and self._texts[1] != "." and not self._is_list_of_columns:
            raise refuse(f"The function {name}", f"If it is a column, write it with its table: t.{name}.")
        if self._open and self._open[-1] and not self._is_plain(token, name):
            raise refuse(f"{token.text[:40]} within {self._open[-1]}()", "Give it literals only.")

    def _is_plain(self, token: Token, name: str) -> bool:
        """Whether a token may stand within a function that takes a structure as text."""
        if self._open[-1] == self._names[0] == "format" and self._texts[1] == "(":
            if token.rule == "string" and "{" in token.text:  # the other format(): a pattern and its values
                self._open[-1] = ""
            return token.rule in {"string", "word"} and name not in FORBIDDEN_CALLS
        if token.rule == "string":
            return token.text[0] == "'" and not _EXPRESSION.search(_ESCAPE.sub(_unescaped, token.text))
        return token.text in _MARKS or name in _LITERALS or token.text[:1].isdigit()

    def _check_settings(self, token: Token, name: str) -> None:
        if token.word == "SETTINGS" and self._texts[1] != ".":
            self._settings_depth = token.depth
        elif self._settings_depth is not None and token.depth < self._settings_depth:
            self._settings_depth = None
        setting, is_text = self._names[0], not name and not token.text[0].isdigit()
        if (
            self._settings_depth is not None
            and self._texts[1] == "="
            and not may_stand_in_a_statement(setting, is_text=is_text)
        ):
            raise refuse(f"The setting {setting}", "It may name files of the server, or hold a statement.")

    def _check_engine(self, token: Token, name: str) -> None:
        follows = self._names[1] == "engine" or (self._texts[1] == "=" and self._names[0] == "engine")
        if self._first in _DEFINING and name and follows and not _is_of_the_store(name):
            raise refuse(f"The engine {name}", "Use a MergeTree, Memory, Log or view.")
        if self._first == "ATTACH" and token.rule == "string" and self._names[1] == "from":
            raise refuse("ATTACH … FROM a path")


def _is_of_the_store(engine: str) -> bool:
    return engine in _ENGINES or (engine.endswith("mergetree") and not engine.startswith("replicated"))


def check_parameters(words: Collection[str], params: Mapping[str, str]) -> None:
    """Refuse the name of a function as the value of an ``{a:Identifier}``.

    Raises:
        QueryError: a value is such a name (code 497).

    """
    if "IDENTIFIER" not in words:
        return
    for value in params.values():
        if _ESCAPE.sub(_unescaped, value).lower() in _FORBIDDEN_FUNCTIONS:
            raise refuse("A function that reads files", "It was given as the value of a parameter.")


def check_values(tokens: Iterable[Token]) -> None:
    """Refuse expressions among the VALUES of an INSERT that leave the store.

    Raises:
        QueryError: there is one (code 497), or what is there cannot be cut into tokens.

    """
    watch = Watch()
    for token in tokens:
        watch.see(token)
