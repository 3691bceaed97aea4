"""Notes what has changed of keys, accounts and teams, for other servers on the database, which read on from the last that they know."""

from __future__ import annotations

from sqlalchemy import Connection, insert

from aisa.storage.tables import key_changes


def note_change(connection: Connection, *, key_id: str | None = None, account: str | None = None, team: str | None = None) -> None:
    """Let others see that a key, an account or a team is new or has changed, once this transaction is committed."""
    connection.execute(insert(key_changes).values(key_id=key_id, account=account, team=team))
