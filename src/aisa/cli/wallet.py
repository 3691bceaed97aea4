"""`aisa wallet`: the commands on accounts' money as they are called. What they do and print is in `treasury`."""

from __future__ import annotations

import click

from aisa.cli.keys import located, text

EXAMPLES = """\b
Examples:
  aisa wallet show
  aisa wallet top-up acme 250 --reference invoice-17
  aisa wallet adjust acme -1.25 --note "refund of call req_..."
"""


@click.group(epilog=EXAMPLES)
def wallet() -> None:
    """Show and fill the wallets of accounts.

    An account is unlimited until it is topped up; from then on its wallet pays for its calls. Amounts are US dollars, to nine decimals.
    """


@wallet.command()
@click.argument("account", callback=text, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; amounts are nano-dollars.")
@located
def show(account: str | None, config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """Show every account, or the entries of ACCOUNT's wallet."""
    from aisa.cli import treasury

    treasury.show(account, config, data_dir, as_json=as_json)


@wallet.command("top-up")
@click.argument("account", callback=text)
@click.argument("amount", callback=text)
@click.option("--note", callback=text, default="", help="What it is for.")
@click.option("--reference", callback=text, help="Your own name for the payment, such as an invoice's number: it is booked once.")
@located
def top_up(account: str, amount: str, note: str, *, reference: str | None, config: str | None, data_dir: str | None) -> None:
    """Put AMOUNT dollars into ACCOUNT's wallet.

    An unlimited account becomes a prepaid one with this balance.
    """
    from aisa.cli import treasury

    treasury.top_up(account, {"amount": amount, "note": note, "reference": reference}, config=config, data_dir=data_dir)


# A negative amount begins like an option.
@wallet.command(context_settings={"ignore_unknown_options": True})
@click.argument("account", callback=text)
@click.argument("amount", callback=text)
@click.option("--note", callback=text, required=True, help="Why.")
@located
def adjust(account: str, amount: str, note: str, *, config: str | None, data_dir: str | None) -> None:
    """Add AMOUNT dollars, which may be negative, to ACCOUNT's wallet."""
    from aisa.cli import treasury

    treasury.adjust(account, {"amount": amount, "note": note}, config=config, data_dir=data_dir)


@wallet.command()
@click.argument("account", callback=text)
@located
def unlimit(account: str, config: str | None, data_dir: str | None) -> None:
    """Make ACCOUNT unlimited; what is left in its wallet is written off."""
    from aisa.cli import treasury

    treasury.unlimit(account, config, data_dir)
