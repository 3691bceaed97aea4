"""The command `aisa` and what belongs to it. Declares; every command has a module of its own."""

from __future__ import annotations

import click

from aisa import __version__
from aisa.cli.accounts import accounts
from aisa.cli.admin_keys import admin_keys
from aisa.cli.backup import backup, restore
from aisa.cli.board import board
from aisa.cli.calls import calls
from aisa.cli.check import check
from aisa.cli.command_group import CommandGroup
from aisa.cli.configuration import config
from aisa.cli.explain import explain
from aisa.cli.init import init
from aisa.cli.keys import keys
from aisa.cli.ledger import ledger
from aisa.cli.models import models
from aisa.cli.prices import prices
from aisa.cli.reloading import reload
from aisa.cli.route import route
from aisa.cli.serving import serve
from aisa.cli.simulate import simulate
from aisa.cli.status import status
from aisa.cli.teams import teams
from aisa.cli.terminal import say
from aisa.cli.usage import usage
from aisa.cli.vendors import vendors
from aisa.cli.wallet import wallet

START = """\b
Start here:
  aisa serve                 run it; nothing needs to be configured
  aisa keys create laptop    make an API key
  aisa init                  write a configuration to begin with
  aisa config check          see what would run
  aisa vendors               see whose models can be called
  aisa status                see how the server is, and what needs attention
  aisa calls                 see who called, and who was refused
  aisa models                see which models can be called, and where each goes
  aisa check URL             prove a deployment, behind any proxy

Exit status: 0 done; 1 failed, or refused by the server or its data (not there, taken, not
allowed); 2 called or configured wrongly, as with an amount that is none, so that nothing was asked.
"""


@click.group(cls=CommandGroup, epilog=START, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", message="aisa %(version)s")
def aisa() -> None:
    """One endpoint and one key for every language model.

    aisa is an OpenAI-compatible server in front of any model vendor.
    """


@aisa.command(hidden=True)
def version() -> None:
    """Show the version, as --version does."""
    say(f"aisa {__version__}", literal=True)


@aisa.command("help", hidden=True)
@click.argument("words", metavar="[COMMAND]...", nargs=-1)
@click.pass_context
def help_(context: click.Context, words: tuple[str, ...]) -> None:
    """Show what a command is for, as its --help does."""
    command: click.Command = aisa
    parent = context.find_root()
    for word in words:
        if not isinstance(command, click.Group):
            raise click.UsageError(f"No such command '{' '.join(words)}'.", parent)
        _, found, _ = command.resolve_command(parent, [word])
        assert found is not None, "what is not there is a UsageError, which says what may be meant"
        parent = click.Context(found, info_name=word, parent=parent)
        command = found
    say(command.get_help(parent))


aisa.add_command(serve)
aisa.add_command(init)
aisa.add_command(reload)
aisa.add_command(status)
aisa.add_command(keys)
aisa.add_command(teams)
aisa.add_command(accounts)
aisa.add_command(admin_keys)
aisa.add_command(config)
aisa.add_command(models)
aisa.add_command(vendors)
aisa.add_command(prices)
aisa.add_command(route)
aisa.add_command(wallet)
aisa.add_command(ledger)
aisa.add_command(backup)
aisa.add_command(restore)
aisa.add_command(usage)
aisa.add_command(calls)
aisa.add_command(explain)
aisa.add_command(board)
aisa.add_command(check)
aisa.add_command(simulate)
