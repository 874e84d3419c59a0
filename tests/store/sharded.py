"""A cluster of two shards that one engine plays: what a shard would hold is what a filter lets it see.

The engine has no Keeper and takes no connections, so ON CLUSTER and the replicas' places are left out of the DDL, and
both shards are this engine. Each local table shows a shard only the rows that the Distributed table's own key sends
there: queries over both are cut in two, sent, and put together as between servers.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import clickhouse_connect

from otel_obs.store.client import _SETTINGS, DATABASE
from otel_obs.store.cluster import LOCAL, SHARDED_BY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

NAME: Final = "pair"
_SHARD: Final = "<shard><replica><host>127.0.0.1</host><port>9000</port></replica></shard>"
_SERVER: Final = """\
<clickhouse>
  <tcp_port>9000</tcp_port>
  <users_config>{users}</users_config>
  <remote_servers><{name}>{shards}</{name}><other>{shard}</other></remote_servers>
</clickhouse>
"""
_USERS: Final = """\
<clickhouse>
  <profiles><default><distributed_foreground_insert>1</distributed_foreground_insert></default></profiles>
  <users><default>
    <password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
    <databases><{database}>{filters}</{database}></databases>
  </default></users>
  <quotas><default/></quotas>
</clickhouse>
"""
_OF_SERVERS: Final = re.compile(r" ON CLUSTER '\w+'|'/clickhouse/[^']*', '[^']*'(?:, )?")


def on_one_engine(statement: str) -> str:
    """The same statement without what only servers with a Keeper can do."""
    return _OF_SERVERS.sub("", statement).replace("ENGINE = Replicated", "ENGINE = ")


@contextmanager
def engine(directory: Path) -> Iterator[Client]:
    """An engine that knows the cluster, and nothing else yet."""
    filters = "".join(
        f"<{table}{LOCAL}><filter>shardNum() IN (0, {key} % 2 + 1)</filter></{table}{LOCAL}>"
        for table, key in SHARDED_BY.items()
    )
    users, server = directory / "users.xml", directory / "server.xml"
    users.write_text(_USERS.format(database=DATABASE, filters=filters))
    server.write_text(_SERVER.format(users=users, name=NAME, shards=_SHARD * 2, shard=_SHARD))
    target = f"{directory / 'engine'}?config-file={server}"
    client = clickhouse_connect.get_client(
        interface="chdb", path=target, database="default", settings=_SETTINGS, tz_mode="aware"
    )
    try:
        yield client
    finally:
        client.close()


@contextmanager
def without_keeper(client: Client) -> Iterator[None]:
    """Let statements for a cluster reach this engine as it can run them."""
    command = client.command

    def run(text: str, **more: Any) -> Any:
        return command(on_one_engine(text), **more)

    with patch.object(client, "command", run):
        yield
