"""Run as one user of deploy/clickhouse/users.xml, in a process of its own: the engine reads its configuration once.

The engine in a process knows one user, `default`: so that one is given everything that the file says of another.
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import clickhouse_connect

from otel_obs.reports.registry import REPORTS
from otel_obs.reports.run import run
from otel_obs.store.client import DATABASE
from otel_obs.store.migrate import migrate
from otel_obs.store.upkeep.backup import backup
from otel_obs.store.upkeep.restore import restore

WINDOW = {"from": "1990-01-01", "to": "2100-01-01", "tz": "UTC"}
# What the stock server's own users.xml has, and ours is merged into.
STOCK = """\
<clickhouse>
  <profiles><default/></profiles>
  <users><default>
    <password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
  </default></users>
  <quotas><default/></quotas>
</clickhouse>
"""


def configuration(place: Path, users: Path, user: str) -> Path:
    """A server's configuration with our users, where `default` is ``user``; `as it is` changes nothing."""
    text = users.read_text(encoding="utf-8")
    if user != "as it is":
        tree = ET.fromstring(text)
        them = tree.find("users")
        same = copy.deepcopy(them.find(user))
        same.tag = "default"
        same.remove(same.find("password_sha256_hex"))
        ET.SubElement(same, "password")
        them.remove(them.find("default"))
        them.append(same)
        text = ET.tostring(tree, encoding="unicode")
    (place / "users.d").mkdir(parents=True, exist_ok=True)
    (place / "users.d" / "otel_obs.xml").write_text(text, encoding="utf-8")
    (place / "users.xml").write_text(STOCK, encoding="utf-8")
    server = place / "server.xml"
    server.write_text(f"<clickhouse><users_config>{place / 'users.xml'}</users_config></clickhouse>")
    return server


def asked(client: Any, statement: str) -> str:
    """What the engine says to a statement; of an error its first line."""
    try:
        if statement == "migrate":
            return str(len(migrate(client)))
        if statement == "reports":
            client.database = DATABASE
            found = {
                row.name: run(client, row, WINDOW) for row in REPORTS if {"from"} <= {p.name for p in row.parameters}
            }
            return json.dumps({name: answer.sentence for name, answer in found.items()})
        word, _, path = statement.partition(" ")
        if word in {"backup", "restore"}:
            client.database = DATABASE
            return str(backup(client, Path(path)) if word == "backup" else restore(client, Path(path)))
        return str(client.query(statement).result_rows)
    except Exception as error:  # noqa: BLE001 - the answer is looked at by the test
        return f"refused: {error}".splitlines()[0]


def main(data: Path, users: Path, user: str) -> None:
    """Statements come as a JSON list, and answers go as one."""
    server = configuration(data.with_suffix(".etc"), users, user)
    client = clickhouse_connect.get_client(
        interface="chdb", path=f"{data}?config-file={server}", database=None, tz_mode="aware"
    )
    json.dump([asked(client, statement) for statement in json.load(sys.stdin)], sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
