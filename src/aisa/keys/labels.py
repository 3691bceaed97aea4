"""Whose a label is, by the database: another server on it may have given one away just now. Writes nothing."""

from __future__ import annotations

from sqlalchemy import Connection, select

from aisa.keys import rules
from aisa.keys.rules import REVOKED, Key
from aisa.storage.tables import keys as table


def holder_of(connection: Connection, label: str) -> str | None:
    """Return the id of the key that has a label and is not revoked, by the database: another server may have made it just now."""
    return connection.execute(select(table.c.id).where(table.c.label == label, table.c.state != REVOKED)).scalar()


def refuse_taken(connection: Connection, key: Key) -> None:
    """Raise ApiError invalid_request if another key has a key's label."""
    holder = holder_of(connection, key.label)
    if holder not in (None, key.id):
        raise rules.invalid("label", f"The label {key.label!r} is taken by {holder} already. Choose another one.")
