"""`aisa calls`: the commands on calls as they are called. What they show is in `call_lines`."""

from __future__ import annotations

import click
from click.core import ParameterSource

from aisa.cli.command_group import CommandGroup
from aisa.cli.keys import MOMENTS, located
from aisa.cli.written import Number, text

EXAMPLES = """\b
Examples:
  aisa calls --refused                   who was refused, and why
  aisa calls --key laptop --since 1h     what one key did
  aisa calls --failed --model gpt-4.1    what broke
  aisa calls --follow                    every call as it ends
  aisa calls end 01JABCD9                end one that runs: aisa board
"""
LIMIT_MAX = 1_000  # what a server lists at once


@click.group(cls=CommandGroup, epilog=EXAMPLES, invoke_without_command=True, subcommand_metavar="[end ID]")
@click.option("--key", callback=text, metavar="KEY", help="Of one key, by its label or id.")
@click.option("--account", callback=text, metavar="NAME", help="Of the keys of one account.")
@click.option("--model", callback=text, metavar="NAME", help="To one model, by the name that was asked for.")
@click.option("--failed", is_flag=True, help="Only those that failed or broke off, as `aisa usage` counts them.")
@click.option("--refused", is_flag=True, help="Only those that were refused; with --failed, both.")
@click.option("--since", callback=text, default="24h", metavar="WHEN", help=f"{MOMENTS}.  [24h]")
@click.option("--limit", type=Number(1, LIMIT_MAX), default=30, metavar="N", help="How many, the newest.  [30]")
@click.option("--follow", is_flag=True, help="Go on with every call as it ends. Ctrl-C stops it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --follow, an object a line.")
@located
@click.pass_context
def calls(context: click.Context, /, config: str | None, data_dir: str | None, **asked: object) -> None:
    """List the calls that ended or were refused, the newest last.

    `aisa explain ID` shows all of one; the beginning of an ID is enough. Below a refused call stands what its caller was told; why a
    vendor failed is in the server's log, beside the call's ID.
    """
    if context.invoked_subcommand is not None:
        refuse_options(context)
        return

    import msgspec

    from aisa.cli import call_lines
    from aisa.clock import wall_clock

    call_lines.show(msgspec.convert(asked, call_lines.Asked), config, data_dir, now=wall_clock)


def refuse_options(context: click.Context) -> None:
    """Raise click.UsageError for an option of the list in front of a command that would not heed it."""
    for option in context.command.params:
        if context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            name, command = option.opts[0], context.invoked_subcommand
            raise click.UsageError(f"{name} before `{command}` is of the list of calls. Options of `{command}` stand behind it.", context)


@calls.command()
@click.argument("call_id", callback=text)
@located
def end(call_id: str, config: str | None, data_dir: str | None) -> None:
    """End a call that runs. Its client is told, and what has arrived of it is billed.

    CALL_ID is its id in `aisa board --json` or the console, or as much of its beginning as no other call has. The client gets status 403,
    or an error event in its stream. Exits with 1 if the call has ended already, if there is no such call, or if several begin so.
    """
    from aisa.cli import call_lines

    call_lines.end(call_id, config, data_dir)
