"""The journal: what waits to be delivered stands here until the receiver has it, and outlives the process.

A directory for each process, ``<root>/<service>/<instance>/``: its lock, its ledger, who it is, and segments of frames
by tier. ``open_home`` makes it, ``Outbox`` writes and hands out, ``adopt`` takes over what dead processes left.
"""

from __future__ import annotations

from otel_obs.sdk.journal.adoption import Departed, Orphan, adopt, orphans, size_of
from otel_obs.sdk.journal.home import About, Home, open_home, root_of
from otel_obs.sdk.journal.outbox import Outbox
from otel_obs.sdk.journal.segment import Entry
from otel_obs.sdk.journal.standing import Standing

__all__ = [
    "About",
    "Departed",
    "Entry",
    "Home",
    "Orphan",
    "Outbox",
    "Standing",
    "adopt",
    "open_home",
    "orphans",
    "root_of",
    "size_of",
]
