"""What answers of ClickHouse's HTTP interface look like: headers, small and streamed bodies, refusals, the hello."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final

from otel_obs.errors import QueryError
from otel_obs.store.embedded.clickhouse_forbidden import ACCESS_DENIED
from otel_obs.store.embedded.clickhouse_frames import QUERY_IS_TOO_LARGE, framed, plain_frame
from otel_obs.store.embedded.clickhouse_statements import SYNTAX_ERROR
from otel_obs.store.embedded.credentials import AUTHENTICATION_FAILED
from otel_obs.store.embedded.engine import TOO_MANY_QUERIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from starlette.types import Message

    from otel_obs.store.embedded.clickhouse_request import Call

UNKNOWN_EXCEPTION: Final = 1002

_AT_ONCE: Final = 1 << 20  # an answer below this size is sent whole, with its length
_TIMEZONE: Final = re.compile(r"[\w/+-]+", re.ASCII)
_CONTENT_TYPES: Final = {
    "csv": "text/csv; charset=UTF-8",
    "csvwithnames": "text/csv; charset=UTF-8",
    "json": "application/json; charset=UTF-8",
    "jsoncompact": "application/json; charset=UTF-8",
    "jsoneachrow": "application/x-ndjson; charset=UTF-8",
    "tabseparated": "text/tab-separated-values; charset=UTF-8",
    "tsv": "text/tab-separated-values; charset=UTF-8",
}
# As ClickHouse has it; what is not named here is the server's own trouble.
_STATUS: Final = {
    **dict.fromkeys(
        (6, 12, 25, 26, 27, 36, 38, 40, 41, 44, 53, SYNTAX_ERROR, 72, 89, 117, 271, 321, 376, 456, 457), 400
    ),
    **dict.fromkeys((164, 452, ACCESS_DENIED, AUTHENTICATION_FAILED), 403),
    **dict.fromkeys((46, 47, 50, 56, 60, 73, 81, 115, 336), 404),
    159: 408,
    QUERY_IS_TOO_LARGE: 413,
    48: 501,
    TOO_MANY_QUERIES: 503,
}
# What to do about a limit, by the code of the error that it makes.
_WAY_OUT: Final = {
    **dict.fromkeys(
        (159, 160), "Ask for a shorter time or for fewer columns; whoever runs the store may raise --max-query-seconds."
    ),
    241: "Group or sort less at once; whoever runs the store may raise --max-query-memory.",
    396: "Add LIMIT, or aggregate; whoever runs the store may raise --max-result-rows.",
}
_TELLING: Final = 3  # fewer characters occur in any sentence: only as a literal do they give a value away
_BAD_QUERY_PARAMETER: Final = 457
_UNPARSED: Final = re.compile(r"Value .* cannot be parsed as (.+?) for query parameter '(\w+)'.*", re.DOTALL)
_OUR_FILE: Final = re.compile(r" ?\(in file/uri [^)]*\)")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}


def messages(call: Call, form: str, answer: Iterable[bytes]) -> Iterator[Message]:
    """The ASGI messages of an answer in format ``form`` (empty: it has none).

    What ``answer`` raises before the first message is raised here; what it raises later ends the body with
    ClickHouse's exception block and no end of the response, so that the client sees a broken connection.
    """
    pieces = framed(answer) if call.compress else _cut(answer)
    head, complete = taken(pieces, _AT_ONCE)
    headers = _headers(call, form)
    if complete:
        yield from _whole(200, headers, head)
        return
    yield _start(200, {**headers, "X-ClickHouse-Exception-Tag": _exception_tag(call)})
    yield _body(head, more=True)
    try:
        for piece in pieces:
            yield _body(piece, more=True)
    except QueryError as error:
        block = _exception_block(call, error)
        yield _body(plain_frame(block) if call.compress else block, more=True)
        return
    yield _body(b"", more=False)


def refusal(call: Call, error: QueryError) -> Iterator[Message]:
    """The ASGI messages that tell ``error``."""
    text = _told(call, error)
    headers = {
        "Content-Type": "text/plain; charset=UTF-8",
        "X-ClickHouse-Exception-Code": str(error.code or UNKNOWN_EXCEPTION),
        "X-ClickHouse-Query-Id": call.query_id,
    }
    yield from _whole(_STATUS.get(error.code, 500), headers, b"".join(framed([text])) if call.compress else text)


def hello(name: str, version: str, timezone: str) -> bytes:
    """One Native block of revision 54454 and later which says that all others are of revision 0."""
    columns = (
        ("displayName()", "String", _short(name)),
        ("version()", "String", _short(version)),
        ("revision()", "UInt32", struct.pack("<I", 0)),
        ("timezone()", "String", _short(timezone)),
    )
    block_info = b"\x01\x00\x02" + struct.pack("<i", -1) + b"\x00"
    sizes = bytes([len(columns), 1])
    return (
        block_info + sizes + b"".join(_short(title) + _short(kind) + b"\x00" + value for title, kind, value in columns)
    )


def taken(pieces: Iterator[bytes], count: int) -> tuple[bytes, bool]:
    """At least ``count`` bytes from the front of ``pieces`` as far as there are, and whether that is all."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= count:
            return bytes(held), False
    return bytes(held), True


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of at most one MiB: the engine's may be large, and a server copies what it sends."""
    for piece in pieces:
        yield from (piece[start : start + _AT_ONCE] for start in range(0, len(piece), _AT_ONCE))


