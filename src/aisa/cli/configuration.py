"""`aisa config`: checks the configuration and shows what would run, or prints its JSON Schema. Starts nothing."""

from __future__ import annotations

import json
import os

import click

from aisa.cli.problems import Misuse, counted
from aisa.cli.terminal import paint, say, table

SCHEMA_USE = """\b
For editors with the YAML language server:
  aisa config schema > aisa.schema.json
and as the first line of aisa.yaml:
  # yaml-language-server: $schema=aisa.schema.json
"""


@click.group()
def config() -> None:
    """Check the configuration, or print its schema."""


@config.command()
@click.option("--config", "path", metavar="FILE", help="Configuration file.  [AISA_CONFIG; ./aisa.yaml if it exists]")
def check(path: str | None) -> None:
    """Show what would run, or everything that is wrong.

    Exits with 2 if anything is wrong. Asks no vendor and starts nothing.
    """
    from aisa.cli.overview import overview
    from aisa.cli.price_check import price_problems
    from aisa.config.load import ConfigErrors, load

    try:
        loaded = load(path, os.environ, {})
    except ConfigErrors as errors:
        raise Misuse(f"the configuration has {counted(len(errors.problems))}", errors.problems) from errors
    unpriced = list(price_problems(loaded.config, loaded.origins))
    if unpriced:
        raise Misuse(f"the configuration has {counted(len(unpriced))}", unpriced)
    say(paint("No problems", "green", bold=True) + f" in {loaded.path or 'the environment; there is no configuration file'}.")
    for title, rows in overview(loaded):
        say(f"\n{paint(title, bold=True)}\n{table((), rows, indent='  ')}")


@config.command(epilog=SCHEMA_USE)
def schema() -> None:
    """Print the configuration's JSON Schema."""
    from aisa.config.reference import json_schema

    say(json.dumps(json_schema(), indent=2))
