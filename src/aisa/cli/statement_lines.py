"""What `aisa wallet statement` prints: a wallet's entries and calls with what was left, as a table, JSON or CSV. Adds nothing up."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, urlencode

import msgspec

from aisa.cli.control import ask
from aisa.cli.data_folder import settings
from aisa.cli.fitting import fitted
from aisa.cli.json_units import with_units
from aisa.cli.keyring import KeyList
from aisa.cli.moments import beginning_or_always, ending
from aisa.cli.price_tables import say_json
from aisa.cli.problems import Stop
from aisa.cli.terminal import paint, say
from aisa.cli.treasury import KINDS, dollars
from aisa.clock import wall_clock
from aisa.edge.bill_view import iso
from aisa.ids import short_id
from aisa.ledger.export import csv_line
from aisa.ledger.port_admin import CALL, WALLET_LINES_MAX, WalletLine, WalletPage
from aisa.money import dollars_text

HEADS = ("WHEN UTC", "US DOLLARS", "LEFT", "ID", "WHAT")
CSV_HEADS = ("when", "id", "kind", "amount_usd", "left_usd", "model", "key_id", "key_label", "reference", "note")
ANSWER_SECONDS_MAX = 60.0  # ten million calls that are newer than a page are added up in that time


class Asked(msgspec.Struct, frozen=True):
    """What the command line asks for: lines of [since, until), so many, older than the one called `before`."""

    account: str
    since: str
    until: str | None
    limit: int
    before: str | None


def show(asked: Asked, form: str | None, *, config: str | None, data_dir: str | None) -> None:
    """Print a page of a wallet's statement, or as CSV all of its lines. Raises Misuse, Stop."""
    folder = settings(config, data_dir).server.data_dir
    now = wall_clock()
    since_ms = beginning_or_always(asked.since, now)
    query: dict[str, object] = {"since_ms": since_ms, "limit": asked.limit}
    query |= {} if asked.until is None else {"until_ms": ending(asked.until, now)}
    query |= {} if asked.before is None else {"after": asked.before}
    if form == "csv":
        labels = labels_of(folder)
        say(csv_line(CSV_HEADS)[:-1], literal=True)
        for line in every_line(folder, asked.account, {**query, "limit": WALLET_LINES_MAX}):
            say(csv_line(cells_of(line, labels))[:-1], literal=True)
        return
    page = page_of(folder, asked.account, query)
    if form == "json":
        say_json(with_units(msgspec.to_builtins(page)))
        return
    say(f"The wallet of {paint(asked.account, bold=True)}, the newest first:\n" if page.data else "Nothing was booked in that time.\n")
    if page.data:
        say(statement(page, labels_of(folder)))
        say("")
    told_standing(asked, page)


def told_standing(asked: Asked, page: WalletPage) -> None:
    """Say what is in a wallet, and how to go on. Raises Stop for a wallet whose lines do not come to what is in it."""
    balance = page.account.balance
    newest = asked.until is None and asked.before is None
    if newest and balance is not None and balance != page.closing:
        what = f"Its entries and calls come to {dollars(page.closing)}, and it holds {dollars(balance)}."
        raise Stop("the wallet does not add up", [(asked.account, what, "`aisa ledger audit` says where.")])
    if balance is None:
        say("The account is unlimited: no wallet pays for its calls.")
    elif newest:
        say(f"It holds {dollars(balance)}, which is all of these lines.")
    if page.has_more:
        say(paint(f"Older lines: aisa wallet statement {asked.account} --before {page.data[-1].id}", dim=True))
        say(paint(f"All of them: aisa wallet statement {asked.account} --csv", dim=True))


def page_of(folder: str, account: str, query: dict[str, object]) -> WalletPage:
    """Ask for a page."""
    path = f"/accounts/{quote(account, safe='')}/statement?{urlencode(query)}"
    return ask(folder, "GET", path, expect=WalletPage, seconds=ANSWER_SECONDS_MAX)


def every_line(folder: str, account: str, query: dict[str, object]) -> Iterator[WalletLine]:
    """Yield the lines of all pages, the newest first, one page in memory."""
    while True:
        page = page_of(folder, account, query)
        yield from page.data
        if not page.has_more:
            return
        query = {**query, "after": page.data[-1].id}


def labels_of(folder: str) -> dict[str, str]:
    """Return keys' labels by their ids."""
    return {key.id: key.label for key in ask(folder, "GET", "/keys", expect=KeyList).data}


def statement(page: WalletPage, labels: dict[str, str]) -> str:
    """Return a page as a table, which begins with what is left behind its newest line and ends with what there was before its oldest."""
    rows = [
        [iso(line.at_ms // 1000)[:-1].replace("T", " "), *amounts(line), short_id(line.id), what_of(line, labels)] for line in page.data
    ]
    rows.append(["", "", dollars_text(page.opening), "", "before these lines" if page.has_more or page.opening else "at first"])
    return fitted(HEADS, rows, right=(1, 2), least=("ID",))


def moment(line: WalletLine) -> str:
    """Write when a line was booked, to the second."""
    return iso(line.at_ms // 1000)[:-1].replace("T", " ")


def amounts(line: WalletLine) -> tuple[str, str]:
    """Return what a line has changed, with its sign, and what was left: exact."""
    return ("+" if line.amount > 0 else "") + dollars_text(line.amount), dollars_text(line.left)


def what_of(line: WalletLine, labels: dict[str, str]) -> str:
    """Say what a line is about."""
    if line.kind == CALL:
        return f"{line.model} {labels.get(line.key_id, line.key_id)}"
    return " ".join(each for each in (KINDS.get(line.kind, line.kind), line.reference, line.note) if each)


def cells_of(line: WalletLine, labels: dict[str, str]) -> tuple[str, ...]:
    """Return a line's cells, in the order of CSV_HEADS. Amounts are exact."""
    money = (dollars_text(line.amount), dollars_text(line.left))
    whose = (line.model, line.key_id, labels.get(line.key_id, ""))
    return (iso(line.at_ms // 1000), line.id, line.kind, *money, *whose, line.reference or "", line.note)
