"""ClickHouse's statements as text: of which kind one is, where its FORMAT and its data are; nothing is run here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final

from otel_obs.errors import QueryError
from otel_obs.store.embedded.clickhouse_forbidden import ACCESS_DENIED, Watch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SYNTAX_ERROR: Final = 62

# As the engine's own lexer has it. Where the two disagree about the end of a string or of a comment, a client could
# hide INTO OUTFILE from us; so what is unknown or ambiguous is refused. Numbers need not be told from words.
# The quantifiers are possessive: an unclosed string costs linear time.
_RULES: Final = {
    "space": r"[ \t\n\r\f\v\x85\xa0\u180e\u2000-\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]++",
    "comment": r"(?:--|//|\#[ !])[^\n]*+",
    "nested_comment": r"/\*",
    # Is `1e--2` a number and a minus, or a name and a comment? The lexer decides by what stands before it.
    "ambiguous": r"(?:0[xX][\w.]*[pP]|[\d.][\d_.]*[eE])--",
    "string": r"'(?:[^'\\]++|\\.|'')*+'|\u2018[^\u2019]*+\u2019|[xX]'[0-9a-fA-F]*+'|[bB]'[01]*+'"
    r"|\$(?P<tag>\w*+)\$.*?\$(?P=tag)\$",
    "unclosed": r"'|[xXbB]'(?=.)",
    "quoted": r'"(?:[^"\\]++|\\.|"")*+"|`(?:[^`\\]++|\\.|``)*+`|\u201c[^\u201d]*+\u201d',
    "word": r"\d\w*+|[A-Za-z_][\w$]*+|\$\w[\w$]*+",
    "mark": r"[-+*/%=<>!?^~&:|@.,;(){}\[\]$\u2212]|\\G",
}
_TOKEN: Final = re.compile("|".join(f"(?P<{name}>{rule})" for name, rule in _RULES.items()), re.DOTALL | re.ASCII)
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")
_BEFORE_DATA: Final = re.compile(r"[ \t\f]*\r?\n?")

_READING: Final = frozenset({"SELECT", "WITH", "FROM"})
_LISTING: Final = frozenset({"SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN"})
_OF_SESSION: Final = frozenset({"SET", "USE"})
_ENDING_THE_PROCESS: Final = frozenset({("SYSTEM", "SHUTDOWN"), ("SYSTEM", "KILL")})
_SERVER_FILES: Final = frozenset({("INTO", "OUTFILE"), ("FROM", "INFILE")})
_OPENING: Final = frozenset("([{")
_CLOSING: Final = frozenset(")]}")


class Kind(Enum):
    """What a statement does with the store."""

    EMPTY = "says nothing"
    SELECT = "reads rows; its answer may be large"
    LISTING = "reads a little: SHOW, DESCRIBE, EXISTS, EXPLAIN"
    INSERT_SELECT = "stores the rows of a SELECT"
    COMMAND = "changes something, or what we do not know"
    SESSION = "concerns the client's session only: SET, USE"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a statement that is neither white space nor comment; ``word`` is in upper case."""

    rule: str
    text: str
    start: int
    end: int
    depth: int

    @property
    def word(self) -> str:
        """The keyword that this may be; empty for strings, quoted names and marks."""
        return self.text.upper() if self.rule == "word" else ""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement without data; ``form`` is the word after FORMAT (or empty), ``form_at`` where that clause begins."""

    kind: Kind
    text: str
    words: frozenset[str]
    form: str = ""
    form_at: int = 0

    def into_outfile(self, path: str, form: str) -> str:
        """The same SELECT, its answer written to a new file of ours, ``path``, in format ``form``."""
        clause = f" INTO OUTFILE {string(path)} COMPRESSION 'none'"
        if self.form:
            return f"{self.text[: self.form_at]}{clause} {self.text[self.form_at :]}"
        return f"{self.text}{clause} FORMAT {form}"


@dataclass(frozen=True, kw_only=True)
class Insert:
    """An INSERT whose rows follow as data; they begin at ``data_at`` of the text that was examined."""

    head: str
    settings: str
    form: str
    data_at: int

    def from_infile(self, path: str) -> str:
        """The same INSERT, its rows read from our file ``path``. The engine takes SETTINGS only after FROM INFILE."""
        source = f"FROM INFILE {string(path)} COMPRESSION 'none'"
        return "\n".join([self.head, source, self.settings, f"FORMAT {self.form}"])  # a line may end in a comment


def string(value: str) -> str:
    """``value`` as a string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def tokens(text: str) -> Iterator[Token]:
    """Cut ``text`` lazily: what follows the last token taken is not looked at.

    Raises:
        QueryError: a string or a comment is not closed, or a character is none of ClickHouse's.

    """
    at, depth = 0, 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        rule = found.lastgroup if found else None
        if found is None or rule in {"unclosed", "ambiguous"}:
            raise QueryError(f"Syntax error: what begins at position {at + 1} is no token.", code=SYNTAX_ERROR)
        start, at = at, (_end_of_comment(text, at) if rule == "nested_comment" else found.end())
        if rule in {"space", "comment", "nested_comment"}:
            continue
        piece = found.group()
        depth -= piece in _CLOSING
        yield Token(rule or "", piece, start, at, depth)
        depth += piece in _OPENING


