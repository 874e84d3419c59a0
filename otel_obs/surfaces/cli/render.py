"""An answer on the screen, in a pipe, as JSON, CSV or Markdown."""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import TYPE_CHECKING, Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from otel_obs.reports.rows import columns

if TYPE_CHECKING:
    from otel_obs.reports.answer import Answer, Table

_PIPE_WIDTH: Final = 240  # in a pipe nothing is cut at the width of a screen that is not there
# What a bot wrote is text: it must not move the cursor or colour the screen of who reads it.
_UNSEEN: Final = (*range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A))  # C1, and what turns a line round
_CONTROL: Final = dict.fromkeys((*range(9), *range(11, 32), *_UNSEEN), "�")
_ESCAPED: Final = {code: f"\\u{code:04x}" for code in _UNSEEN}  # JSON escapes the others itself
_STYLES: Final = {"executed": "green", "vetoed": "yellow", "failed": "red", "deny": "yellow", "error": "red"}


def console() -> Console:
    """Return the console: colours on a screen, none in a pipe (or with NO_COLOR)."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)


def cell(value: Any) -> str:
    """One value as text for people."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False).translate(_CONTROL)
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value).translate(_CONTROL)


def style(outcome: str) -> str:
    """The colour of an outcome or a verdict; none for other words."""
    return _STYLES.get(outcome, "")


def screen(answer: Answer[Any]) -> None:
    """Print the sentence, then the tables."""
    out = console()
    out.print(Text(answer.sentence.translate(_CONTROL), style="bold"))
    if answer.window:
        out.print(Text(answer.window, style="dim"))
    if answer.text:
        out.print(Text(answer.text.translate(_CONTROL)))
    for table in answer.tables:
        out.print(_drawn(table))


def _drawn(table: Table) -> RichTable:
    drawn = RichTable(
        title=table.title or None, title_justify="left", box=SIMPLE_HEAD, show_header=any(table.columns), pad_edge=False
    )
    for index, column in enumerate(table.columns):
        numeric = bool(table.rows) and all(isinstance(row[index], int | float) for row in table.rows)
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in table.rows:
        texts = [cell(value) for value in row]
        drawn.add_row(*(Text(text, style=style(text)) for text in texts))
    return drawn


def as_json(answer: Answer[Any]) -> str:
    """The answer's data."""
    return json.dumps(answer.data, indent=2, ensure_ascii=False, default=str).translate(_ESCAPED)


def one_line_json(data: Any) -> str:
    """One object on one line, as programs read a stream of them."""
    return json.dumps(data, ensure_ascii=False, default=str).translate(_ESCAPED)


def as_csv(answer: Answer[Any]) -> str:
    """A list of rows as they are; a single answer as name and value, nested names joined by dots."""
    out = io.StringIO()
    if isinstance(answer.data, list):
        names = columns(answer.row) if answer.row else list(answer.data[0]) if answer.data else []
        writer = csv.DictWriter(out, fieldnames=names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _csv_cell(value) for name, value in row.items()} for row in answer.data)
    else:
        pairs = csv.writer(out, lineterminator="\n")
        pairs.writerow(("name", "value"))
        pairs.writerows(_flat("", answer.data))
    return out.getvalue().rstrip("\n").translate(_CONTROL)


def _csv_cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False).translate(_ESCAPED)
    return value


def _flat(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _flat(f"{name}.{key}" if name else key, inner)]
    return [(name, _csv_cell(value))]


def as_markdown(answer: Answer[Any]) -> str:
    """The sentence and the tables, as Markdown."""
    parts = [answer.sentence.translate(_CONTROL), *([answer.window] if answer.window else [])]
    if answer.text:
        parts.append(f"```\n{answer.text.translate(_CONTROL)}\n```")
    for table in answer.tables:
        lines = [f"**{table.title}**\n"] if table.title else []
        lines += ["| " + " | ".join(table.columns) + " |", "|" + " --- |" * len(table.columns)]
        lines += [
            "| " + " | ".join(cell(value).replace("|", "\\|").replace("\n", " ") for value in row) + " |"
            for row in table.rows
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
