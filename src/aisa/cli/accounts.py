"""`aisa accounts`: the commands on accounts as they are called. What they do and print is in `account_lines`."""

from __future__ import annotations

import click

from aisa.cli.command_group import CommandGroup
from aisa.cli.keys import located
from aisa.cli.written import judge_account, text, written

EXAMPLES = """\b
Examples:
  aisa accounts create acme --tier starter
  aisa accounts set-tier acme growth
  aisa accounts disable acme
"""


@click.group(cls=CommandGroup, epilog=EXAMPLES)
def accounts() -> None:
    """Make, list, limit and disable accounts.

    Keys belong to accounts; an account's tier limits what each of its keys may ask, and its wallet pays. See docs/limits.md.
    """


@accounts.command()
@click.argument("name", callback=written(judge_account))
@click.option("--tier", callback=text, help="The limits of its keys.  [limits.default_tier]")
@located
def create(name: str, tier: str | None, config: str | None, *, data_dir: str | None) -> None:
    """Make an account named NAME, without a limit on money."""
    from aisa.cli import account_lines

    account_lines.change(None, "create", {"name": name, "tier": tier}, config=config, data_dir=data_dir)


@accounts.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array; amounts are nano-dollars.")
@located
def list_(config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """List the accounts."""
    from aisa.cli import account_lines

    account_lines.show_all(config, data_dir, as_json=as_json)


@accounts.command("set-tier")
@click.argument("name", callback=text)
@click.argument("tier", callback=text)
@located
def set_tier(name: str, tier: str, config: str | None, *, data_dir: str | None) -> None:
    """Give the account NAME another TIER; `default` for the configuration's."""
    from aisa.cli import account_lines
    from aisa.config.limits import NO_TIER

    account_lines.change(name, "tier", {"tier": None if tier == NO_TIER else tier}, config=config, data_dir=data_dir)


@accounts.command()
@click.argument("name", callback=text)
@located
def disable(name: str, config: str | None, data_dir: str | None) -> None:
    """Let none of the keys of NAME in, from the next request on."""
    from aisa.cli import account_lines

    account_lines.change(name, "disable", config=config, data_dir=data_dir)


@accounts.command()
@click.argument("name", callback=text)
@located
def enable(name: str, config: str | None, data_dir: str | None) -> None:
    """Let the keys of NAME in again."""
    from aisa.cli import account_lines

    account_lines.change(name, "enable", config=config, data_dir=data_dir)
