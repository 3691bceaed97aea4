"""`aisa admin-keys`: the commands on keys of administrators."""

from __future__ import annotations

import click

from aisa.cli.command_group import CommandGroup
from aisa.cli.keys import located
from aisa.cli.written import text

EXAMPLES = """\b
Examples:
  aisa admin-keys create grafana --scope read
  curl -H "Authorization: Bearer sk-aisa-admin-..." http://127.0.0.1:8000/admin/v1/keys
"""


@click.group("admin-keys", cls=CommandGroup)
def admin_keys() -> None:
    """Make, list and revoke keys for the admin API, which are good for no call.

    The admin API and /metrics are off until there is one. They are made and revoked here alone, and not over the network.
    """


@admin_keys.command(epilog=EXAMPLES)
@click.argument("label", callback=text)
@click.option("--scope", type=click.Choice(["read", "write"]), required=True, help="What it may do; write includes read.")
@click.option("--quiet", is_flag=True, help="Print the key and nothing else.")
@located
def create(label: str, config: str | None, data_dir: str | None, *, scope: str, quiet: bool) -> None:
    """Make an admin key named LABEL and show it, this once."""
    from aisa.cli import admin_key_lines

    admin_key_lines.create(label, scope, quiet=quiet, config=config, data_dir=data_dir)


@admin_keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@located
def list_(config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """List the admin keys, the oldest first."""
    from aisa.cli import admin_key_lines

    admin_key_lines.show_all(config, data_dir, as_json=as_json)


@admin_keys.command()
@click.argument("key", callback=text, metavar="ID|LABEL")
@located
def revoke(key: str, config: str | None, data_dir: str | None) -> None:
    """Revoke an admin key for good, from the next request on."""
    from aisa.cli import admin_key_lines

    admin_key_lines.revoke(key, config, data_dir)
