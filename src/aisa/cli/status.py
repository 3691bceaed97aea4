"""`aisa status`: the command as it is called. What it prints is in `status_lines`."""

from __future__ import annotations

import click

from aisa.cli.keys import located


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Print only what needs attention: nothing if all is well.")
@located
def status(config: str | None, data_dir: str | None, *, as_json: bool, quiet: bool) -> None:
    """Show how the server is: calls, vendors, ledger, disk, versions, and what needs attention.

    Exits with 0 if a server runs, takes calls, and nothing must be acted on; with 1 if not; with 2 if it cannot be told which
    server is meant. What is only to be looked at leaves the status 0.
    """
    from aisa.cli.status_lines import show

    raise SystemExit(show(config, data_dir, as_json=as_json, quiet=quiet))
