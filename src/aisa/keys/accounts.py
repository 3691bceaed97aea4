"""The accounts of this process: what their keys' requests need in memory, all in the database. Knows no money and prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from sqlalchemy import Connection, func, insert, select, update

from aisa.clock import WallClock
from aisa.errors import ApiError
from aisa.keys.rules import ACTIVE, DISABLED, Account, check_account, invalid
from aisa.storage.changes import note_change
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.tables import accounts

ACCOUNTS_MAX = 100_000  # of one server, as many as keys: the memory that its processes share has a place for each


class AccountStore:
    """The accounts in a database; implements `keys.port.AccountRing`. `tiers` and `disabled` are as they count now."""

    def __init__(self, database: Database, wall_clock: WallClock) -> None:
        """Read what is not as it is made. Raises StorageFailed."""
        self._database = database
        self._wall_clock = wall_clock
        #: Told of each account that is new or has changed, here or on another server, in the thread that learned it, once it counts here.
        self.changed: Callable[[Account], None] = unheard
        self.tiers: dict[str, str] = {}  # of those that were given one
        self.disabled: set[str] = set()
        with database.reading() as connection:
            for name, tier, state in connection.execute(select(accounts.c.name, accounts.c.tier, accounts.c.state)):
                self.remember(Account(name, tier, state))

    def known(self, name: str) -> Account:
        """Return an account as it counts here, whether it is there or not."""
        return Account(name, self.tiers.get(name), DISABLED if name in self.disabled else ACTIVE)

    def account(self, name: str) -> Account:
        """Return an account as it is. Raises ApiError: resource_not_found, overloaded, internal_error (the database)."""
        with reading(self._database) as connection:
            found = connection.execute(select(accounts.c.name, accounts.c.tier, accounts.c.state).where(accounts.c.name == name)).first()
        if found is None:
            raise unknown(name)
        return Account(*found)

    def create_account(self, name: str, tier: str | None = None) -> Account:
        """Make an account, without a limit on money. Raises ApiError: invalid_request, internal_error (the database)."""
        name = check_account(name)
        with writing(self._database) as connection:
            if connection.execute(select(accounts).where(accounts.c.name == name)).first() is not None:
                raise invalid("name", f"There is an account {name!r} already.")
            add_account(connection, name, created_at=int(self._wall_clock()), tier=tier)
        return self.remember(Account(name, tier))

    def set_tier(self, name: str, tier: str | None) -> Account:
        """Give an account another tier. Raises ApiError: resource_not_found, internal_error (the database)."""
        return self._change(name, tier=tier)

    def set_account_state(self, name: str, state: str) -> Account:
        """Enable or disable an account. Raises ApiError: resource_not_found, internal_error (the database)."""
        return self._change(name, state=state)

    def _change(self, name: str, **values: str | None) -> Account:
        with writing(self._database) as connection:
            connection.execute(update(accounts).where(accounts.c.name == name).values(**values))
            note_change(connection, account=name)
            found = connection.execute(select(accounts.c.name, accounts.c.tier, accounts.c.state).where(accounts.c.name == name)).first()
        if found is None:
            raise unknown(name)
        return self.remember(Account(*found))

    def remember(self, account: Account) -> Account:
        """Let an account count as it is in the database now."""
        if account.tier is None:
            self.tiers.pop(account.name, None)
        else:
            self.tiers[account.name] = account.tier
        if account.state == DISABLED:
            self.disabled.add(account.name)
        else:
            self.disabled.discard(account.name)
        self.changed(account)
        return account


def unheard(_account: Account) -> None:
    """Tell nobody."""


def add_account(connection: Connection, name: str, *, created_at: int, tier: str | None = None) -> None:
    """Insert an account that has neither a wallet nor a call yet. Raises ApiError invalid_request where there are as many as may be."""
    if connection.execute(select(func.count()).select_from(accounts)).scalar_one() >= ACCOUNTS_MAX:
        raise invalid("account", f"There are {ACCOUNTS_MAX:,} accounts, which is the most that one server keeps.")
    fresh = {"balance": None, "charged": 0, "spent": 0, "calls": 0, "state": ACTIVE}
    connection.execute(insert(accounts).values(name=name, created_at=created_at, tier=tier, **fresh))
    note_change(connection, account=name)


def unknown(name: str) -> ApiError:
    """Return the error for an account that is not there."""
    return ApiError("resource_not_found", f"There is no account {name!r}. `aisa accounts list` shows them.")


@contextmanager
def writing(database: Database) -> Generator[Connection]:
    """Yield a transaction. Raises ApiError internal_error when the database does not take it.

    Memory is changed only after it: what the disk refused must not be honoured until a restart forgets it.
    """
    try:
        with database.transaction() as connection:
            yield connection
    except StorageFailed as failure:
        raise ApiError("internal_error", f"{failure.what} {failure.remedy}") from failure


@contextmanager
def reading(database: Database) -> Generator[Connection]:
    """Yield a connection to read from. Raises ApiError: overloaded (a database that is away), internal_error (one that is broken)."""
    try:
        with database.reading() as connection:
            yield connection
    except StorageFailed as failure:
        raise ApiError(failure.code, f"{failure.what} {failure.remedy}") from failure
