"""Run all benchmarks and print one table: ours, the stock SDK's where it can do the same, and the ratio.

usage: run.py [--json FILE] [NAME ...]
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

import caller
import encoding
import freshness
import imports
import ingest
import journal

BENCHMARKS = {
    "caller": caller.measure,
    "encoding": encoding.measure,
    "imports": imports.measure,
    "ingest": ingest.measure,
    "freshness": freshness.measure,
    "journal": journal.measure,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; else all")
    given = parser.parse_args()
    figures = [figure for name in given.names or BENCHMARKS for figure in BENCHMARKS[name]()]
    print(f"Python {platform.python_version()} on {platform.machine()}\n")
    print(f"{'figure':<58} {'ours':>12} {'stock':>12} {'stock/ours':>11}")
    for figure in figures:
        ours, stock = figure["ours"], figure.get("stock")
        compared = f"{stock:>12,.1f} {stock / ours:>11.2f}" if stock else ""
        print(f"{figure['figure']:<58} {ours:>12,.1f} {compared}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
