"""What the arrows between rooms cannot say: names stand once, imports are late, nobody imports the root from inside."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from otel_obs.contract import semconv

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "otel_obs"
MODULES = sorted(PACKAGE.rglob("*.py"))
BOTS = PACKAGE / "surfaces" / "cli" / "demo" / "bots"
LONGEST_FILE = 450


def _strings(file):
    """String constants of a module that are no docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def test_no_attribute_name_stands_as_a_literal_outside_semconv():
    names = set(semconv.ATTRIBUTES) | {semconv.GATE_EVENT}
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.value}"
        for file in MODULES
        if file.name != "semconv.py"
        for node in _strings(file)
        if node.value in names
    ]
    assert found == []


def test_only_the_store_speaks_sql():
    verbs = ("SELECT ", "INSERT INTO", "CREATE TABLE", "ALTER TABLE")
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in MODULES
        if PACKAGE / "store" not in file.parents
        for node in _strings(file)
        if node.value.lstrip().startswith(verbs)
    ]
    assert found == []


def test_nobody_imports_the_root_from_inside_but_the_bots_of_the_demo_who_are_users():
    found = []
    for file in MODULES:
        if file == PACKAGE / "__init__.py" or BOTS in file.parents:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import) and any(alias.name == "otel_obs" for alias in node.names):
                found.append(str(file.relative_to(ROOT)))
            if isinstance(node, ast.ImportFrom) and node.module == "otel_obs":
                rooms = {entry.stem for entry in PACKAGE.iterdir()}
                found += [str(file.relative_to(ROOT)) for alias in node.names if alias.name not in rooms]
    assert found == []


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_every_module_says_what_lives_there_and_can_be_held_in_the_head(file):
    text = file.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), f"{file} has no docstring"
    assert len(text.splitlines()) <= LONGEST_FILE


def test_importing_the_package_costs_a_bot_nothing_it_does_not_use():
    program = """
import sys
import otel_obs
heavy = ("pydantic", "prometheus_client", "google.protobuf", "requests", "opentelemetry.exporter", "opentelemetry.sdk",
         "clickhouse_connect", "chdb", "click", "rich", "numpy", "pandas", "starlette")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
