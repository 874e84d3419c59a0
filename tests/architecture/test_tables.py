"""The tables that everything walks: each row is whole, documented, and agrees with what is written elsewhere."""

from dataclasses import fields
from importlib import resources

import pytest
from click.testing import CliRunner

from otel_obs.contract.events.base import Event
from otel_obs.contract.streams import STREAMS
from otel_obs.reports.registry import REPORTS
from otel_obs.settings import SETTINGS, Settings
from otel_obs.surfaces.cli.commands import otel_obs as cli


def test_every_setting_is_a_field_with_the_same_default():
    assert {row.name: row.default for row in SETTINGS} == {field.name: field.default for field in fields(Settings)}


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_every_setting_reads_its_own_default_from_text_and_is_documented(row):
    assert row.doc.endswith(".")
    text = "" if row.name == "enabled" else str(row.default)
    assert row.parse(text) == row.default


@pytest.mark.parametrize("row", STREAMS, ids=lambda row: row.name)
def test_every_stream_has_an_event_class_and_a_table_that_keeps_it_as_long_as_it_says(row):
    assert issubclass(row.event_class(), Event)
    sql = "".join(
        file.read_text(encoding="utf-8") for file in resources.files("otel_obs.store").joinpath("migrations").iterdir()
    )
    table = sql.split(f"CREATE TABLE IF NOT EXISTS {row.table}\n")[1].split(";")[0]
    assert f"TTL ingested_at + toIntervalDay({row.retention_days})" in table


@pytest.mark.parametrize("row", REPORTS, ids=lambda row: row.name)
def test_every_report_has_its_sql_its_documentation_and_its_command(row):
    sql = resources.files("otel_obs.store").joinpath("queries", f"{row.query}.sql").read_text(encoding="utf-8")
    assert sql.startswith("-- ")
    assert row.question.endswith((".", "?"))
    assert f"otel-obs report {row.name}" in row.example
    help_text = CliRunner().invoke(cli, ["report", row.name, "--help"]).output
    assert row.example.split(" --")[0] in help_text
    for parameter in row.parameters:
        assert (parameter.name.upper() if parameter.position else f"--{parameter.name.replace('_', '-')}") in help_text


def test_every_query_belongs_to_a_report():
    files = {file.name for file in resources.files("otel_obs.store").joinpath("queries").iterdir()}
    beside = {"recorded.sql", "latest.sql", "tail.sql"}  # which names there are; the latest record; what arrives
    assert files == {f"{row.query}.sql" for row in REPORTS} | beside
