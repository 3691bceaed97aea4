"""The statements that allot money of wallets and caps to servers on one database. Opens no transaction: the writers' lock is held.

What a server was allotted is leased to it: it says every few seconds that it is there. What one that is silent had may have been spent by
calls that are in its journal, up to the last, so it stays its own until it starts again and has settled them, or for LEASE_SECONDS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, cast, delete, func, insert, select, update

from aisa.ledger.port_usage import Span
from aisa.ledger.usage import spent_in
from aisa.money import Nanos
from aisa.storage.tables import accounts, allotments, cap_spent, servers

SPARE_PART = 4  # of what is free is taken at most so, beside what is needed: near its end a wallet is not strewn over servers

SEEN_SECONDS = 3  # between two notes that a server is there
LEASE_SECONDS = 120  # without one, after which what a server had is free: one that is started again is back in seconds
KEPT_SECONDS = 86_400  # after which a server that never came back is forgotten
NOW = cast(func.extract("epoch", func.now()), BigInteger)  # the database's own clock


class Wanted(NamedTuple):
    """What a server wants of a purse: `held` whatever there is, `need` if it is free, and up to `most` of what is plenty.

    Of a wallet `account` is given; of a cap by the id of `whose` it is, key or team, the cap and the window that
    it is now, in UNIX seconds.
    """

    name: str
    held: Nanos
    need: Nanos
    most: Nanos
    account: str | None = None
    whose: str = ""
    cap: Nanos = 0
    began: int = 0
    ends: int = 0


class Allotted(NamedTuple):
    """What a server has of a purse now, what is free beside, and of a wallet its balance (None for unlimited), of a cap what was spent."""

    amount: Nanos
    free: Nanos
    balance: Nanos | None
    spent: Nanos = 0


def allot(connection: Connection, server: str, wanted: Sequence[Wanted]) -> dict[str, Allotted]:
    """Set what a server has of each purse, and return that. Asked again it gives the same: amounts are set, not added."""
    note_seen(connection, server)
    ours, others = dict[str, Nanos](), dict[str, Nanos]()
    had = allotments.c
    leased = select(had.purse, had.server, had.amount).join(servers, servers.c.server == had.server)
    counts = had.purse.in_([each.name for each in wanted]) & ((servers.c.seen_at > NOW - LEASE_SECONDS) | (had.server == server))
    for purse, whose, amount in connection.execute(leased.where(counts)):
        if whose == server:
            ours[purse] = amount
        else:
            others[purse] = others.get(purse, 0) + amount
    of_wallets = [each.account for each in wanted if each.account is not None]
    found = connection.execute(select(accounts.c.name, accounts.c.balance).where(accounts.c.name.in_(of_wallets)))
    balances: dict[str, Nanos | None] = {row.name: row.balance for row in found}
    given: dict[str, Allotted] = {}
    for each in wanted:
        balance, spent = (balances.get(each.account), 0) if each.account is not None else (each.cap, spent_of(connection, each))
        if balance is None:
            given[each.name] = Allotted(each.held, 0, None)
        else:
            free = balance - spent - others.get(each.name, 0)
            spare = min(each.most - each.need, (free - each.need) // SPARE_PART)
            amount = max(each.held, min(each.need, free) + max(0, spare))
            given[each.name] = Allotted(amount, free - amount, balance, spent)
        amount = given[each.name].amount
        if each.name in ours:
            mine = (had.purse == each.name) & (had.server == server)
            if amount != ours[each.name]:
                connection.execute(update(allotments).where(mine).values(amount=amount) if amount else delete(allotments).where(mine))
        elif amount:
            connection.execute(insert(allotments).values(purse=each.name, server=server, amount=amount))
    return given


class Noted(NamedTuple):
    """When a server was last known to be there, as it was noted before (None if it was not) and is now; UNIX seconds of the database."""

    before: int | None
    now: int


def note_seen(connection: Connection, server: str) -> Noted:
    """Note that a server is there."""
    before, now = connection.execute(select(select(servers.c.seen_at).where(servers.c.server == server).scalar_subquery(), NOW)).one()
    if before is not None and before >= now - SEEN_SECONDS:
        return Noted(before, before)
    if before is None:
        connection.execute(insert(servers).values(server=server, seen_at=now))
    else:
        connection.execute(update(servers).where(servers.c.server == server).values(seen_at=now))
    return Noted(before, now)


def spent_of(connection: Connection, wanted: Wanted) -> Nanos:
    """Return what a cap's window has spent; the first time the calls are added up, and from then on each that is written is added."""
    known = select(cap_spent.c.spent).where(cap_spent.c.whose == wanted.whose, cap_spent.c.began == wanted.began)
    found = connection.execute(known.where(cap_spent.c.ends == wanted.ends)).scalar_one_or_none()
    if found is not None:
        return int(found)
    spent = spent_in(connection, Span(wanted.began * 1000, wanted.ends * 1000, wanted.whose))
    connection.execute(delete(cap_spent).where(cap_spent.c.whose == wanted.whose))
    connection.execute(insert(cap_spent).values(whose=wanted.whose, began=wanted.began, ends=wanted.ends, spent=spent))
    return spent


def forget_server(connection: Connection, server: str) -> None:
    """Let go of all that a server had: its journal is settled, and it holds nothing. Those that never came back are forgotten with it."""
    gone = (servers.c.server == server) | (servers.c.seen_at < NOW - KEPT_SECONDS)
    connection.execute(delete(allotments).where((allotments.c.server == server) | allotments.c.server.not_in(select(servers.c.server))))
    connection.execute(delete(servers).where(gone))
