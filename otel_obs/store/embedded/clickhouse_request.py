"""One request of ClickHouse's HTTP interface as data: statement, parameters, settings, packing; it runs nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypedDict
from urllib.parse import parse_qsl
from uuid import uuid4

from otel_obs.errors import QueryError
from otel_obs.store.embedded.clickhouse_settings import may_be_set
from otel_obs.store.embedded.engine import DATABASE
from otel_obs.store.embedded.rights import Rights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

NOT_IMPLEMENTED: Final = 48
UNKNOWN_FORMAT: Final = 73
BAD_ARGUMENTS: Final = 36

_FORMAT_NAME: Final = re.compile(r"\w+", re.ASCII)
_FORMATS_OF_PYTHON: Final = frozenset({"dataframe", "datastore", "arrowtable"})  # chdb answers these with objects
_QUERY_ID: Final = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_BOUNDARY: Final = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)
_FIELD_NAME: Final = re.compile(rb'name="([^"]*)"', re.IGNORECASE)


class Given(TypedDict):
    """What the engine is given with a statement."""

    params: Mapping[str, str]
    settings: Mapping[str, str]
    database: str


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a request asks for, except what its body says.

    ``query`` is the statement, or the first part of it, as far as the URL has it; ``params`` are the values of the
    statement's ``{name:Type}``; ``encoding`` (HTTP's) lies around ``decompress`` (ClickHouse's frames); ``tag`` marks
    the statement, so that it can be found and stopped.
    """

    query: str
    params: Mapping[str, str]
    settings: Mapping[str, str]
    database: str
    default_format: str
    query_id: str
    protocol: int
    read_only: bool
    compress: bool
    decompress: bool
    wait_end_of_query: bool
    encoding: str
    content_type: str
    rights: Rights = Rights.READER
    tag: str = field(default_factory=lambda: uuid4().hex)

    @classmethod
    def of(cls, request: Request) -> Call:
        """Read URL and headers; of a parameter that is given twice the last counts."""
        given = parameters(request)
        headers = request.headers
        protocol, query_id = given.get("client_protocol_version", ""), given.get("query_id", "")
        return cls(
            query=given.get("query", ""),
            params=_bound(given),
            settings={name: value for name, value in given.items() if may_be_set(name)},
            database=given.get("database") or headers.get("x-clickhouse-database") or DATABASE,
            default_format=given.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated",
            query_id=query_id if _QUERY_ID.fullmatch(query_id) else uuid4().hex,
            protocol=int(protocol) if protocol.isascii() and protocol.isdigit() else 0,
            read_only=request.method != "POST" or given.get("readonly", "0") not in {"0", ""},
            compress=given.get("compress") == "1",
            decompress=given.get("decompress") == "1",
            wait_end_of_query=given.get("wait_end_of_query") == "1",
            encoding=headers.get("content-encoding", ""),
            content_type=headers.get("content-type", ""),
        )

    @property
    def given(self) -> Given:
        """Parameters, settings and database, as the engine's methods take them."""
        return {"params": self.params, "settings": self.settings, "database": self.database}

    @property
    def is_form(self) -> bool:
        """The body is a form: clients send one when the parameters are too long for a URL."""
        return self.content_type.lower().startswith("multipart/form-data")

    def with_form(self, body: bytes) -> Call:
        """The same call with the statement and the parameters that the form ``body`` holds.

        Raises:
            QueryError: it is no form, or it brings tables of its own.

        """
        fields = _fields(body, self.content_type)
        return replace(self, query=self.query + fields.get("query", ""), params={**self.params, **_bound(fields)})

    def format_of_answer(self, named: str) -> str:
        """The statement's own FORMAT, or the client's default.

        Raises:
            QueryError: that is no name of a format.

        """
        name = named or self.default_format
        if not _FORMAT_NAME.fullmatch(name) or name.lower() in _FORMATS_OF_PYTHON:
            raise QueryError(f"Unknown format {name!r}.", code=UNKNOWN_FORMAT)
        return name


def parameters(request: Request) -> dict[str, str]:
    """The parameters of the URL; of one that is given twice the last counts."""
    text = request.scope["query_string"].decode("latin-1")
    return dict(parse_qsl(text, keep_blank_values=True, errors="surrogateescape"))


def _bound(given: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix("param_"): value for name, value in given.items() if name.startswith("param_")}


def _fields(body: bytes, content_type: str) -> dict[str, str]:
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise QueryError("A multipart body needs its boundary in Content-Type.", code=BAD_ARGUMENTS)
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.group(1).encode("latin-1"))
    fields = {}
    for part in parts[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = _FIELD_NAME.search(head)
        if name is None or b"filename=" in head.lower():
            raise QueryError("Tables sent along with a statement are not supported.", code=NOT_IMPLEMENTED)
        fields[name.group(1).decode("utf-8", "surrogateescape")] = content.decode("utf-8", "surrogateescape")
    return fields
