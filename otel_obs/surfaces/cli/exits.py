"""How commands end: every exit code once, with what it means."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
ASKED_WRONGLY: Final = 2
NOT_FOUND: Final = 3
INTERRUPTED: Final = 130

EXIT_CODES: Final = {
    OK: "answered, or done",
    FAILED: "failed: the store is not there or refuses, or something is wrong (doctor)",
    ASKED_WRONGLY: "asked wrongly: an unknown option or report, or a value that cannot be read",
    NOT_FOUND: "what was asked for is not there: an unknown id, or a name that no record carries",
    INTERRUPTED: "interrupted with Ctrl-C",
}
