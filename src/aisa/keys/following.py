"""Follows what other servers on the same database change of keys and accounts, administrators' keys too. Changes nothing itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, func, select

from aisa.endless import begun_again
from aisa.errors import ApiError
from aisa.facts import Fact, ServerWarning
from aisa.keys.rules import REVOKED, Account, AdminKey, Key, Team
from aisa.keys.store import KeyStore
from aisa.keys.teams import keys_in, teams_in
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.shared_memory import SharedStuck
from aisa.storage.tables import accounts, admin_keys, key_changes, keys, replaced_secrets

LOOK_SECONDS = 0.4  # between two looks: a key that is revoked elsewhere is refused here within a second
NOTES_AT_ONCE = 500  # changes that one look takes, as databases take so many parameters; of more the next look follows at once
BELIEVED_SECONDS = 60.0  # after the last look that succeeded, keys are refused: one of them may have been revoked since


GONE_BACK = (
    "THE DATABASE HAS GONE BACK: changes of keys and accounts that this server knew are not in it, as where a standby took over that "
    "lagged, or it was restored. What was revoked stays so, keys that it lacks let nobody in; look whether limits, caps and accounts are "
    "as they are to be"
)


class Changed(NamedTuple):
    """What so many notes, the last of this number, say has changed; `gone_back` if that number was higher before.

    Keys have their former secrets (digests, and until when each is good), accounts their balances. `before` is what was known here of keys
    and accounts, by their ids and names, just before they were read.
    """

    number: int
    notes: int
    keys: Sequence[tuple[Key, Mapping[bytes, int]]]
    accounts: list[tuple[Account, int | None]]
    admin_keys: list[AdminKey]
    teams: list[Team]
    before: Mapping[str, object]
    gone_back: bool = False


def notes_since(connection: Connection, number: int) -> Sequence[Any]:
    """Return the notes behind one, as many as are taken at once."""
    return connection.execute(
        select(key_changes).where(key_changes.c.number > number).order_by(key_changes.c.number).limit(NOTES_AT_ONCE)
    ).all()


def last_note(connection: Connection) -> int:
    """Return the number of the last note, 0 if there is none."""
    return int(connection.execute(select(func.max(key_changes.c.number))).scalar_one() or 0)


class Following:
    """Lets a server's keys be as the database has them. `account_changed` is told of accounts and what is in their wallets, in the loop.

    A database may go back to what it was before: a standby takes over that lags, or somebody restores it. Then it is read from its first
    change on. What was revoked stays so, and keys that it does not have any more let nobody in.
    """

    def __init__(
        self,
        database: Database,
        store: KeyStore,
        account_changed: Callable[[Account, int | None], None],
        *,
        report: Callable[[Fact], None] = lambda _fact: None,
    ) -> None:
        """Begin with what `store` has read."""
        self._report = report
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
            news = notes_since(connection, self._number)
            if not news and last_note(connection) >= self._number:
                return Changed(self._number, 0, [], [], [], [], {})
            changed = self._read(connection, news, []) if news else None
        if changed is None:
            known = self._store.list()  # before it is looked through: what is made from here on is not lost
            with self._database.reading() as connection:
                there = set(connection.execute(select(keys.c.id)).scalars())
                lost = [msgspec.structs.replace(key, state=REVOKED) for key in known if key.id not in there]
                changed = self._read(connection, notes_since(connection, 0), lost)._replace(gone_back=True)
        return changed._replace(keys=[(self._for_good(key), former) for key, former in changed.keys])

    def _read(self, connection: Connection, news: Sequence[Any], lost: list[Key]) -> Changed:
        """Return what these notes say, and which keys are `lost`."""
        ids = {row.key_id for row in news if row.key_id is not None}
        names = {row.account for row in news if row.account is not None}
        before = self._known({*ids, *(key.id for key in lost)}, names)
        teams = teams_in(connection, {row.team for row in news if row.team is not None})
        made = keys_in(connection, connection.execute(select(keys).where(keys.c.id.in_(ids))).all())
        former: dict[str, dict[bytes, int]] = {}
        for digest, key_id, until in connection.execute(select(replaced_secrets).where(replaced_secrets.c.key_id.in_(ids))):
            former.setdefault(key_id, {})[digest] = until
        listed = select(accounts.c.name, accounts.c.tier, accounts.c.state, accounts.c.balance).where(accounts.c.name.in_(names))
        known = [(Account(name, tier, state), balance) for name, tier, state, balance in connection.execute(listed)]
        admins = connection.execute(select(admin_keys).where(admin_keys.c.id.in_(ids))).all()
        listing: list[tuple[Key, Mapping[bytes, int]]] = [(key, former.get(key.id, {})) for key in made]
        listing += [(key, {}) for key in lost]
        theirs = [msgspec.convert(row, AdminKey, from_attributes=True, builtin_types=(bytes,)) for row in admins]
        number = news[-1].number if news else 0
        return Changed(number, len(news), listing, known, theirs, list(teams.values()), before)

    def _for_good(self, key: Key) -> Key:
        """Return a key that the database has; where it was revoked, which an older database does not know, it is revoked there anew."""
        known = self._store.with_id(key.id)
        if key.state == REVOKED or known is None or known.state != REVOKED:
            return key
        with suppress(ApiError):  # it lets nobody in here all the same
            self._store.revoke(key.id)
        return msgspec.structs.replace(key, state=REVOKED)

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
        if changed.gone_back:
            self._report(ServerWarning(GONE_BACK))
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
