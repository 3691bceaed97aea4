"""What administrators have changed, kept for good: who, from where, what, before and after. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import insert, select

from aisa.clock import WallClock
from aisa.keys.accounts import reading, writing
from aisa.keys.port import ChangeKept
from aisa.storage.engine import Database
from aisa.storage.tables import admin_changes

CHANGES_MAX = 1_000  # that are returned at once


class ChangeStore:
    """The changes in a database."""

    def __init__(self, database: Database, wall_clock: WallClock) -> None:
        self._database = database
        self._wall_clock = wall_clock

    def keep(self, actor: str, address: str | None, action: str, *, changes: Iterable[tuple[str, object, object]]) -> None:
        """Keep the changes of one request: each a kind, what was and what is. Raises ApiError internal_error (the database)."""
        at_ms = int(self._wall_clock() * 1000)
        common = {"at_ms": at_ms, "actor": actor, "address": address, "action": action}
        rows = [{**common, "what": what, "before": json_of(before), "after": json_of(after)} for what, before, after in changes]
        with writing(self._database) as connection:
            connection.execute(insert(admin_changes), rows)

    def newest(self, limit: int, before: int | None = None) -> list[ChangeKept]:
        """Return the newest changes, the newest first, of those with a lower id if one is given. Raises ApiError."""
        asked = select(admin_changes).order_by(admin_changes.c.id.desc()).limit(min(limit, CHANGES_MAX))
        if before is not None:
            asked = asked.where(admin_changes.c.id < before)
        with reading(self._database) as connection:
            return [
                ChangeKept(*row[:6], *[None if text is None else msgspec.Raw(text.encode()) for text in row[6:]])
                for row in connection.execute(asked)
            ]


def raw(text: str | None) -> msgspec.Raw | None:
    """Return JSON as it is, None for None."""
    return None if text is None else msgspec.Raw(text.encode())


def json_of(value: object) -> str | None:
    """Return a value as JSON, None for None."""
    return None if value is None else msgspec.json.encode(value).decode()
