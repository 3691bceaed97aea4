"""Follows what other servers on the same database change of keys and accounts, administrators' keys too. Changes nothing itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

import msgspec
from sqlalchemy import select

from aisa.endless import begun_again
from aisa.keys.rules import Account, AdminKey, Key, Team
from aisa.keys.store import KeyStore
from aisa.keys.teams import keys_in, teams_in
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.shared_memory import SharedStuck
from aisa.storage.tables import accounts, admin_keys, key_changes, keys, replaced_secrets

LOOK_SECONDS = 0.4  # between two looks: a key that is revoked elsewhere is refused here within a second
NOTES_AT_ONCE = 500  # changes that one look takes, as databases take so many parameters; of more the next look follows at once
BELIEVED_SECONDS = 60.0  # after the last look that succeeded, keys are refused: one of them may have been revoked since


class Changed(NamedTuple):
    """What so many notes, the last of this number, say has changed.

    Keys have their former secrets (digests, and until when each is good), accounts their balances. `before` is what was known here of keys
    and accounts, by their ids and names, just before they were read.
    """

    number: int
    notes: int
    keys: list[tuple[Key, Mapping[bytes, int]]]
    accounts: list[tuple[Account, int | None]]
    admin_keys: list[AdminKey]
    teams: list[Team]
    before: Mapping[str, object]


class Following:
    """Lets a server's keys be as the database has them. `account_changed` is told of accounts and what is in their wallets, in the loop."""

    def __init__(self, database: Database, store: KeyStore, account_changed: Callable[[Account, int | None], None]) -> None:
        """Begin with what `store` has read."""
        self._database = database
        self._store = store
        self._account_changed = account_changed
        self._loop = asyncio.get_running_loop()
        self._looked_at = self._loop.time()
        self._doubted = False
        self._more = False  # changes than the last look took
        self._number = store.change_number

    def start(self) -> None:
        """Begin to look."""
        self._task = self._loop.create_task(begun_again(self.follow))

    async def follow(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            began = self._loop.time()
            looking = asyncio.ensure_future(asyncio.to_thread(self._look))
            while not (await asyncio.wait([looking], timeout=LOOK_SECONDS))[0]:
                self._judge()
            try:
                changed = looking.result()
                with suppress(SharedStuck):
                    self._take(changed)
                self._looked_at = began
            except StorageFailed:
                self._more = False
            finally:  # also where what was read is not understood: then these keys are not believed for ever either
                self._judge()
            await asyncio.sleep(0 if self._more else LOOK_SECONDS)

    def _look(self) -> Changed:
        """Return what has changed since the last look. Raises StorageFailed."""
        with self._database.reading() as connection:
            since = select(key_changes).where(key_changes.c.number > self._number).order_by(key_changes.c.number)
            news = connection.execute(since.limit(NOTES_AT_ONCE)).all()
            if not news:
                return Changed(self._number, 0, [], [], [], [], {})
            ids = {row.key_id for row in news if row.key_id is not None}
            names = {row.account for row in news if row.account is not None}
            before = self._known(ids, names)
            teams = teams_in(connection, {row.team for row in news if row.team is not None})
            made = keys_in(connection, connection.execute(select(keys).where(keys.c.id.in_(ids))).all())
            former: dict[str, dict[bytes, int]] = {}
            for digest, key_id, until in connection.execute(select(replaced_secrets).where(replaced_secrets.c.key_id.in_(ids))):
                former.setdefault(key_id, {})[digest] = until
            listed = select(accounts.c.name, accounts.c.tier, accounts.c.state, accounts.c.balance).where(accounts.c.name.in_(names))
            known = [(Account(name, tier, state), balance) for name, tier, state, balance in connection.execute(listed)]
            admins = connection.execute(select(admin_keys).where(admin_keys.c.id.in_(ids))).all()
        theirs = [msgspec.convert(row, AdminKey, from_attributes=True, builtin_types=(bytes,)) for row in admins]
        return Changed(
            news[-1].number, len(news), [(key, former.get(key.id, {})) for key in made], known, theirs, list(teams.values()), before
        )

    def _known(self, ids: Iterable[str], names: Iterable[str]) -> dict[str, object]:
        return {**{id_: self._store.with_id(id_) for id_ in ids}, **{name: self._store.accounts.known(name) for name in names}}

    def _take(self, changed: Changed) -> None:
        ids, names = [key.id for key, _ in changed.keys], [account.name for account, _ in changed.accounts]
        if any(changed.before.get(name) != known for name, known in self._known(ids, names).items()):
            self._more = True  # an administrator has changed one here since it was read: it is read again
            return
        for account, _ in changed.accounts:
            self._store.accounts.remember(account)
        for key, former in changed.keys:
            self._store.remember(key, former)
        for team in changed.teams:
            self._store.remember_team(team)
        for admin_key in changed.admin_keys:
            self._store.admin_changed(admin_key)
        self._more = False
        for account, balance in changed.accounts:  # last, as it may not be possible now: then all of it is taken once more
            self._account_changed(account, balance)
        self._number, self._more = changed.number, changed.notes == NOTES_AT_ONCE

    def _judge(self) -> None:
        """Believe the keys that are known, or do not."""
        doubted = self._loop.time() - self._looked_at > BELIEVED_SECONDS
        if doubted != self._doubted:
            self._doubted = doubted
            self._store.doubted(doubted)
