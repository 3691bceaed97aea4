"""`aisa config`: checks the configuration and shows what would run, or prints its JSON Schema. Starts nothing."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from aisa.cli.command_group import CommandGroup
from aisa.cli.fitting import facts
from aisa.cli.problems import Misuse, Problem, Stop, block, counted
from aisa.cli.terminal import paint, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aisa.config.schema import Config
    from aisa.storage.running import Running

SCHEMA_USE = """\b
For editors with the YAML language server:
  aisa config schema > aisa.schema.json
and as the first line of aisa.yaml:
  # yaml-language-server: $schema=aisa.schema.json
"""


@click.group(cls=CommandGroup)
def config() -> None:
    """Check the configuration, or print its schema."""


@config.command()
@click.option("--config", "path", metavar="FILE", help="Configuration file.  [AISA_CONFIG; ./aisa.yaml if it exists]")
@click.option("--online", is_flag=True, help="Ask each vendor too: can it be reached, does it take the key, has it the models.")
def check(path: str | None, *, online: bool) -> None:
    """Show what would run, or everything that is wrong.

    Exits with 2 if anything is wrong. Starts nothing, and asks no vendor without --online; then it exits with 1 if one of
    them would fail. Asking costs nothing: no vendor is made to answer a prompt.
    """
    from aisa.cli.data_folder import server_elsewhere
    from aisa.cli.free_lines import free_rows
    from aisa.cli.model_table import routes_of
    from aisa.cli.overview import overview
    from aisa.cli.preflight import standing_problems
    from aisa.cli.price_check import price_problems
    from aisa.cli.served_vendors import unseen_at
    from aisa.clock import wall_clock
    from aisa.config.load import ConfigErrors, Loaded, load
    from aisa.http.nearby import look_around

    loaded: Loaded | None = None
    errors: ConfigErrors | None = None
    server: Running | None = None
    try:
        server = server_elsewhere(path)
        loaded = load(path if server is None else server.config, os.environ, {}, nearby=look_around)
    except ConfigErrors as raised:
        errors = raised
    settings = loaded.config if loaded else errors and errors.partial
    problems = [*(errors.problems if errors else ()), *(standing_problems(settings, errors, os.environ) if settings else ())]
    problems += price_problems(loaded.config, loaded.origins) if loaded else ()
    if loaded is None or problems:
        raise Misuse(f"the configuration has {counted(len(problems))}", problems)
    place = loaded.path or "the environment; there is no configuration file"
    say(f"Read: {place}." if online else paint("No problems", "green", bold=True) + f" in {place}.")
    folder = server.data_dir if server else loaded.config.server.data_dir
    others = [] if loaded.path else unseen_at(folder, loaded.config.vendors, os.environ)
    for note in [*loaded.notes, *others]:
        say("\n" + block(note))
    for title, rows in overview(loaded, os.environ, server):
        say(f"\n{paint(title, bold=True)}\n{facts(rows, indent='  ')}")
    if free := free_rows(routes_of(loaded.config), wall_clock()):
        say(f"\n{paint('Free of charge', bold=True)}\n{facts(free, indent='  ')}")
    if online:
        ask_vendors(loaded.config, others)
        say("\n" + paint("No problems", "green", bold=True) + f" in {place}, and none with the vendors.")


def ask_vendors(settings: Config, unasked: Sequence[Problem] = ()) -> None:
    """Say of each vendor what it answers, as it comes. Raises Stop if one of them would fail, or for those that could not be asked."""
    from aisa.cli.online import each_finding

    say(f"\n{paint('Vendors asked', bold=True)}")
    problems = [*unasked]
    width = max(map(len, settings.vendors), default=0)
    for finding in each_finding(settings, os.environ):
        mark = paint("fails", "red") if finding.problems else paint("works", "green")
        say(f"  {finding.vendor:{width}}  {mark}  {', '.join(finding.good)}".rstrip())
        problems += finding.problems
    if not settings.vendors:
        say("  There is none.")
    if problems:
        raise Stop(f"asking the vendors found {counted(len(problems))}", problems)


@config.group("import")
def importing() -> None:
    """Make a configuration of another gateway's."""


@importing.command()
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False))
@click.option("--output", metavar="FILE", default="aisa.yaml", show_default=True, help="Where to write it; it must not be there.")
def litellm(file: str, output: str) -> None:
    """Write FILE, a configuration of LiteLLM's proxy, as one of this server, and say what could not be carried over.

    Starts nothing and asks nobody. What is written has FILE's keys in it, if FILE has: only its owner may read it.
    """
    from aisa.cli.from_litellm import import_configuration

    import_configuration(file, output)


@config.command(epilog=SCHEMA_USE)
def schema() -> None:
    """Print the configuration's JSON Schema."""
    from aisa.config.reference import json_schema

    say(json.dumps(json_schema(), indent=2), literal=True)
