"""`aisa models`: the command as it is called. What it shows is in `model_table`."""

from __future__ import annotations

import click

from aisa.cli.keys import located
from aisa.cli.written import text

EXAMPLES = """\b
Examples:
  aisa models                    every name that callers can use
  aisa models gpt-4.1            where it goes, at what price, and why
  aisa models azure/gpt-4.1
"""


@click.command(epilog=EXAMPLES)
@click.argument("name", required=False, callback=text)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@located
def models(name: str | None, config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """Show where the NAME of a model goes, at what price, and why; without NAME, every name that callers can use.

    A server that runs is asked; with --config, or without a server, it is what a server would do that starts with the file, with the lists
    of vendors that the last one in the data folder has heard. Exits with 1 if nothing serves the NAME.
    """
    from aisa.cli import model_table
    from aisa.clock import wall_clock

    if name is None:
        model_table.show_all(config, data_dir, wall_clock(), as_json=as_json)
    else:
        model_table.explain(name, config, data_dir, moment=wall_clock(), as_json=as_json)
