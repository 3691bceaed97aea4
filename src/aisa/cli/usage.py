"""`aisa usage`: the command as it is called. What it shows is in `usage_table`."""

from __future__ import annotations

import click

from aisa.cli.keys import located, text

EXAMPLES = """\b
Examples:
  aisa usage
  aisa usage --by model --since 24h
  aisa usage --by day --since 2026-12-01 --csv > december.csv
"""


@click.command(epilog=EXAMPLES)
@click.option("--by", type=click.Choice(["key", "model", "day"]), default="key", help="What to sum up by; days are those of UTC.  [key]")
@click.option("--since", callback=text, default="7d", metavar="WHEN", help="24h, 7d, 4w, or a date (UTC); 400 days at most.  [7d]")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@located
def usage(by: str, since: str, form: str | None, *, config: str | None, data_dir: str | None) -> None:
    """Show how much was used, and what it cost.

    Counts the calls of all keys that have ended, those of a moment ago included. Tokens are those that were billed.
    """
    from aisa.cli import usage_table
    from aisa.clock import wall_clock

    usage_table.show(by, since, form, now=wall_clock(), config=config, data_dir=data_dir)
