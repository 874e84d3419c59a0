"""`python -m otel_obs.codegen [--check]`: write the generated files, or tell which are not what they would be."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from otel_obs.codegen.reference import FILES

_ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Write or check; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m otel_obs.codegen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file differs")
    check = parser.parse_args().check
    stale = []
    for name, text in ((name, make()) for name, make in FILES.items()):
        file = _ROOT / name
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    if check and stale:
        sys.stderr.write(f"not as generated: {', '.join(stale)}. Run `make generate` and commit the result.\n")
        return 1
    sys.stdout.write(f"{len(FILES)} files, {len(stale)} {'stale' if check else 'written'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
