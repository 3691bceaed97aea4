"""`aisa usage`: the command as it is called. What it shows is in `usage_table`."""

from __future__ import annotations

import click

from aisa.cli.keys import MOMENTS, located
from aisa.cli.written import text

EXAMPLES = """\b
Examples:
  aisa usage
  aisa usage --by account --since week
  aisa usage --by model --since 24h --key laptop
  aisa usage --by day --since 2026-12-01 --csv > december.csv
"""


@click.command(epilog=EXAMPLES)
@click.option("--by", type=click.Choice(["key", "account", "model", "vendor", "day"]), default="key", help="What to sum up by.  [key]")
@click.option("--key", callback=text, metavar="KEY", help="Of one key alone, by its label or id.")
@click.option("--account", callback=text, metavar="NAME", help="Of one account alone.")
@click.option("--since", callback=text, default="7d", metavar="WHEN", help=f"{MOMENTS}; 400 days at most.  [7d]")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@located
def usage(config: str | None, data_dir: str | None, *, by: str, key: str | None, account: str | None, since: str, form: str | None) -> None:
    """Show how much was used, and what it cost.

    Counts the calls that have ended, those of a moment ago included. FAILED are those that failed or broke off, as `aisa calls --failed`
    lists them, not those that were refused or whose client left. Tokens are those that were billed, days those of UTC.
    By key, keys without calls are there too, and those that have a cap with what is spent and left of it.
    """
    from aisa.cli import usage_table
    from aisa.clock import wall_clock

    asked = usage_table.Asked(by, since, key, account)
    usage_table.show(asked, form, now=wall_clock(), config=config, data_dir=data_dir)
