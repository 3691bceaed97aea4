"""The keys of administrators: for the admin API alone, and good for no call. All in memory, all in the database to last.

A secret is `sk-aisa-admin-`, then 36 random letters and digits, then a checksum as `rules` makes it. Its SHA-256 is all that is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest

import msgspec
from sqlalchemy import insert, select, update

from aisa.clock import Chance, WallClock
from aisa.errors import ApiError
from aisa.keys import rules
from aisa.keys.accounts import writing
from aisa.keys.rules import READ, WRITE, AdminKey
from aisa.keys.unknown_secret import several
from aisa.storage.changes import note_change
from aisa.storage.engine import Database
from aisa.storage.tables import admin_keys

SCOPES = (READ, WRITE)
ID_PREFIX = "adm_"
KEYS_MAX = 1_000  # administrators and their tools; more are a mistake


class AdminKeyStore:
    """The admin keys, on the database of a folder that this process owns. `chance` must be fit for secrets.

    `changed` is called when one counts otherwise than before, in the thread that has changed it.
    """

    def __init__(self, database: Database, wall_clock: WallClock, chance: Chance) -> None:
        """Read every key. Raises StorageFailed."""
        self._database = database
        self._wall_clock = wall_clock
        self._chance = chance
        self._keys: dict[bytes, AdminKey] = {}
        self.changed: Callable[[], None] = lambda: None
        with database.transaction() as connection:
            for row in connection.execute(select(admin_keys).order_by(admin_keys.c.created_at, admin_keys.c.id)):
                self.remember(msgspec.convert(row, AdminKey, from_attributes=True, builtin_types=(bytes,)))

    def __len__(self) -> int:
        return sum(key.revoked_at is None for key in self._keys.values())

    def verify(self, secret: str | None) -> AdminKey:
        """Return the good key with this secret. Raises ApiError: missing_api_key, invalid_api_key, revoked_api_key."""
        if not secret:
            raise ApiError("missing_api_key", "No admin key was sent. Send the header `Authorization: Bearer sk-aisa-admin-...`.")
        digest = rules.digest(secret)
        key = self._keys.get(digest)
        if key is None or not compare_digest(key.digest, digest):
            raise several(secret) or ApiError(
                "invalid_api_key", "This is no admin key of this server. `aisa admin-keys create LABEL` makes one."
            )
        if key.revoked_at is not None:
            raise ApiError("revoked_api_key", f"The admin key labelled {key.label!r} was revoked.")
        return key

    def is_good(self, key: AdminKey) -> bool:
        """Say whether a key that was let in is good still."""
        known = self._keys.get(key.digest)
        return known is not None and known.revoked_at is None

    def create(self, label: str, scope: str) -> tuple[AdminKey, str]:
        """Make a key and return it with its secret, which is kept nowhere. Raises ApiError: invalid_request, internal_error."""
        label = rules.check_label(label)
        if scope not in SCOPES:
            raise rules.invalid("scope", f"A scope is {READ}, or {WRITE}, which may read too.")
        if any(key.label == label and key.revoked_at is None for key in self._keys.values()):
            raise rules.invalid("label", f"There is an admin key labelled {label!r} already.")
        if len(self._keys) >= KEYS_MAX:
            raise rules.invalid("label", f"There are {KEYS_MAX:,} admin keys, revoked ones included, which is the most that are kept.")
        body = rules.ADMIN_PREFIX + "".join(self._chance.choice(rules.ALPHABET) for _ in range(rules.RANDOM_CHARS))
        secret = body + rules.checksum(body)
        id_ = ID_PREFIX + rules.new_id(self._chance).removeprefix(rules.ID_PREFIX)
        key = AdminKey(id_, label, rules.digest(secret), f"{rules.ADMIN_PREFIX}…{secret[-4:]}", scope, int(self._wall_clock()))
        with writing(self._database) as connection:
            connection.execute(insert(admin_keys).values(msgspec.structs.asdict(key)))
            note_change(connection, key_id=key.id)
        return self.remember(key), secret

    def list(self) -> list[AdminKey]:
        """Return every key, the oldest first, revoked ones included."""
        return list(self._keys.values())

    def find(self, name: str) -> AdminKey:
        """Return the key of this id or label: of several the one that is not revoked. Raises ApiError resource_not_found."""
        ours = [key for key in self._keys.values() if name in (key.id, key.label)]
        key = next((key for key in ours if key.revoked_at is None), ours[-1] if ours else None)
        if key is None:
            raise ApiError("resource_not_found", f"There is no admin key {name!r}. `aisa admin-keys list` shows them.")
        return key

    def revoke(self, name: str) -> AdminKey:
        """Revoke a key by id or label for good; once more does no harm. Raises ApiError: resource_not_found, internal_error."""
        key = self.find(name)
        if key.revoked_at is not None:
            return key
        changed = msgspec.structs.replace(key, revoked_at=int(self._wall_clock()))
        with writing(self._database) as connection:
            connection.execute(update(admin_keys).where(admin_keys.c.id == key.id).values(revoked_at=changed.revoked_at))
            note_change(connection, key_id=key.id)
        return self.remember(changed)

    def remember(self, key: AdminKey) -> AdminKey:
        """Let a key count as it is in the database now; one that was revoked is so for good, also where the database is older than that."""
        known = self._keys.get(key.digest)
        if known is None or known.revoked_at is None:
            self._keys[key.digest] = key
            self.changed()
        return key
