"""What a connection may do, as the engine itself enforces it: roles with grants, and bounds of settings."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_obs.store.embedded.limits import Limits


class Rights(StrEnum):
    """The role of a connection. The engine has one user; who has put on a role has its grants only."""

    OURS = "ours"  # migrations, ingest: everything, files of this machine as well
    CLIENT = "client"
    READER = "reader"


# A table function, table engine or database engine that reads a file or reaches the network needs READ or WRITE ON its
# kind of source, which only OURS has; so does a dictionary.
_GRANTS: Final = {
    Rights.OURS: ("GRANT ALL ON *.*",),
    Rights.CLIENT: (
        "GRANT SHOW, SELECT, INSERT, ALTER, DROP, TRUNCATE, OPTIMIZE, UNDROP TABLE, CHECK, KILL QUERY ON *.*",
        "GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE TEMPORARY TABLE, CREATE FUNCTION ON *.*",
        "GRANT DROP FUNCTION, MOVE PARTITION BETWEEN SHARDS, SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM VIEWS ON *.*",
        "GRANT SYSTEM FLUSH LOGS, SYSTEM SYNC REPLICA, SYSTEM DROP CACHE ON *.*",
    ),
    Rights.READER: ("GRANT SHOW DATABASES, SHOW TABLES, SHOW COLUMNS, SELECT ON *.*",),
}
# What these tell of other people's statements includes the values of their parameters. The engine lets everybody select
# from `system`, whatever the grants: so a reader finds no rows there.
_TELLING_OF_OTHERS: Final = (
    "asynchronous_inserts", "errors", "mutations", "processes", "query_cache", "session_query_ids", "stack_trace",
    "user_query_log", "view_refreshes",
)  # fmt: skip
# Deeper texts overflow the stack of the engine, which is this process.
_DEPTHS: Final = {"max_parser_depth": 1000, "max_ast_depth": 1000, "max_analyze_depth": 5000, "max_subquery_depth": 100}
_NO_READER: Final = f"NOT has(currentRoles(), '{Rights.READER}')"
_SERVER: Final = """\
<clickhouse>
  <users_config>{users}</users_config>
</clickhouse>
"""
_USERS: Final = """\
<clickhouse>
  <profiles><default><constraints>
{bounds}
  </constraints></default></profiles>
  <roles>
{roles}
  </roles>
  <users><default>
    <password></password>
    <networks><ip>::/0</ip></networks>
    <profile>default</profile>
    <quota>default</quota>
    <grants>
{granted}
    </grants>
    <databases><system>
{hidden}
    </system></databases>
  </default></users>
  <quotas><default/></quotas>
</clickhouse>
"""


def _users(limits: Limits) -> str:
    bounds = [f"<{name}><min>1</min><max>{most}</max></{name}>" for name, most in limits.most().items()]
    bounds += [f"<{name}><max>{most}</max></{name}>" for name, most in _DEPTHS.items()]
    roles = [
        f"<{role}><grants>{''.join(f'<query>{grant}</query>' for grant in grants)}</grants></{role}>"
        for role, grants in _GRANTS.items()
    ]
    granted = [f"<query>GRANT {role}</query>" for role in _GRANTS]
    hidden = [f"<{name}><filter>{_NO_READER}</filter></{name}>" for name in _TELLING_OF_OTHERS]
    parts = {"bounds": bounds, "roles": roles, "granted": granted, "hidden": hidden}
    return _USERS.format(**{name: "\n".join(lines) for name, lines in parts.items()})


@contextmanager
def configuration(limits: Limits) -> Iterator[Path]:
    """The engine's configuration file with these roles and bounds; it is read once, by the first that opens a store."""
    with tempfile.TemporaryDirectory(prefix="otel_obs_rights_") as directory:
        users, server = Path(directory, "users.xml"), Path(directory, "server.xml")
        users.write_text(_users(limits), encoding="utf-8")
        server.write_text(_SERVER.format(users=escape(str(users))), encoding="utf-8")
        yield server
