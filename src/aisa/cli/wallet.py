"""`aisa wallet`: the commands on accounts' money as they are called. What they do and print is in `treasury`."""

from __future__ import annotations

import click

from aisa.cli.command_group import CommandGroup
from aisa.cli.keys import MOMENTS, located
from aisa.cli.written import Number, judge_correction, judge_reason, judge_top_up, text, written

EXAMPLES = """\b
Examples:
  aisa wallet show
  aisa wallet statement acme --since month
  aisa wallet top-up acme 250 --reference invoice-17
  aisa wallet adjust acme -1.25 --note "refund of call req_..."
"""
STATEMENTS = """\b
Examples:
  aisa wallet statement acme --since month
  aisa wallet statement acme --since 2026-10-01 --until 2026-11-01 --csv > october.csv
"""
LINES_MAX = 1_000  # of one page, `port_admin.WALLET_LINES_MAX`


@click.group(cls=CommandGroup, epilog=EXAMPLES)
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


@wallet.command(epilog=STATEMENTS)
@click.argument("account", callback=text)
@click.option("--since", callback=text, default="always", metavar="WHEN", help=f"{MOMENTS}, or always.  [always]")
@click.option("--until", callback=text, metavar="WHEN", help="The same; what was booked then is not in it.")
@click.option("--limit", type=Number(1, LINES_MAX), default=30, metavar="N", help="How many lines, the newest.  [30]")
@click.option("--before", callback=text, metavar="ID", help="Only lines older than this one.")
@click.option("--json", "form", flag_value="json", help="Print JSON; amounts have their unit in the name.")
@click.option("--csv", "form", flag_value="csv", help="Print every line as CSV.")
@located
def statement(account: str, config: str | None, data_dir: str | None, *, form: str | None, **asked: object) -> None:
    """Show all that went into ACCOUNT's wallet and out of it, call by call, with what was left each time.

    The lines add up to what is in the wallet. Calls that ended a moment ago may not be written yet.
    """
    import msgspec

    from aisa.cli import statement_lines

    statement_lines.show(msgspec.convert({"account": account, **asked}, statement_lines.Asked), form, config=config, data_dir=data_dir)


# A negative amount begins like an option.
@wallet.command("top-up", context_settings={"ignore_unknown_options": True})
@click.argument("account", callback=text)
@click.argument("amount", callback=written(judge_top_up))
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
@click.argument("amount", callback=written(judge_correction))
@click.option("--note", callback=written(judge_reason), required=True, help="Why.")
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
