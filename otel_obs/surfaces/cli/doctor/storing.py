"""The store that is asked: which one it is, whether it is there, and whether it is fit to take what is sent."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from otel_obs import query
from otel_obs.alerting.asking import shown
from otel_obs.errors import OtelObsError
from otel_obs.query.opening import DEFAULT_URL
from otel_obs.store import standing
from otel_obs.store.embedded.directory import running_at
from otel_obs.store.migrate import migrations
from otel_obs.surfaces.cli.doctor.finding import Hop, at, clock

if TYPE_CHECKING:
    from otel_obs.settings import Settings
    from otel_obs.surfaces.cli.doctor.finding import Finding

_CONNECT_SECONDS: Final = 1.0
_finding: Final = at(Hop.COLLECTOR)


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The store that was found: open and fit to be looked into, or not; and the ports of OTLP if it is a local one."""

    findings: tuple[Finding, ...]
    place: str = ""
    store: query.Store | None = None
    otlp_ports: frozenset[int] = frozenset()
    is_named: bool = True
    is_unserved: bool = False

    def close(self) -> None:
        """Let go of it."""
        if self.store is not None:
            self.store.close()


def storage(wanted: Settings, *, url: str | None, data: Path | None) -> Storage:
    """Find the store that the commands would ask; never one that nobody serves, which nothing can reach."""
    directory = data or (Path(wanted.data) if wanted.data and not url else None)
    if directory is not None:
        return _at_directory(directory)
    named = url or wanted.url
    if not named and not _listens(DEFAULT_URL):
        return Storage(
            findings=(
                _finding(
                    "store", f"not asked: nobody answers at {DEFAULT_URL}",
                    fix="Name it with --url (OTEL_OBS_URL), or its directory with --data (OTEL_OBS_DATA).",
                ),
            ),
            is_named=False,
        )  # fmt: skip
    return _examined(named or DEFAULT_URL, None)


def _at_directory(data: Path) -> Storage:
    running = running_at(data)
    if running is None:
        how = "is served by nobody" if data.exists() else "does not exist yet"
        return Storage(findings=(_finding("data", f"{data} {how}"),), place=str(data), is_unserved=True)
    served = f"{data} is served by process {running.pid}, which is asked at {running.clickhouse_url}"
    hint = f"Bots send there with OTEL_EXPORTER_OTLP_ENDPOINT={running.otlp_url}"
    ports = frozenset({running.otlp_port, running.otlp_grpc_port} - {0})
    return _examined(running.clickhouse_url, data, before=(_finding("data", served, fix=hint),), otlp_ports=ports)


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=_CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _examined(
    url: str, data: Path | None, *, before: tuple[Finding, ...] = (), otlp_ports: frozenset[int] = frozenset()
) -> Storage:
    place = shown(url)
    try:
        store = query.connect(None if data else url, data=data)
    except OtelObsError as error:
        wrong = _finding("store", error.what, ok=False, fix=error.fix)
        return Storage(findings=(*before, wrong), place=place, otlp_ports=otlp_ports)
    findings = [*before]
    try:
        schema = _schema(store, place)
        if schema.ok:
            latest = store.why(from_="now", to="now").rows[0].latest_record
            told = f"the latest record is of {latest:%Y-%m-%d %H:%M:%S} UTC" if latest else "nothing recorded yet"
            findings += [_finding("store", f"answers; {told}"), schema]
        else:
            findings += [_finding("store", f"{place} answers"), schema]
        if schema.ok:
            findings += _ledger(store)
        findings.append(clock(Hop.COLLECTOR, "the store's clock", standing.ahead(store.client)))
    except OtelObsError as error:
        findings.append(_finding("store", error.what, ok=False, fix=error.fix))
    if all(finding.ok for finding in findings if finding.about not in {"clock", "ledger"}):
        return Storage(findings=tuple(findings), place=place, store=store, otlp_ports=otlp_ports)
    store.close()
    return Storage(findings=tuple(findings), place=place, otlp_ports=otlp_ports)


def _ledger(store: query.Store) -> list[Finding]:
    """Whether the records of the last day are where their processes say; nothing where none of them says so."""
    services = [row for row in store.delivery().rows if row.instance is None and row.produced is not None]
    wrong = [row.service for row in services if row.state == "does_not_add_up"]
    if wrong:
        return [
            _finding(
                "ledger", f"of {', '.join(wrong)} it does not add up", ok=False,
                fix="`otel-obs report delivery` names the records; docs/how-to/prove-that-nothing-was-lost.md.",
            )
        ]  # fmt: skip
    return [_finding("ledger", f"adds up, of {len(services)} bots in the last day")] if services else []


def _schema(store: query.Store, place: str) -> Finding:
    missing, total = standing.missing_migrations(store.client), len(migrations())
    if not missing:
        return _finding("schema", f"all {total} migrations")
    what = "it has none of ours" if len(missing) == total else f"{len(missing)} of {total} migrations are missing"
    return _finding(
        "schema", f"{what} ({missing[0]} is the first)", ok=False,
        fix=f"otel-obs migrate --url {place}, then start the collector anew: it asks for the schema at its start.",
    )  # fmt: skip
