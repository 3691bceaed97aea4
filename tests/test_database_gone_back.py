"""A database that is older than what its servers know: a standby that lagged took over, or it was restored while they ran."""

from __future__ import annotations

import asyncio
import random

import pytest
from sqlalchemy import delete, text, update

from aisa.errors import ApiError
from aisa.facts import Fact, ServerWarning
from aisa.keys.admin_keys import AdminKeyStore
from aisa.keys.following import NOTES_AT_ONCE, Following
from aisa.keys.rules import Key
from aisa.keys.store import KeyStore
from aisa.storage.engine import Database
from aisa.storage.tables import admin_keys, key_changes, keys
from postgres_rig import opened, postgres

__all__ = ["opened", "postgres"]


def store_of(database: Database, seed: int) -> KeyStore:
    """The keys of a server that begins now."""
    return KeyStore(database, lambda: 1_000.0, random.Random(seed))


class Busy(KeyStore):
    """Keys of which another is made just when they are listed; its secret is `made`."""

    made_next = made = ""

    def list(self) -> list[Key]:
        """Return every key, the oldest first."""
        if self.made_next:
            label, self.made_next = self.made_next, ""
            _, self.made = self.create(label)
        return super().list()


def go_back(database: Database, number: int, *, lost: str) -> None:
    """Let the database be as it was at a note: without a key that came later, and with all others active."""
    with database.transaction() as connection:
        connection.execute(delete(key_changes).where(key_changes.c.number > number))
        connection.execute(delete(keys).where(keys.c.id == lost))
        connection.execute(update(keys).values(state="active"))
        connection.execute(update(admin_keys).values(revoked_at=None))
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT setval(pg_get_serial_sequence('key_changes', 'number'), :number)"), {"number": number})


def refused(store: KeyStore, secret: str) -> str:
    """Return the code with which a secret is refused."""
    with pytest.raises(ApiError) as refusal:
        store.verify(secret)
    return refusal.value.code


def test_what_is_revoked_after_a_database_has_gone_back_is_seen_as_ever(opened: Database) -> None:
    """[fault P11] Its notes had numbers that were known already: servers passed over as many revocations as were lost, for good."""

    async def main() -> None:
        reported: list[Fact] = []
        ours = store_of(opened, 1)
        following = Following(opened, ours, lambda _account, _balance: None, report=reported.append)
        their_admins, admins = (AdminKeyStore(opened, lambda: 1_000.0, random.Random(seed)) for seed in (3, 4))
        ours.admin_changed = admins.remember
        _, boss = their_admins.create("boss", "read")
        secrets = {label: ours.create(label)[1] for label in ("a", "b", "c")}
        number = store_of(opened, 2).change_number
        late, late_secret = ours.create("late")
        ours.revoke("c")
        their_admins.revoke("boss")
        for count in range(10):
            ours.create(f"more {count}", account="acme")
        following._take(following._look())
        go_back(opened, number, lost=late.id)

        following._take(following._look())
        assert refused(ours, late_secret) == refused(ours, secrets["c"]) == "revoked_api_key"
        with pytest.raises(ApiError, match="revoked"):
            admins.verify(boss)
        assert store_of(opened, 5).find("c").state == "revoked", "and it stays so over a restart"
        (warned,) = reported
        assert isinstance(warned, ServerWarning)
        assert "THE DATABASE HAS GONE BACK" in warned.message

        theirs = store_of(opened, 6)
        theirs.revoke("a")
        following._take(following._look())
        assert refused(ours, secrets["a"]) == "revoked_api_key"
        assert ours.verify(secrets["b"]).label == "b"
        with pytest.raises(ApiError, match="does not have the key"):
            ours.revoke(late.id)
        assert len(reported) == 1

    asyncio.run(main())


def test_a_key_that_is_made_while_a_database_that_has_gone_back_is_looked_through_is_not_lost(opened: Database) -> None:
    """[fault P11] It is not in what the look sees, and was revoked for good as one that the database does not have any more."""

    async def main() -> None:
        ours = Busy(opened, lambda: 1_000.0, random.Random(1))
        following = Following(opened, ours, lambda _account, _balance: None)
        ours.create("a")
        number = store_of(opened, 2).change_number
        late, _ = ours.create("late")
        following._take(following._look())
        go_back(opened, number, lost=late.id)
        ours.made_next = "new"
        following._take(following._look())
        following._take(following._look())
        assert ours.find(late.id).state == "revoked"
        assert ours.verify(ours.made).label == "new"

    asyncio.run(main())


def test_a_database_that_has_gone_back_is_read_in_as_many_looks_as_it_takes(opened: Database) -> None:
    """Notes are read some hundreds at a time: what is behind the first of them counts as well."""

    async def main() -> None:
        ours = store_of(opened, 1)
        with opened.transaction() as connection:
            for _ in range(NOTES_AT_ONCE):
                connection.execute(key_changes.insert().values(account="nobody's"))
        _, secret = ours.create("a")
        number = store_of(opened, 2).change_number
        following = Following(opened, ours, lambda _account, _balance: None)
        late, _ = ours.create("late")
        following._take(following._look())
        go_back(opened, number, lost=late.id)
        store_of(opened, 3).revoke("a")
        go_on = store_of(opened, 3)
        assert refused(go_on, secret) == "revoked_api_key"
        looks = 0
        following._number += 10
        while looks == 0 or following._more:
            following._take(following._look())
            looks += 1
        assert (refused(ours, secret), looks) == ("revoked_api_key", 2)

    asyncio.run(main())
