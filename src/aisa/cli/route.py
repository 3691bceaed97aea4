"""`aisa route`: the command as it is called. What it shows is in `route_lines`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from aisa.cli.command_group import CommandGroup
from aisa.cli.written import text

if TYPE_CHECKING:
    from io import BufferedReader

EXAMPLES = """\b
Examples:
  aisa route explain gpt-4.1
  aisa route explain gpt-4.1 --body request.json
"""


@click.group(cls=CommandGroup)
def route() -> None:
    """See which targets a call would ask, and in which order."""


@route.command(epilog=EXAMPLES)
@click.argument("model", callback=text)
@click.option("--body", type=click.File("rb"), metavar="FILE", help="A chat-completions request, `-` for standard input.  [a short text]")
@click.option("--config", "path", metavar="FILE", help="Configuration file.  [AISA_CONFIG; ./aisa.yaml if it exists]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(model: str, body: BufferedReader | None, path: str | None, *, as_json: bool) -> None:
    """Print which targets of a MODEL a call would ask and why, without asking any.

    What the running server has seen of them (failures, calls in flight, times to the first token) is not known here. Exits with 1 if
    nobody would be asked.
    """
    from aisa.cli import route_lines

    route_lines.explain(model, None if body is None else body.read(), path, as_json=as_json)
