"""A wallet's statement: its entries and the calls that it paid for as one list, a page at a time. Writes nothing.

A page says what was in the wallet before and after it, computed from the sums of all that is newer, so that pages fit each other whatever
was written between two looks: `opening`, plus the lines, is `closing`. Of days whose calls may be removed there is one line each.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection, func, select, tuple_

from aisa.errors import ApiError
from aisa.ledger.pieces import DAYS
from aisa.ledger.port_admin import CALL, DAY_OF_CALLS, AccountStanding, WalletLine, WalletPage, WalletSpan
from aisa.ledger.port_usage import DAY_MS, day_of
from aisa.ledger.sums import known_of
from aisa.money import Nanos
from aisa.storage.tables import calls, usage_sums, wallet_entries

ENTRY_PREFIX, DAY_PREFIX = "entry_", "day_"
ENTRY_NUMBER_MAX = 2**31 - 1  # of the database's column
NEVER_MS = 2**62  # behind every moment
CLOCK_MS_MAX = 86_400_000  # that a clock is set back between a payment and the calls behind it: older ones count in what was there before


class Place(NamedTuple):
    """Between two lines: what is older comes behind it. In one millisecond an entry is older than the calls that it may have paid for."""

    at_ms: int
    call_id: str = ""
    entry_id: int = 0


def wallet_page(connection: Connection, account: AccountStanding, span: WalletSpan) -> WalletPage:
    """Return the newest lines of a span. Raises ApiError invalid_request for an `after` that is no line of this wallet."""
    end = Place(NEVER_MS) if span.until_ms is None else Place(span.until_ms)
    place = end if span.after is None else min(end, place_of(connection, account.name, span.after))
    left = closing = left_at(connection, account, place)
    wanted = Wanted(account.name, place, span)
    found = older_entries(connection, wanted) + older_calls(connection, wanted) + older_days(connection, wanted)
    found.sort(key=lambda line: (line.at_ms, line.kind == CALL, number_of(line.id), line.id), reverse=True)
    lines: list[WalletLine] = []
    for line in found[: span.limit]:
        lines.append(WalletLine(*line[:4], left, *line[4:]))
        left -= line.amount
    return WalletPage(account, lines, opening=left, closing=closing, has_more=len(found) > span.limit)


class Wanted(NamedTuple):
    """Which lines: of an account's wallet, behind a place, as far as a span goes back; one more than there is room for."""

    account: str
    place: Place
    span: WalletSpan


class Movement(NamedTuple):
    """A `WalletLine` without what was left."""

    id: str
    at_ms: int
    kind: str
    amount: Nanos
    note: str = ""
    reference: str | None = None
    model: str = ""
    key_id: str = ""


entered_ms = wallet_entries.c.created_at * 1000
PAID = calls.c.prepaid & (calls.c.cost != 0)


def older_entries(connection: Connection, wanted: Wanted) -> list[Movement]:
    """Return the newest entries."""
    account, place, span = wanted
    behind = tuple_(entered_ms, wallet_entries.c.id) < tuple_(place.at_ms, place.entry_id)
    ours = select(wallet_entries).where(wallet_entries.c.account == account, behind, entered_ms >= span.since_ms)
    newest = ours.order_by(wallet_entries.c.created_at.desc(), wallet_entries.c.id.desc()).limit(span.limit + 1)
    return [
        Movement(f"{ENTRY_PREFIX}{each.id}", each.created_at * 1000, each.kind, each.amount, each.note, each.reference)
        for each in connection.execute(newest)
    ]


def older_calls(connection: Connection, wanted: Wanted) -> list[Movement]:
    """Return the newest calls that the wallet paid for."""
    account, place, span = wanted
    since = max(span.since_ms, known_of(connection).removed_ms, first_paid_ms(connection, account))
    columns = (calls.c.id, calls.c.ended_ms, calls.c.cost, calls.c.model, calls.c.key_id)
    behind = tuple_(calls.c.ended_ms, calls.c.id) < tuple_(place.at_ms, place.call_id)
    of_index = calls.c.ended_ms.between(since, place.at_ms)
    ours = select(*columns).where(calls.c.account == account, of_index, behind, PAID)
    newest = ours.order_by(calls.c.ended_ms.desc(), calls.c.id.desc()).limit(span.limit + 1)
    return [
        Movement(id_, ended_ms, CALL, -cost, "", None, model, key_id) for id_, ended_ms, cost, model, key_id in connection.execute(newest)
    ]


