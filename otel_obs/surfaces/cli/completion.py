"""`otel-obs completion SHELL`: the script that lets a shell complete commands, reports and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_PROGRAM = "otel-obs"
_VARIABLE = "_OTEL_OBS_COMPLETE"
_EXAMPLES = """\b
Examples:
  otel-obs completion bash >> ~/.bashrc
  otel-obs completion zsh >> ~/.zshrc
  otel-obs completion fish > ~/.config/fish/completions/otel-obs.fish
"""


@click.command(epilog=_EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete commands, reports and options."""
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"{shell} is not known.")
    root = context.find_root().command
    click.echo(found(root, {}, _PROGRAM, _VARIABLE).source())
