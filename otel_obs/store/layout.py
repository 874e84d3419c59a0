"""Whether a store is laid out as it is asked for: on one server, or on all those of one cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_obs.errors import SchemaError, StoreError
from otel_obs.store.client import DATABASE
from otel_obs.store.cluster import ALL_SHARDS, HISTORY
from otel_obs.store.embedded.clickhouse_statements import string

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_HOW_TO: Final = "docs/how-to/run-on-a-cluster.md"
_CLUSTERS: Final = "SELECT DISTINCT cluster FROM system.clusters ORDER BY cluster"
_SERVERS: Final = """
SELECT
    server,
    anyIf(engine, name = {{history:String}}) AS history,
    anyIf(engine, engine LIKE 'Distributed(%') AS distributed
FROM
(
    SELECT concat(hostName(), ':', toString(tcpPort())) AS server, '' AS name, '' AS engine FROM {one}
    UNION ALL
    SELECT concat(hostName(), ':', toString(tcpPort())), name, engine_full FROM {tables}
    WHERE database = {{database:String}}
)
GROUP BY server
ORDER BY server
"""
_OVER: Final = re.compile(r"Distributed\('((?:[^'\\]|\\.)*)'")


@dataclass(frozen=True, kw_only=True)
class _Server:
    name: str
    history: str
    distributed: str

    @property
    def is_of_a_cluster(self) -> bool:
        return ALL_SHARDS in self.history or bool(self.distributed)

    @property
    def cluster(self) -> str:
        """The cluster that it was laid out for; empty where it has no table over one yet."""
        found = _OVER.match(self.distributed)
        return found[1] if found else ""


def fits(client: Client, *, cluster: str) -> None:
    """Refuse a store that is laid out in another way than is asked for; ``cluster`` is empty for one server.

    Raises:
        SchemaError: it is laid out in another way, or a server of the cluster lacks what others have.
        StoreError: the server knows no such cluster.

    """
    if cluster:
        _is_known(client, cluster)
    servers = _servers(client, cluster)
    made = [server for server in servers if server.history]
    for server in made:
        if server.is_of_a_cluster != bool(cluster):
            raise _other_layout(server, cluster)
        if cluster and server.cluster not in {"", cluster}:
            raise SchemaError(
                f"{server.name} has tables over the cluster {server.cluster!r}, not {cluster!r}.",
                fix=f"Run `otel-obs migrate --cluster {server.cluster}`.",
            )
    lacking = [server.name for server in servers if not server.history]
    if lacking and any(server.distributed for server in made):
        raise SchemaError(
            f"{', '.join(lacking)} of cluster {cluster!r} lacks the tables that {made[0].name} has.",
            fix=f"Make them there as *Add a server* in {_HOW_TO} says, then run this again.",
        )


def _is_known(client: Client, cluster: str) -> None:
    known = [str(name) for (name,) in client.query(_CLUSTERS).result_rows]
    if cluster not in known:
        raise StoreError(
            f"The server knows no cluster {cluster!r}; it knows {', '.join(map(repr, known)) or 'none'}.",
            fix="Name one that it knows, or define it under <remote_servers> in the configuration of every server.",
        )


def _servers(client: Client, cluster: str) -> list[_Server]:
    everywhere = f"clusterAllReplicas({string(cluster)}, system.{{}})" if cluster else "system.{}"
    query = _SERVERS.format(one=everywhere.format("one"), tables=everywhere.format("tables"))
    rows = client.query(query, parameters={"database": DATABASE, "history": HISTORY}).result_rows
    return [_Server(name=name, history=history, distributed=distributed) for name, history, distributed in rows]


def _other_layout(server: _Server, cluster: str) -> SchemaError:
    if cluster:
        return SchemaError(
            f"{server.name} has the tables of a single server, which --cluster {cluster} would not turn into those of "
            "a cluster.",
            fix=f"Run it without --cluster, or move what it has as *Move from one server* in {_HOW_TO} says.",
        )
    return SchemaError(
        f"The store is laid out for the cluster {server.cluster!r}, and its other servers must change with it.",
        fix=f"Run `otel-obs migrate --cluster {server.cluster or 'NAME'}`.",
    )
