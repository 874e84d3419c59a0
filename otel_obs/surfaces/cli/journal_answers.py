"""What `otel-obs journal` found and did, in words, tables and data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from otel_obs.contract.tiers import Tier
from otel_obs.reports.answer import Answer, Table
from otel_obs.surfaces.cli.journal_records import decoded
from otel_obs.surfaces.cli.upkeep_answers import in_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from otel_obs.sdk.journal.reading import Instance, Lying
    from otel_obs.sdk.journal.replay import Replayed


def of_instances(root: Path, found: Sequence[Instance], refused: Sequence[Lying]) -> Answer[Any]:
    """Who has a journal, and what is in it."""
    if not found and not refused:
        return Answer(sentence=f"There is no journal in {root}: no bot has left anything.", data={"instances": []})
    alive = sum(one.is_alive for one in found)
    waiting = sum(sum(one.waiting().values()) for one in found)
    aside = sum(one.found.header.records for one in refused)
    sentence = f"{waiting:,} records wait in {root}: {alive} living and {len(found) - alive} dead processes."
    if any(not one.is_alive for one in found):
        sentence += " The next start of its bot delivers what a dead one left; `otel-obs journal replay` does so now."
    if aside:
        sentence += f" {aside:,} records were refused and set aside: `otel-obs journal show --refused`."
    rows = [
        (
            one.about.service, one.about.instance, _state(one), _time(one.about.started_ns),
            *one.waiting().values(), in_bytes(one.waiting_bytes()), _time(one.oldest_at_ns()),
            sum(_unconfirmed(one).values()), _lost(one), _count_of(refused, one),
        )
        for one in found
    ]  # fmt: skip
    columns = (
        "service",
        "instance",
        "process",
        "started",
        *Tier,
        "waiting",
        "oldest",
        "unconfirmed",
        "lost",
        "set aside",
    )
    return Answer(
        sentence=sentence,
        data={"journal": str(root), "set_aside": aside, "instances": [_told(one, refused) for one in found]},
        tables=[Table(columns=columns, rows=rows)] if rows else [],
    )


def _told(one: Instance, refused: Sequence[Lying]) -> dict[str, Any]:
    return {
        "service": one.about.service,
        "instance": one.about.instance,
        "pid": one.about.pid,
        "alive": one.is_alive,
        "ended_in_order": one.has_ended,
        "started": _time(one.about.started_ns),
        "directory": str(one.directory),
        "waiting": {tier.value: records for tier, records in one.waiting().items()},
        "waiting_bytes": one.waiting_bytes(),
        "oldest": _time(one.oldest_at_ns()) or None,
        "unconfirmed": _unconfirmed(one),
        "lost": {
            tier.value: {loss.value: count for loss, count in balance.dropped.items()}
            for tier, balance in one.balances.items()
        },
        "set_aside": _count_of(refused, one),
        "problems": len([problem for problem in one.problems if not problem.is_expected]),
    }


def _unconfirmed(one: Instance) -> dict[str, int]:
    return {tier.value: balance.unconfirmed for tier, balance in one.balances.items()}


def _lost(one: Instance) -> int:
    return sum(sum(balance.dropped.values()) for balance in one.balances.values())


def _count_of(refused: Sequence[Lying], one: Instance) -> int:
    return sum(frame.found.header.records for frame in refused if frame.found.header.instance == one.about.instance)


def _state(one: Instance) -> str:
    return "alive" if one.is_alive else "ended" if one.has_ended else "killed"


def of_frames(frames: Sequence[Lying], what: str, *, last: int) -> Answer[Any]:
    """Frames, oldest first."""
    records = sum(one.found.header.records for one in frames)
    shown = frames[-last:]
    rows = [
        (
            _time(one.found.header.at_ns), one.found.header.tier.value, one.found.header.signal,
            one.found.header.records, _ranges(one), in_bytes(one.found.length), one.path.name, one.found.offset,
            *_why(one),
        )
        for one in shown
    ]  # fmt: skip
    columns = ["at", "tier", "signal", "records", "numbers", "size", "file", "offset"]
    columns += ["reason", "receiver's words"] if any(_why(one) for one in shown) else []
    return Answer(
        sentence=_sentence(records, what, len(frames), len(shown)),
        data=[
            {
                "at": _time(one.found.header.at_ns),
                "tier": one.found.header.tier.value,
                "signal": one.found.header.signal,
                "records": one.found.header.records,
                "numbers": [list(run) for run in one.found.header.numbers],
                "bytes": one.found.length,
                "file": str(one.path),
                "offset": one.found.offset,
                **(
                    {"reason": one.found.header.loss.value, "words": one.found.header.words}
                    if one.found.header.loss
                    else {}
                ),
            }
            for one in shown
        ],
        tables=[Table(columns=columns, rows=rows)] if rows else [],
    )


def of_records(frames: Sequence[Lying], what: str, *, last: int) -> Answer[Any]:
    """The records of frames, oldest first."""
    records = sum(one.found.header.records for one in frames)
    found: list[dict[str, Any]] = []
    for frame in reversed(frames):
        if len(found) >= last:
            break
        header = frame.found.header
        why = {"reason": header.loss.value, "words": header.words} if header.loss else {}
        found[:0] = [{**one, **why} for one in decoded(header.signal, frame.body())]
    shown = found[-last:]
    columns = ["at", "kind", "name", "attributes"] + (
        ["reason", "words"] if any("reason" in one for one in shown) else []
    )
    return Answer(
        sentence=_sentence(records, what, len(frames), None),
        data=shown,
        tables=[Table(columns=columns, rows=[[one.get(column) for column in columns] for one in shown])]
        if shown
        else [],
    )


def _sentence(records: int, what: str, frames: int, shown: int | None) -> str:
    sentence = f"{records:,} records in {frames:,} frames {what}."
    return sentence + (f" The newest {shown:,} frames:" if shown is not None and shown < frames else "")


def _why(one: Lying) -> tuple[str, ...]:
    header = one.found.header
    return (header.loss.value, header.words) if header.loss else ()


def _ranges(one: Lying) -> str:
    numbers = one.found.header.numbers
    shown = ", ".join(f"{first}-{last}" if first != last else str(first) for first, last in numbers[:3])
    return f"{shown}, …" if len(numbers) > 3 else shown  # noqa: PLR2004 - as many as a column has room for


def of_problems(found: Sequence[Instance]) -> Answer[Any]:
    """What is wrong, and where."""
    problems = [(one, problem) for one in found for problem in one.problems]
    wrong = sum(not problem.is_expected for _, problem in problems)
    frames = sum(len(one.frames) for one in found)
    sentence = f"{len(found)} journals with {frames:,} waiting frames were checked: "
    sentence += f"{wrong} places are wrong." if wrong else "every checksum holds, and the ledgers add up."
    rows = [
        (
            one.about.service, one.about.instance, "" if problem.is_expected else "wrong", str(problem.path),
            problem.offset, problem.what,
        )
        for one, problem in problems
    ]  # fmt: skip
    columns = ("service", "instance", "", "file", "offset", "what")
    return Answer(
        sentence=sentence,
        data=[
            {
                "service": one.about.service,
                "instance": one.about.instance,
                "file": str(problem.path),
                "offset": problem.offset,
                "what": problem.what,
                "ok": problem.is_expected,
            }
            for one, problem in problems
        ],
        tables=[Table(columns=columns, rows=rows)] if rows else [],
    )


def of_plan(dead: Sequence[Instance]) -> Answer[Any]:
    """What a replay would deliver."""
    records = sum(sum(one.waiting().values()) for one in dead)
    size = sum(one.waiting_bytes() for one in dead)
    return Answer(
        sentence=f"{records:,} records ({in_bytes(size)}) of {len(dead)} dead processes would be delivered.",
        data={"instances": len(dead), "records": records, "bytes": size},
    )


def of_replay(done: Replayed, place: str) -> Answer[Any]:
    """What a replay did."""
    sentence = f"{done.delivered:,} records of {done.instances} dead processes were delivered to {place}."
    if done.left:
        sentence += f" {done.left:,} could not be, and stay: {done.failure}"
    if done.refused:
        sentence += f" {done.refused:,} were refused and set aside: `otel-obs journal show --refused`."
    if done.damaged:
        sentence += f" {done.damaged:,} are damaged and cannot be read."
    return Answer(
        sentence=sentence,
        data={
            "instances": done.instances,
            "delivered": done.delivered,
            "refused": done.refused,
            "left": done.left,
            "damaged": done.damaged,
            "endpoint": place,
            "failure": done.failure or None,
        },
    )


def _time(at_ns: int | None) -> str:
    if not at_ns:
        return ""
    return datetime.fromtimestamp(at_ns / 1e9, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
