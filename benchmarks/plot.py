"""Draw how much less ours takes than the stock SDK (or how much more it delivers), from what run.py wrote as JSON.

usage: plot.py FIGURES.json PLOT.svg
"""

from __future__ import annotations

import json
import math
import sys
from html import escape
from pathlib import Path

_LEFT, _WIDTH, _ROW, _TOP = 380, 360, 24, 48
_SHOWN = ("caller", "lateness", "delivery", "queued", "disabled", "imports", "encoding")
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.worse { fill: #cf222e } .better { fill: #0969da } line { stroke: #8c959f } .faint { fill: #57606a }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .worse { fill: #ff7b72 } .better { fill: #58a6ff } .faint { fill: #9198a1 }
}
"""


def _ratio(figure: dict[str, float]) -> float:
    ours, stock = figure["ours"], figure["stock"]
    return ours / stock if figure.get("unit") == "1/s" else stock / ours


def drawn(found: dict[str, list[dict[str, float]]]) -> str:
    """The plot as SVG: one bar for each figure that both have, its length the logarithm of the ratio."""
    rows = [(str(one["figure"]), _ratio(one)) for one in found["figures"] if one.get("stock") and one["of"] in _SHOWN]
    most = max(abs(math.log(ratio)) for _, ratio in rows)
    least = min(0.0, *(math.log(ratio) for _, ratio in rows))
    scale = _WIDTH / (most - least)
    zero = _LEFT - least * scale
    parts = []
    for place, (name, ratio) in enumerate(rows):
        y = _TOP + place * _ROW
        length = math.log(ratio) * scale
        kind = "better" if ratio >= 1 else "worse"
        x = min(zero, zero + length)
        parts.append(f'<text x="{_LEFT - 12}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y + 3}" width="{max(1, abs(length)):.1f}" height="13"/>')
        parts.append(f'<text class="faint" x="{max(zero, zero + length) + 6:.1f}" y="{y + 13}">{ratio:.3g}x</text>')
    height = _TOP + len(rows) * _ROW + 12
    wide = _LEFT + _WIDTH + 70
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {height}" width="{wide}" height="{height}" '
        f'role="img" aria-label="Ours beside the stock SDK"><style>{_STYLE}</style>'
        f'<text x="{_LEFT - 12}" y="20" text-anchor="end">how many times better than the stock SDK</text>'
        f'<text class="faint" x="{zero:.1f}" y="20" text-anchor="middle">1x</text>'
        f'<line x1="{zero:.1f}" x2="{zero:.1f}" y1="28" y2="{height - 8}"/>{"".join(parts)}</svg>\n'
    )


if __name__ == "__main__":
    figures, plot = map(Path, sys.argv[1:])
    plot.write_text(drawn(json.loads(figures.read_text(encoding="utf-8"))), encoding="utf-8")
