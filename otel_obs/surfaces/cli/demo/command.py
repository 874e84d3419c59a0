"""What the demo does, in order, and what it says."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.text import Text

from otel_obs.errors import MissingExtraError, OtelObsError
from otel_obs.reports.registry import report
from otel_obs.reports.run import run
from otel_obs.store.client import DATABASE, connect
from otel_obs.surfaces.cli import render

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client
    from rich.console import Console

    from otel_obs.store.embedded.directory import Addresses

_BOTS: Final = {
    "dec19": "a replay of 19 December 2025",
    "moving_average": "a moving-average bot on nine years of daily prices",
}
_DEC19: Final = {"from": "2025-12-19T14:00", "to": "2025-12-19T16:00", "tz": "Asia/Kolkata"}
_BACKTEST: Final = {"from": "2004-01-01", "to": "2014-01-01", "tz": "UTC", "service": "moving-average"}
_QUESTIONS: Final[tuple[tuple[str, str, dict[str, str]], ...]] = (
    ("Why did the bot not trade between 14:00 and 16:00?", "why", _DEC19),
    (
        "Which gate refused, hour by hour?",
        "rejections",
        {"from": "2025-12-19", "to": "2025-12-20", "tz": "Asia/Kolkata"},
    ),
    ("And the second bot, in nine years?", "why", _BACKTEST),
    ("How strict are its gates?", "gates", _BACKTEST),
)


def _program() -> str:
    """How the reader can call us: by name where the shell finds it, else as this demo was called."""
    called = Path(sys.argv[0])
    return "otel-obs" if shutil.which("otel-obs") or called.name != "otel-obs" else str(called)


def _command(name: str, asked: dict[str, str], data: Path) -> str:
    options = " ".join(f"--{option} {shlex.quote(value)}" for option, value in asked.items() if option != "id")
    return f"{_program()} report {name} {asked.get('id', '')} {options} --data {shlex.quote(str(data))}".replace(
        "  ", " "
    )


def _run_bots(processes: Any, addresses: Addresses, out: Console) -> dict[str, dict[str, Any]]:
    """Run both bots side by side; returns what each printed."""
    running = {name: processes.bot(name, addresses.otlp_url) for name in _BOTS}
    printed: dict[str, dict[str, Any]] = {}
    start = time.monotonic()
    with out.status("the bots run …") if out.is_terminal else _Quiet():
        while running:
            for name in list(running):
                result = processes.finished(running[name])
                if result is not None:
                    del running[name]
                    printed[name] = result
                    took = time.monotonic() - start
                    out.print(f"      {_BOTS[name]}: {result['sent']} records delivered in {took:.1f} s")
            time.sleep(0.05)
    return printed


class _Quiet:
    """Stands for a spinner where there is no screen."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_raised: object) -> None:
        return None


def _answer(client: Client, question: tuple[str, str, dict[str, str]], data: Path, out: Console) -> Any:
    title, name, asked = question
    out.print()
    out.print(Text(title, style="bold cyan"))
    out.print(Text(f"$ {_command(name, asked, data)}", style="dim"))
    answer = run(client, report(name), asked)
    render.screen(answer)
    return answer.data


def _check(client: Client, printed: dict[str, dict[str, Any]], out: Console) -> None:
    """Hold the store's books against the bots' own."""
    made = printed["moving_average"]
    asked = {**_BACKTEST, "outcome": "executed", "limit": "100000"}
    executed = [row["what"] for row in run(client, report("decisions"), asked).data]
    entries, exits = executed.count("enter long"), executed.count("exit long")
    out.print()
    out.print(
        f"backtesting's own books: {made['trades']} trades. "
        f"The store: {entries} executed entries, {exits} executed exits."
    )
    if not made["trades"] == entries == exits:
        raise OtelObsError("The store's books differ from the bot's own.", fix="Please report it.")


def _interrupted(*_told: object) -> None:
    raise KeyboardInterrupt


@click.command()
@click.option(
    "--data", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), default=Path("otel_obs_demo"),
    show_default=True, help="Where the demo's store keeps its data.",
)  # fmt: skip
@click.option("--keep", is_flag=True, help="Leave the store up when the demo ends.")
@click.pass_context
def demo(context: click.Context, data: Path, keep: bool) -> None:  # noqa: FBT001 - click's flag
    """See it work: a store, two real bots that speak to it, and the answers to why one of them did nothing."""
    try:
        import backtesting  # noqa: F401 - the second bot needs it

        from otel_obs.surfaces.cli.demo.processes import Processes
    except ImportError:
        raise MissingExtraError("The demo", extra="demo") from None
    signal.signal(signal.SIGTERM, _interrupted)
    out = render.console()
    processes = Processes()
    try:
        out.print("[bold]1/3[/]  starting the store …")
        addresses = processes.store(data)
        out.print(f"      OTLP at {addresses.otlp_url}, ClickHouse at {addresses.clickhouse_url}, data in {data}")
        out.print("[bold]2/3[/]  running two bots, each a process of its own …")
        printed = _run_bots(processes, addresses, out)
        out.print("[bold]3/3[/]  asking")
        client = connect(addresses.clickhouse_url)
        client.database = DATABASE
        for question in _QUESTIONS:
            _answer(client, question, data, out)
        _show_one(client, data, out)
        _check(client, printed, out)
        client.close()
        if keep:
            processes.leave()
    except KeyboardInterrupt:
        out.print("\ninterrupted: stopping the bots and the store …")
        context.exit(130)
    finally:
        processes.stop()
    _goodbye(out, data, addresses if keep else None)


def _show_one(client: Client, data: Path, out: Console) -> None:
    """Show one vetoed decision, whole."""
    found = run(client, report("decisions"), {**_DEC19, "outcome": "vetoed", "limit": "1"}).data
    asked = {"id": found[0]["span_id"], "tz": _DEC19["tz"]}
    _answer(client, ("One of those decisions, whole:", "decision", asked), data, out)


def _goodbye(out: Console, data: Path, left: Addresses | None) -> None:
    where, program = shlex.quote(str(data)), _program()
    out.print()
    out.print("Go on:")
    out.print(f"  {program} report why --from 2025-12-19 --to 2025-12-20 --tz Asia/Kolkata --data {where}")
    out.print(f"  {program} report decisions --from 2004-01-01 --to 2014-01-01 --service moving-average --data {where}")
    out.print(f"  {program} report --help          every question")
    if left:
        out.print(f"  OTEL_EXPORTER_OTLP_ENDPOINT={left.otlp_url}   for your own bot: the store is left up")
        out.print(f"  kill {left.pid}   stops it")
    else:
        out.print(f"  {program} up --data {where}   a store for your own bot")
    sys.stdout.flush()
