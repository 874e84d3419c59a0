"""Who may come in: the two users of the store, their passwords, and how a request names them. Nothing is run here."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from otel_obs.errors import QueryError, SettingError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

AUTHENTICATION_FAILED: Final = 516
OTLP_HINT: Final = "OTEL_EXPORTER_OTLP_HEADERS=authorization=Basic%20<base64 of default:password>"

_BASIC: Final = "basic "


class User(StrEnum):
    """The store's users, by ClickHouse's names for them."""

    DEFAULT = "default"  # reads and writes
    READER = "reader"


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The passwords; without one everybody who reaches the port may come in.

    ``reader`` is let in with its own password, or with that of ``default``, who may do more.

    Raises:
        SettingError: only the reader has a password, so that anybody could come in as ``default``.

    """

    password: str = field(default="", repr=False)
    reader_password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.reader_password and not self.password:
            raise SettingError(
                "The user reader has a password, and the user default, who may do more, has none.",
                fix="Set OTEL_OBS_PASSWORD_FILE or --password-file as well.",
            )

    @property
    def are_needed(self) -> bool:
        """Whether nobody comes in without a password."""
        return bool(self.password)

    def user(self, name: str, password: str) -> User | None:
        """The user of this name, if the password is right; the time taken does not tell how wrong it is."""
        known = {user.value: user for user in User}.get(name or User.DEFAULT)
        if not self.are_needed:
            return known
        right = _same(password, self.password)
        if known is User.READER and self.reader_password:
            right |= _same(password, self.reader_password)
        return known if right else None


NO_PASSWORDS: Final = Credentials()


def _same(given: str, wanted: str) -> bool:
    hashes = (sha256(text.encode("utf-8", "surrogateescape")).digest() for text in (given, wanted))
    return hmac.compare_digest(*hashes)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on ``host``."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def required_for(host: str, credentials: Credentials) -> None:
    """Refuse to listen beyond this machine without a password.

    Raises:
        SettingError: there is none.

    """
    if not is_loopback(host) and not credentials.are_needed:
        raise SettingError(
            f"--host {host} lets other machines in, and there is no password.",
            fix="Put one in a file of your own (chmod 600) and give --password-file FILE, or set "
            "OTEL_OBS_PASSWORD_FILE; or leave --host away.",
        )


def from_basic(header: str) -> tuple[str, str] | None:
    """User and password of HTTP's Authorization header; None where it is of another scheme or unreadable."""
    if not header.lower().startswith(_BASIC):
        return None
    try:
        text = base64.b64decode(header[len(_BASIC) :].strip(), validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return None
    name, colon, password = text.partition(":")
    return (name, password) if colon else None


def _text(header: str) -> str:
    """A header as its sender meant it: clients send UTF-8, which HTTP's libraries read as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def who_asks(headers: Headers, parameters: Mapping[str, str], credentials: Credentials) -> User:
    """The user of a request to ClickHouse's HTTP interface: by its headers, by Basic, or by ``user`` in the URL.

    Raises:
        QueryError: wrong name or password, or several at once (code 516).

    """
    ways: list[tuple[str, str] | None] = []
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        ways.append((_text(headers.get("x-clickhouse-user", "")), _text(headers.get("x-clickhouse-key", ""))))
    if "authorization" in headers:
        ways.append(from_basic(headers["authorization"]))
    if "user" in parameters or "password" in parameters:
        ways.append((parameters.get("user", ""), parameters.get("password", "")))
    if len(ways) > 1:
        raise QueryError(
            "User and password are given in more than one way.",
            code=AUTHENTICATION_FAILED,
            fix="Use X-ClickHouse-User and X-ClickHouse-Key, or HTTP Basic, or user= and password= in the URL.",
        )
    given = ways[0] if ways else ("", "")
    user = credentials.user(*given) if given else None
    if user is None:
        name = (given[0] if given else "") or User.DEFAULT
        raise QueryError(
            f"{name}: Authentication failed: password is incorrect, or there is no user with such name.",
            code=AUTHENTICATION_FAILED,
            fix="The store's users are default and reader; see OTEL_OBS_PASSWORD_FILE. (AUTHENTICATION_FAILED)",
        )
    return user


class PasswordRequired:
    """Passes a request on if HTTP Basic names one of ``users`` with the right password, or there are no passwords."""

    def __init__(
        self,
        app: ASGIApp,
        credentials: Credentials,
        *,
        users: Collection[User] = (User.DEFAULT,),
        open_paths: Collection[str] = (),
    ) -> None:
        self._app = app
        self._credentials = credentials
        self._users = users
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = scope["type"] == "http" and scope["path"] not in self._open_paths and not self._lets_in(scope)
        await (self._refusal() if refused else self._app)(scope, receive, send)

    def _lets_in(self, scope: Scope) -> bool:
        given = from_basic(Headers(scope=scope).get("authorization", ""))
        return may_come_in(self._credentials, given, self._users)

    def _refusal(self) -> ASGIApp:
        names = " or ".join(self._users)
        return PlainTextResponse(
            f"Refused: this needs HTTP Basic with the password of {names}. For OTLP: {OTLP_HINT}\n",
            status_code=401,
            headers={"WWW-Authenticate": 'Basic realm="otel-obs", charset="UTF-8"'},
        )


def may_come_in(credentials: Credentials, given: tuple[str, str] | None, users: Collection[User]) -> bool:
    """Whether what a sender gave is right for one of ``users``; anything is, where there are no passwords."""
    return not credentials.are_needed or (given is not None and credentials.user(*given) in users)
