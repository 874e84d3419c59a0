"""Run all benchmarks and print one table: ours, the stock SDK's, nothing's where they can do the same; and the ratio.

usage: run.py [--json FILE] [NAME ...]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

import caller
import ceiling
import delivery
import disabled
import encoding
import freshness
import imports
import ingest
import journal
import lateness
import queued
import shares

BENCHMARKS = {
    "caller": caller.measure,
    "lateness": lateness.measure,
    "delivery": delivery.measure,
    "shares": shares.measure,
    "queued": queued.measure,
    "disabled": disabled.measure,
    "imports": imports.measure,
    "encoding": encoding.measure,
    "ingest": ingest.measure,
    "freshness": freshness.measure,
    "journal": journal.measure,
}
ON_REQUEST = {"ceiling": ceiling.measure}  # of interest to who thinks of another encoder


def _load() -> float:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else -1.0


def _shown(figure: dict[str, object], name: str) -> str:
    value = figure.get(name)
    return f"{value:>12,.2f}" if isinstance(value, int | float) else " " * 12


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS | ON_REQUEST)}; else all but the last"
    )
    given = parser.parse_args()
    about = {
        "python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count(),
        "opentelemetry": version("opentelemetry-sdk"), "load_before": _load(),
    }  # fmt: skip
    print(", ".join(f"{name} {value}" for name, value in about.items()), "\n")
    print(f"{'figure':<66} {'unit':>5} {'ours':>12} {'stock':>12} {'nothing':>12} {'ratio':>8}")
    figures: list[dict[str, object]] = []
    for name in given.names or BENCHMARKS:
        for figure in (BENCHMARKS | ON_REQUEST)[name]():
            figures.append({"of": name, **figure})
            ours, stock = figure["ours"], figure.get("stock")
            is_rate = figure.get("unit") == "1/s"
            ratio = f"{ours / stock if is_rate else stock / ours:>7.2f}x" if stock else ""
            columns = " ".join(_shown(figure, column) for column in ("ours", "stock", "none"))
            print(f"{figure['figure']:<66} {figure.get('unit', ''):>5} {columns} {ratio}", flush=True)
    about["load_after"] = _load()
    if given.json:
        text = json.dumps({"about": about, "figures": figures}, indent=2, ensure_ascii=False)
        given.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