def _end_of_comment(text: str, start: int) -> int:
    level = 0
    at = start
    while edge := _COMMENT_EDGE.search(text, at):
        at = edge.end()
        level += 1 if edge.group() == "/*" else -1
        if level == 0:
            return at
    raise QueryError(f"Syntax error: the comment at position {start + 1} is not closed.", code=SYNTAX_ERROR)


def examine(text: str) -> Statement | Insert:
    """Say what the one statement in ``text`` is; an INSERT's data is not looked at.

    Raises:
        QueryError: it names a file of the server (INTO OUTFILE, FROM INFILE) or else what no client may use (see
            ``clickhouse_forbidden``), is followed by another statement, or cannot be cut into tokens.

    """
    stream = _of_one_statement(text)
    seen = list(islice(stream, 1))
    if seen and seen[0].word == "INSERT":
        insert = _insert(text, stream, seen)
        if insert is not None:
            return insert
    seen.extend(stream)
    return _statement(text, [token for token in seen if token.text != ";"])


def _of_one_statement(text: str) -> Iterator[Token]:
    before = ("", "")
    ended = False
    watch = Watch()
    for token in tokens(text):
        watch.see(token)
        if token.rule == "string" and before in _SERVER_FILES:
            raise QueryError(
                f"{' '.join(before)} names a file of the server, which is not the client's to use.",
                code=ACCESS_DENIED,
                fix="Send rows in the request's body and read them from the answer.",
            )
        if ended and token.text != ";":
            raise QueryError("Syntax error: a request holds one statement, and this one goes on.", code=SYNTAX_ERROR)
        ended = ended or token.text == ";"
        before = (before[1], token.word)
        if before in _ENDING_THE_PROCESS:
            raise QueryError(f"{' '.join(before)} is not the client's to ask.", code=ACCESS_DENIED)
        yield token


def _insert(text: str, stream: Iterator[Token], seen: list[Token]) -> Insert | None:
    """The INSERT whose data follows, or None (its rows come from a SELECT); tokens taken are added to ``seen``."""
    settings_at: int | None = None
    for clause in _clauses(stream, seen):
        if clause.word in _READING:
            return None
        if clause.word == "SETTINGS":
            settings_at = clause.start
        elif clause.word in {"VALUES", "FORMAT"}:
            form, data_at = ("Values", clause.end) if clause.word == "VALUES" else _form_and_data(text, stream)
            head_end = clause.start if settings_at is None else settings_at
            return Insert(
                head=text[:head_end].rstrip(),
                settings=text[head_end : clause.start].rstrip(),
                form=form,
                data_at=data_at,
            )
    return None


def _clauses(stream: Iterator[Token], seen: list[Token]) -> Iterator[Token]:
    """The words of an INSERT outside brackets and after the table's name: any of them may begin a clause."""
    named = False
    for token in stream:
        after_dot = seen[-1].text == "."
        seen.append(token)
        if token.depth == 0 and named and token.word and not after_dot:
            yield token
        named = named or token.word not in {"INTO", "TABLE", "FUNCTION"}


def _form_and_data(text: str, stream: Iterator[Token]) -> tuple[str, int]:
    name = next(stream, None)
    if name is None or not name.word or text.startswith(";", name.end):
        raise QueryError("Syntax error: FORMAT wants a format's name, white space, the rows.", code=SYNTAX_ERROR)
    separator = _BEFORE_DATA.match(text, name.end)
    return name.text, separator.end() if separator else name.end


def _statement(text: str, seen: Sequence[Token]) -> Statement:
    if not seen:
        return Statement(kind=Kind.EMPTY, text="", words=frozenset())
    clause = _format_clause(seen)
    return Statement(
        kind=_kind(seen),
        text=text[: seen[-1].end],
        words=frozenset(token.word for token in seen),
        form=clause[1].text if clause else "",
        form_at=clause[0].start if clause else 0,
    )


def _kind(seen: Sequence[Token]) -> Kind:
    first = next((token.word for token in seen if token.text != "("), "")
    if any(one.word == "INSERT" and two.word == "INTO" and one.depth == 0 for one, two in pairwise(seen)):
        return Kind.INSERT_SELECT if first in {"INSERT", "WITH"} else Kind.COMMAND
    for words, kind in ((_READING, Kind.SELECT), (_LISTING, Kind.LISTING), (_OF_SESSION, Kind.SESSION)):
        if first in words:
            return kind
    return Kind.COMMAND


def _format_clause(seen: Sequence[Token]) -> tuple[Token, Token] | None:
    """The FORMAT at the end, before at most SETTINGS; a column may be called format."""
    for at in range(len(seen) - 2, 0, -1):
        word, name = seen[at], seen[at + 1]
        if word.word == "FORMAT" and word.depth == 0 and name.word and seen[at - 1].text not in {".", ","}:
            following = seen[at + 2].word if at + 2 < len(seen) else ""
            return (word, name) if at + 2 == len(seen) or following == "SETTINGS" else None
    return None
