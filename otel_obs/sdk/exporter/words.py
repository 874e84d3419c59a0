"""What may be told of an exchange with a receiver: short, printable, and without its secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST: Final = 200
_SHORTEST_SECRET: Final = 4
_DEEPEST: Final = 10


class Discreet:
    """Texts as others may read them, where the secrets are those of one place and the values of headers."""

    def __init__(self, url: str, headers: Iterable[str]) -> None:
        secrets = {*_of_headers(headers), *_of_url(url)}
        found = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
        self._secrets = sorted(found, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """``text`` in one line, shortened, its secrets replaced."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
        return line if len(line) <= _MOST else f"{line[: _MOST - 1]}…"


def _of_headers(values: Iterable[str]) -> Iterator[str]:
    for value in values:
        yield value
        yield value.rpartition(" ")[2]  # the token without its scheme


def _of_url(url: str) -> Iterable[str]:
    parts = urlsplit(url)
    given = [parts.password or "", parts.username or "", *(value for _, value in parse_qsl(parts.query)), parts.query]
    return [*given, *(unquote(one) for one in given)]


def without_secrets(url: str) -> str:
    """A URL with neither user nor password, query nor fragment."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def cause(error: BaseException) -> str:
    """The system's own words for an error, wherever in its chain they are; its own text may hold secrets."""
    found: list[object] = [error]
    for one in found:
        if isinstance(one, OSError) and one.strerror:
            return one.strerror
        if isinstance(one, BaseException) and len(found) < _DEEPEST:
            found += [next_ for next_ in (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
                      if isinstance(next_, BaseException)]  # fmt: skip
    return type(found[-1]).__name__
