"""A key as the database has it at this moment: another server on it may have changed it just now, which memory learns within a second."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from aisa.errors import ApiError
from aisa.keys.rules import REVOKED, Key
from aisa.keys.teams import keys_in
from aisa.storage.tables import keys as table
from aisa.storage.tables import replaced_secrets


def locked(connection: Connection, key: Key) -> Key:
    """Return a key as it is, which nobody else changes until the transaction is over.

    None is ever removed, but a database may have gone back to what it was before: raises ApiError resource_not_found.
    """
    rows = connection.execute(select(table).where(table.c.id == key.id).with_for_update()).all()
    if not rows:
        raise ApiError("resource_not_found", f"The database does not have the key {key.label!r} ({key.id}): it is older than that.")
    return keys_in(connection, rows)[0]


def live(connection: Connection, key: Key) -> Key:
    """Return the same of one that can be changed. Raises ApiError invalid_request for one that is revoked."""
    return not_revoked(locked(connection, key))


def not_revoked(key: Key) -> Key:
    """Return a key. Raises ApiError invalid_request if it is revoked."""
    if key.state == REVOKED:
        raise ApiError("invalid_request", f"The key {key.label!r} ({key.id}) is revoked for good. Make another one.")
    return key


def keep_secret(connection: Connection, key: Key, until: int) -> None:
    """Let the secret that a key has be good until a UNIX second, and none before it for longer."""
    former = replaced_secrets.c
    connection.execute(update(replaced_secrets).where(former.key_id == key.id, former.until > until).values(until=until))
    connection.execute(insert(replaced_secrets).values(digest=key.digest, key_id=key.id, until=until))


def former_of(connection: Connection, key: Key) -> dict[bytes, int]:
    """Return the digests of a key's former secrets, and the UNIX second until which each is good."""
    kept = select(replaced_secrets.c.digest, replaced_secrets.c.until).where(replaced_secrets.c.key_id == key.id)
    return dict(tuple(row) for row in connection.execute(kept))