def _short(text: str) -> bytes:
    data = text.encode()[:127]  # a length in one byte
    return bytes([len(data)]) + data


def _headers(call: Call, form: str) -> dict[str, str]:
    timezone = call.settings.get("session_timezone", "")
    headers = {
        "X-ClickHouse-Server-Display-Name": "otel-obs",
        "X-ClickHouse-Query-Id": call.query_id,
        "X-ClickHouse-Timezone": timezone if _TIMEZONE.fullmatch(timezone) else "UTC",
        "Content-Type": _CONTENT_TYPES.get(
            form.lower(), "application/octet-stream" if form else "text/plain; charset=UTF-8"
        ),
    }
    return {**headers, "X-ClickHouse-Format": form} if form else headers


def _whole(status: int, headers: Mapping[str, str], body: bytes) -> tuple[Message, Message]:
    return _start(status, {**headers, "Content-Length": str(len(body))}), _body(body, more=False)


def _start(status: int, headers: Mapping[str, str]) -> Message:
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


def _body(data: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def _exception_tag(call: Call) -> str:
    return call.tag[:16]


def _exception_block(call: Call, error: QueryError) -> bytes:
    text, tag = _told(call, error), _exception_tag(call).encode()
    edge = b"\r\n__exception__\r\n"
    return edge + tag + b"\r\n" + text + b"\n%d %s" % (len(text) + 1, tag) + edge


def _told(call: Call, error: QueryError) -> bytes:
    """The error as ClickHouse words it, without our tag and file, and without the values of the client's parameters."""
    text = _OUR_FILE.sub("", str(error).replace(f"/* {call.tag} */", ""))
    _, engines_own, rest = text.partition("DB::Exception: ")
    message = rest if engines_own else text
    if error.code == _BAD_QUERY_PARAMETER:
        message = _UNPARSED.sub(
            r"The value of query parameter '\2' cannot be parsed as \1. (BAD_QUERY_PARAMETER)", message
        )
    for name, value in call.params.items():
        message = _without(message, value, f"{{{name}}}")
    if error.code in _WAY_OUT:
        message = f"{message.rstrip()} {_WAY_OUT[error.code]}"
    return f"Code: {error.code or UNKNOWN_EXCEPTION}. DB::Exception: {message}".encode("utf-8", "replace")


def _without(message: str, value: str, name: str) -> str:
    for shown in {value, _ESCAPED.sub(lambda pair: _ESCAPES.get(pair[1], pair[1]), value)} - {""}:
        message = message.replace(shown, name) if len(shown) >= _TELLING else message.replace(f"'{shown}'", name)
    return message