day_ended_ms = usage_sums.c.start_ms + (DAY_MS - 1)
SUMMED = (usage_sums.c.hours == DAYS) & (usage_sums.c.charged != 0)


def older_days(connection: Connection, wanted: Wanted) -> list[Movement]:
    """Return the newest days of which single calls may be removed, as what all of their calls took."""
    account, place, span = wanted
    inside = (usage_sums.c.start_ms < known_of(connection).removed_ms) & (day_ended_ms >= span.since_ms)
    behind = tuple_(day_ended_ms, 0) < tuple_(place.at_ms, place.entry_id)
    totals = (func.sum(usage_sums.c.requests), func.sum(usage_sums.c.charged))
    ours = select(usage_sums.c.start_ms, *totals).where(usage_sums.c.account == account, SUMMED, inside, behind)
    newest = ours.group_by(usage_sums.c.start_ms).order_by(usage_sums.c.start_ms.desc()).limit(span.limit + 1)
    return [
        Movement(f"{DAY_PREFIX}{day_of(start_ms)}", start_ms + DAY_MS - 1, DAY_OF_CALLS, -int(charged), f"{requests:,} calls of this day")
        for start_ms, requests, charged in connection.execute(newest)
    ]


def first_paid_ms(connection: Connection, account: str) -> int:
    """Return a moment before which no call was paid for, so that those are not read: a day before the first entry, as clocks are set."""
    first = connection.execute(select(func.min(entered_ms)).where(wallet_entries.c.account == account)).scalar_one()
    return NEVER_MS if first is None else int(first) - CLOCK_MS_MAX


def left_at(connection: Connection, account: AccountStanding, place: Place) -> Nanos:
    """Return what was in a wallet at a place: all that it was given less all that it has paid, without what of both is newer."""
    given = select(func.coalesce(func.sum(wallet_entries.c.amount), 0)).where(wallet_entries.c.account == account.name)
    newer_given = given.where(tuple_(entered_ms, wallet_entries.c.id) >= tuple_(place.at_ms, place.entry_id))
    removed_ms = known_of(connection).removed_ms
    of_index = calls.c.ended_ms >= max(place.at_ms, removed_ms)
    paid = select(func.coalesce(func.sum(calls.c.cost), 0)).where(calls.c.account == account.name, of_index, PAID)
    newer_paid = paid.where(tuple_(calls.c.ended_ms, calls.c.id) >= tuple_(place.at_ms, place.call_id))
    days = select(func.coalesce(func.sum(usage_sums.c.charged), 0)).where(usage_sums.c.account == account.name, SUMMED)
    newer_days = days.where(usage_sums.c.start_ms < removed_ms, tuple_(day_ended_ms, 0) >= tuple_(place.at_ms, place.entry_id))
    sums = [int(connection.execute(each).scalar_one()) for each in (given, newer_given, newer_paid, newer_days)]
    return sums[0] - account.charged - sums[1] + sums[2] + sums[3]


def place_of(connection: Connection, account: str, id_: str) -> Place:
    """Return the place behind a line. Raises ApiError invalid_request for an id that is no line of this wallet."""
    number = number_of(id_)
    if id_.startswith(DAY_PREFIX):
        return Place(end_of(id_))
    if number:
        wanted = select(entered_ms).where(wallet_entries.c.account == account, wallet_entries.c.id == number)
    else:
        wanted = select(calls.c.ended_ms).where(calls.c.account == account, calls.c.id == id_)
    at_ms = connection.execute(wanted).scalar()
    if at_ms is None:
        raise ApiError("invalid_request", f"`after` is the id of a line of this statement; {id_[:64]!r} is none.", param="after")
    return Place(at_ms, "", number) if number else Place(at_ms, id_, ENTRY_NUMBER_MAX)


def end_of(id_: str) -> int:
    """Return the last millisecond of the day that a line is of. Raises ApiError invalid_request."""
    try:
        day = date.fromisoformat(id_.removeprefix(DAY_PREFIX))
    except ValueError:
        raise ApiError("invalid_request", f"{id_[:64]!r} is no line of a statement.", param="after") from None
    return (day.toordinal() - date(1970, 1, 1).toordinal() + 1) * DAY_MS - 1


def number_of(id_: str) -> int:
    """Return an entry's number, 0 for a call."""
    digits = id_.removeprefix(ENTRY_PREFIX)
    return int(digits) if digits != id_ and digits.isdecimal() and digits.isascii() and len(digits) < len(str(ENTRY_NUMBER_MAX)) else 0
