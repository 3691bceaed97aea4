"""`aisa calls`: the command as it is called. What it shows is in `call_lines`."""

from __future__ import annotations

import click

from aisa.cli.keys import MOMENTS, located, text

EXAMPLES = """\b
Examples:
  aisa calls --refused                   who was refused, and why
  aisa calls --key laptop --since 1h     what one key did
  aisa calls --failed --model gpt-4.1    what broke
  aisa calls --follow                    every call as it ends
"""
LIMIT_MAX = 1_000  # what a server lists at once


@click.command(epilog=EXAMPLES)
@click.option("--key", callback=text, metavar="KEY", help="Of one key, by its label or id.")
@click.option("--account", callback=text, metavar="NAME", help="Of the keys of one account.")
@click.option("--model", callback=text, metavar="NAME", help="To one model, by the name that was asked for.")
@click.option("--failed", is_flag=True, help="Only those that failed or broke off, as `aisa usage` counts them.")
@click.option("--refused", is_flag=True, help="Only those that were refused; with --failed, both.")
@click.option("--since", callback=text, default="24h", metavar="WHEN", help=f"{MOMENTS}.  [24h]")
@click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=30, metavar="N", help="How many, the newest.  [30]")
@click.option("--follow", is_flag=True, help="Go on with every call as it ends. Ctrl-C stops it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --follow, an object a line.")
@located
def calls(config: str | None, data_dir: str | None, **asked: object) -> None:
    """List the calls that ended or were refused, the newest last.

    `aisa explain ID` shows all of one; the beginning of an ID is enough.
    """
    import msgspec

    from aisa.cli import call_lines
    from aisa.clock import wall_clock

    call_lines.show(msgspec.convert(asked, call_lines.Asked), config, data_dir, now=wall_clock)
