"""What `otel-obs store` found and did, in words, tables and data."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from otel_obs.reports.answer import Answer, Table, plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from otel_obs.store.upkeep.manifest import Manifest
    from otel_obs.store.upkeep.optimize import Merged
    from otel_obs.store.upkeep.restore import Restored
    from otel_obs.store.upkeep.retention import Change, Share
    from otel_obs.store.upkeep.size import Size

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024
_FEW: Final = 10
_FAR_DAYS: Final = 3650


def of_size(size: Size) -> Answer[Any]:
    """Totals first, then the tables, largest first."""
    rows, on_disk = sum(table.rows for table in size.tables), sum(table.bytes for table in size.tables)
    growth, daily = sum(table.bytes_a_day for table in size.tables), sum(table.rows_a_day for table in size.tables)
    unpacked = sum(table.uncompressed for table in size.tables)
    sentence = f"{rows:,} rows in {len(size.tables)} tables, {_bytes(on_disk)} on disk ({_bytes(unpacked)} unpacked)"
    sentence += f"; lately {daily:,.0f} rows, {_bytes(growth)}, a day"
    if size.free is not None:
        sentence += f"; {_bytes(size.free)} are free{_enough(size.free, growth)}"
    sentence += "."
    for name in size.left_over:
        sentence += f" A backup or restore is running or was killed: database {name} is there."
    shown = sorted(size.tables, key=lambda table: -table.bytes)
    return Answer(
        sentence=sentence,
        data=_plain(
            {
                "rows": rows,
                "bytes": on_disk,
                "uncompressed_bytes": unpacked,
                "leaving_bytes": sum(table.leaving for table in size.tables),
                "rows_a_day": daily,
                "bytes_a_day": growth,
                "free_bytes": size.free,
                "left_over": size.left_over,
                "tables": [
                    {**asdict(table), "bytes_a_row": table.bytes_a_row, "bytes_a_day": table.bytes_a_day}
                    for table in shown
                ],
            }
        ),
        tables=[
            Table(
                columns=("table", "rows", "parts", "on disk", "unpacked", "B/row", "first event", "last event",
                         "rows/day", "growth/day", "kept"),
                rows=[
                    (
                        table.table, table.rows, table.parts, _bytes(table.bytes), _bytes(table.uncompressed),
                        "" if table.bytes_a_row is None else f"{table.bytes_a_row:.0f}", _time(table.first_event),
                        _time(table.last_event), round(table.rows_a_day), _bytes(table.bytes_a_day), table.retention,
                    )
                    for table in shown
                ],
            )
        ],
    )  # fmt: skip


def of_rules(changes: Sequence[Change]) -> Answer[Any]:
    """The rules in force, and what is past them: it goes when its part is merged, or is past as a whole."""
    past = sum(change.goes.rows for change in changes)
    sentence = f"{len(changes)} tables keep their rows for a time counted from arrival; "
    sentence += f"{past:,} rows are past it, and go as the engine merges." if past else "no row is past it."
    return Answer(
        sentence=sentence,
        data=_plain([_rule(change, retention=change.table.retention) for change in changes]),
        tables=[
            Table(
                columns=("table", "kept", "rows", "past", "past on disk", "past: first event", "last event"),
                rows=[
                    (
                        change.table.name,
                        change.table.retention,
                        change.goes.rows + change.stays.rows,
                        *_share(change.goes),
                    )
                    for change in changes
                ],
            )
        ],
    )


def of_plan(changes: Sequence[Change]) -> Answer[Any]:
    """What would go and what would stay."""
    goes, size = sum(change.goes.rows for change in changes), sum(change.goes.bytes for change in changes)
    sentence = f"{goes:,} rows would go, about {_bytes(size)}." if goes else "No row would go."
    if _longer(changes):
        sentence += f" Kept for longer than now: {', '.join(_longer(changes))}."
    return Answer(sentence=sentence, data=_plain([_planned(change) for change in changes]), tables=[_plan(changes)])


def of_change(before: Sequence[Change], after: Sequence[Change]) -> Answer[Any]:
    """What went, and what was read back."""
    gone = sum(change.goes.rows for change in before)
    rules = ", ".join(f"{change.table.name} {change.table.retention}" for change in after)
    left = sum(change.stays.rows for change in after)
    return Answer(
        sentence=f"{gone:,} rows are gone, {left:,} are there. In force, as read back: {rules}.",
        data=_plain(
            [
                {**_rule(change, retention=change.table.retention), "removed": _data(was.goes)}
                for was, change in zip(before, after, strict=True)
            ]
        ),
        tables=[_plan(before, "went", "stay")],
    )


def of_merging(merged: Sequence[Merged]) -> Answer[Any]:
    """What was won, or could be."""
    weeks, parts = sum(each.weeks for each in merged), sum(each.before.parts for each in merged)
    if not weeks:
        sentence = "Nothing to merge: every week that is over lies in one part."
    elif any(each.after is None for each in merged):
        size = sum(each.before.bytes for each in merged)
        sentence = f"{weeks:,} weeks that are over lie in {parts:,} parts, {_bytes(size)}; each would be merged to one."
    else:
        left = sum(each.after.parts for each in merged if each.after)
        won = sum(each.before.bytes - each.after.bytes for each in merged if each.after)
        rows = sum(each.before.rows - each.after.rows for each in merged if each.after)
        sentence = f"{weeks:,} weeks were merged from {parts:,} parts to {left:,}: "
        sentence += f"{_bytes(won)} less, {rows:,} rows fewer that had been delivered twice."
    return Answer(
        sentence=sentence,
        data=_plain([asdict(each) for each in merged]),
        tables=[
            Table(
                columns=("table", "weeks", "parts", "→", "on disk", "→ on disk"),
                rows=[
                    (
                        each.table, each.weeks, each.before.parts, "" if each.after is None else each.after.parts,
                        _bytes(each.before.bytes), "" if each.after is None else _bytes(each.after.bytes),
                    )
                    for each in merged if each.weeks
                ],
            )
        ] if weeks else [],
    )  # fmt: skip


def of_backup(path: Path, manifest: Manifest) -> Answer[Any]:
    """What was copied."""
    sentence = f"{manifest.rows:,} rows of {len(manifest.tables)} tables are in {path}, {_bytes(manifest.size)}."
    if manifest.left_out:
        sentence += f" Left out, because no migration of ours made them: {', '.join(manifest.left_out)}."
    return Answer(sentence=sentence, data=_manifest(path, manifest), tables=[_copies(manifest)])


def of_restore(path: Path, restored: Restored) -> Answer[Any]:
    """What came back, and what is kept for longer than it was."""
    manifest = restored.manifest
    sentence = f"{manifest.rows:,} rows of {len(manifest.tables)} tables came back from {path}, taken "
    sentence += f"{_time(datetime.fromisoformat(manifest.taken_at))}; counts and checksums agree."
    if restored.resumed:
        sentence += " An interrupted restore was finished."
    if restored.migrated:
        sentence += f" Applied since: {', '.join(restored.migrated)}."
    if restored.kept_for_ever:
        rules = " ".join(
            f"{copy.name}={copy.retention}" for copy in manifest.tables if copy.name in restored.kept_for_ever
        )
        sentence += (
            " Kept for ever now, because their rule would have removed old rows at once; to let them go: "
            f"otel-obs store retention {rules}."
        )
    data = {
        **_manifest(path, manifest), "migrated": list(restored.migrated),
        "kept_for_ever": list(restored.kept_for_ever), "resumed": restored.resumed,
    }  # fmt: skip
    return Answer(sentence=sentence, data=data, tables=[_copies(manifest)])


def _plain(value: Any) -> Any:
    return plain(value, UTC)


def in_bytes(count: float) -> str:
    """In units of 1024; three digits are enough."""
    value, sign = abs(count), "-" if count < 0 else ""
    for unit in _UNITS:
        if value < _STEP or unit == _UNITS[-1]:
            break
        value /= _STEP
    return f"{sign}{value:.0f} {unit}" if unit == "B" or value >= _FEW else f"{sign}{value:.1f} {unit}"


_bytes: Final = in_bytes


def _time(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).isoformat(timespec="minutes").replace("+00:00", "Z")


def _enough(free: int, growth: float) -> str:
    """How long the room lasts, where that can be said."""
    days = free / growth if growth else _FAR_DAYS
    return ", enough for years" if days >= _FAR_DAYS else f", enough for {days:,.0f} days"


def _longer(changes: Sequence[Change]) -> list[str]:
    return [
        change.table.name
        for change in changes
        if change.table.period and (change.period is None or change.period.hours > change.table.period.hours)
    ]


def _data(share: Share) -> dict[str, Any]:
    return asdict(share)


def _rule(change: Change, *, retention: str) -> dict[str, Any]:
    return {
        "table": change.table.name,
        "retention": retention,
        "past": _data(change.goes),
        "within": _data(change.stays),
    }


def _planned(change: Change) -> dict[str, Any]:
    return {
        "table": change.table.name,
        "retention": change.table.retention,
        "wanted": change.wanted,
        "cutoff": datetime.fromtimestamp(change.cutoff, UTC) if change.period else None,
        "goes": _data(change.goes),
        "stays": _data(change.stays),
    }


def _share(share: Share) -> tuple[Any, ...]:
    return share.rows, _bytes(share.bytes), _time(share.first_event), _time(share.last_event)


def _plan(changes: Sequence[Change], goes: str = "go", stays: str = "stay") -> Table:
    return Table(
        columns=("table", "kept", "→", goes, "on disk", "first event", "last event", stays, "on disk", "first event"),
        rows=[
            (
                change.table.name, change.table.retention, change.wanted,
                *_share(change.goes), *_share(change.stays)[:3],
            )
            for change in changes
        ],
    )  # fmt: skip


def _copies(manifest: Manifest) -> Table:
    return Table(
        columns=("table", "rows", "checksum", "packed", "kept"),
        rows=[
            (
                copy.name,
                copy.rows,
                f"{copy.checksum:016x}",
                _bytes(sum(file.size for file in copy.files)),
                copy.retention,
            )
            for copy in manifest.tables
        ],
    )


def _manifest(path: Path, manifest: Manifest) -> dict[str, Any]:
    return {
        "path": str(path), "taken_at": manifest.taken_at, "rows": manifest.rows, "bytes": manifest.size,
        "otel_obs": manifest.otel_obs, "engine": manifest.engine,
        "migrations": [name for _, name, _ in manifest.migrations], "left_out": list(manifest.left_out),
        "tables": [
            {
                "table": copy.name, "rows": copy.rows, "checksum": f"{copy.checksum:016x}",
                "retention": copy.retention, "bytes": sum(file.size for file in copy.files),
            }
            for copy in manifest.tables
        ],
    }  # fmt: skip
