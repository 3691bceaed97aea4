"""What the commands on accounts do: ask, and show the answer. Decides nothing about accounts and opens nothing itself."""

from __future__ import annotations

import shlex
from urllib.parse import quote

from aisa.cli.control import ask
from aisa.cli.data_folder import settings
from aisa.cli.fitting import fitted
from aisa.cli.terminal import paint, say
from aisa.cli.treasury import balance, dollars, json_text
from aisa.edge.admin_wallets import AccountList
from aisa.keys.rules import DISABLED, Account


def change(name: str | None, how: str, asked: object = None, *, config: str | None, data_dir: str | None) -> None:
    """Make an account, if no name is given, or change one, and say how it is now. Raises Stop."""
    known = settings(config, data_dir, makes=name is None)
    path = "/accounts" if name is None else f"/accounts/{quote(name, safe='')}/{how}"
    account = ask(known.server.data_dir, "POST", path, expect=Account, asked=asked, config=known)
    tier = f"the tier {account.tier}" if account.tier else f"the default tier, {known.limits.default_tier}"
    state = ", and disabled: none of its keys is let in" if account.state == DISABLED else ""
    say(f"The account {paint(account.name, bold=True)} is in {tier}{state}.")


def show_all(config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """Print every account. Raises Stop."""
    known = settings(config, data_dir)
    accounts = ask(known.server.data_dir, "GET", "/accounts", expect=AccountList).data
    if as_json:
        say(json_text(accounts), literal=True)
        return
    default = f"default ({known.limits.default_tier})"
    rows = [
        [
            account.name,
            account.tier or default,
            account.state,
            balance(account),
            dollars(account.spent),
            f"{account.calls:,}",
        ]
        for account in accounts
    ]
    heads = ("ACCOUNT", "TIER", "STATE", "BALANCE", "SPENT", "CALLS")
    say(fitted(heads, rows, right=(3, 4, 5), least=("CALLS", "TIER", "SPENT", "BALANCE")))


def account_is_new(name: str) -> str:
    """Say of an account that was made beside something else what holds, and how that is changed."""
    return (
        f"The account {paint(name, bold=True)} is new, and unlimited until it is topped up: aisa wallet top-up {shlex.quote(name)} AMOUNT"
    )
