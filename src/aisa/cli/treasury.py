"""What the commands on wallets do: ask, and show the answer. Decides nothing about money and opens nothing itself."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

import msgspec

from aisa.cli.control import ask
from aisa.cli.data_folder import settings
from aisa.cli.fitting import fitted
from aisa.cli.json_units import with_units
from aisa.cli.problems import Stop
from aisa.cli.terminal import paint, say
from aisa.edge.admin_wallets import AccountList, EntryList
from aisa.ledger.port_admin import AccountStanding, Booking, Entry
from aisa.money import Nanos, dollars_text

KINDS = {"top_up": "top-up", "adjustment": "adjustment"}


def show(account: str | None, config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """Print every account, or one and the entries of its wallet. Raises Stop."""
    folder = settings(config, data_dir).server.data_dir
    accounts = [known for known in ask(folder, "GET", "/accounts", expect=AccountList).data if account in (None, known.name)]
    if account is None:
        say(json_text(accounts) if as_json else account_table(accounts), literal=as_json)
        return
    if not accounts:
        remedy = "`aisa wallet show` lists the accounts; `aisa keys create LABEL --account NAME` makes one."
        raise Stop("there is no such account", [(account, "No key was ever made for it.", remedy)])
    entries = ask(folder, "GET", f"/accounts/{quote(account, safe='')}/entries", expect=EntryList).data
    if as_json:
        say(json_text({"account": accounts[0], "entries": entries}), literal=True)
        return
    say(account_table(accounts))
    say("\n" + (statement(accounts[0], entries) if entries else "Nothing was ever put into its wallet."))


def top_up(account: str, asked: dict[str, str | None], *, config: str | None, data_dir: str | None) -> None:
    """Put money into a wallet and say what is in it. Raises Stop."""
    booking = change(account, "top-up", asked, config=config, data_dir=data_dir)
    if booking.fresh:
        say(f"{dollars(booking.entry.amount)} put into the wallet of {paint(account, bold=True)}. {holds(booking)}")
    else:
        say(f"The reference {asked['reference']} was booked before, so nothing was changed. {holds(booking)}")


def adjust(account: str, asked: dict[str, str | None], *, config: str | None, data_dir: str | None) -> None:
    """Correct a wallet and say what is in it. Raises Stop."""
    booking = change(account, "adjust", asked, config=config, data_dir=data_dir)
    say(f"The wallet of {paint(account, bold=True)} is adjusted by {dollars(booking.entry.amount)}. {holds(booking)}")


def unlimit(account: str, config: str | None, data_dir: str | None) -> None:
    """Make an account unlimited. Raises Stop."""
    folder = settings(config, data_dir).server.data_dir
    known = ask(folder, "POST", f"/accounts/{quote(account, safe='')}/unlimit", expect=AccountStanding)
    say(f"The account {paint(known.name, bold=True)} is unlimited. A top-up makes it prepaid again.")


def change(account: str, how: str, asked: dict[str, str | None], *, config: str | None, data_dir: str | None) -> Booking:
    """Ask for a change of a wallet. Raises Stop."""
    folder = settings(config, data_dir).server.data_dir
    return ask(folder, "POST", f"/accounts/{quote(account, safe='')}/{how}", expect=Booking, asked=asked)


def account_table(accounts: list[AccountStanding]) -> str:
    """Return accounts as a table."""
    rows = [[account.name, balance(account), dollars(account.spent), f"{account.calls:,}"] for account in accounts]
    return fitted(("ACCOUNT", "BALANCE", "SPENT", "CALLS"), rows, right=(1, 2, 3), least=("CALLS", "SPENT"))


def statement(account: AccountStanding, entries: list[Entry]) -> str:
    """Return what went into a wallet and out of it, times in local time: the amounts add up to what is in it."""
    rows: list[list[str]] = []
    older = (account.balance or 0) + account.charged - sum(entry.amount for entry in entries)
    for entry in entries:
        when = datetime.fromtimestamp(entry.created_at).astimezone().strftime("%Y-%m-%d %H:%M")
        rows.append([when, KINDS.get(entry.kind, entry.kind), dollars(entry.amount), entry.reference or "", entry.note])
    if older:
        rows.append(["", "older entries", dollars(older), "", ""])
    rows.append(
        ["", "calls", dollars(-account.charged), "", f"all that the wallet has paid for; one by one: aisa wallet statement {account.name}"]
    )
    rows.append(["", "in the wallet", balance(account) if account.balance is None else dollars(account.balance), "", ""])
    unpaid = account.spent - account.charged
    said = f"\n\nIts calls cost {dollars(account.spent)} in all; {dollars(unpaid)} of it while the account was unlimited." if unpaid else ""
    return fitted(("WHEN", "KIND", "AMOUNT", "REFERENCE", "NOTE"), rows, right=(2,), least=("REFERENCE",)) + said


def balance(account: AccountStanding) -> str:
    """Return what is in an account's wallet."""
    return "unlimited" if account.balance is None else dollars(account.balance)


def holds(booking: Booking) -> str:
    """Say what is in a wallet after it was changed."""
    return "It is unlimited." if booking.balance is None else f"It holds {dollars(booking.balance)}."


def dollars(nanos: Nanos) -> str:
    """Write an amount for people: cents at least, and every further digit that is not zero. 1250 -> `$0.00000125`."""
    whole, _, decimals = dollars_text(abs(nanos)).partition(".")
    return f"{'-' if nanos < 0 else ''}${int(whole):,}.{decimals:0<2}"


def json_text(value: object) -> str:
    """Return a value as JSON for people and programs, amounts with their units."""
    return msgspec.json.format(msgspec.json.encode(with_units(msgspec.to_builtins(value))), indent=2).decode()
