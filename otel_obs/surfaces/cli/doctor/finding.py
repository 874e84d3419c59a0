"""What doctor finds: one line about one thing, at one hop."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from otel_obs.surfaces.cli.render import cell

if TYPE_CHECKING:
    from collections.abc import Callable

_PASSWORD: Final = re.compile(r"//[^/@\s]*@")
_MOST_SKEW_SECONDS: Final = 3.0


class Hop(StrEnum):
    """Where something was looked at, on the way from the bot to whoever is on call."""

    HERE = "here"
    BOT = "bot"
    COLLECTOR = "collector"
    PROMETHEUS = "prometheus"
    ALERTMANAGER = "alertmanager"

    @property
    def heading(self) -> str:
        """What stands above its findings."""
        return _HEADINGS[self]


_HEADINGS: Final = {
    Hop.HERE: "settings here",
    Hop.BOT: "bot → collector",
    Hop.COLLECTOR: "collector → store",
    Hop.PROMETHEUS: "bot, collector, store → Prometheus",
    Hop.ALERTMANAGER: "Prometheus → Alertmanager",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at. No password of a URL is in it, and nothing that could move a screen's cursor."""

    hop: Hop
    about: str
    found: str
    ok: bool = True
    fix: str = ""

    def __post_init__(self) -> None:
        """Clean what others wrote."""
        for name in ("about", "found", "fix"):
            object.__setattr__(self, name, cell(" ".join(shown(getattr(self, name)).splitlines())))


def shown(value: object) -> str:
    """A value as it may be shown to others, for whom its passwords are not."""
    return _PASSWORD.sub("//…@", str(value))


def at(hop: Hop) -> Callable[..., Finding]:
    """Make findings of one hop."""

    def finding(about: str, found: str, **more: Any) -> Finding:
        return Finding(hop=hop, about=about, found=found, **more)

    return finding


def clock(hop: Hop, whose: str, ahead: tuple[float, float]) -> Finding:
    """Judge by how many seconds, at least and at most, another clock is ahead of this machine's."""
    least, most = ahead
    surely = 0.0 if least <= 0 <= most else min(ahead, key=abs)
    if abs(surely) <= _MOST_SKEW_SECONDS:
        bound = max(abs(least), abs(most))
        return Finding(hop=hop, about="clock", found=f"{whose} goes with this machine's, within {bound:.1f} s")
    way = "ahead of" if surely > 0 else "behind"
    return Finding(
        hop=hop, about="clock", found=f"{whose} is {abs(surely):.0f} s {way} this machine's", ok=False,
        fix="Set both by NTP (`timedatectl set-ntp true`, or chrony): windows of reports and ages in alerts are wrong "
        "by as much.",
    )  # fmt: skip


def installed(module: str) -> bool:
    """Whether a package is there."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
