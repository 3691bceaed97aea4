"""How rows of calls go into PostgreSQL: copied in, a batch at a time. What SQLite takes otherwise, and what both take, is in `writer`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import DBAPIError

from aisa.ledger.record import NAMES, record_of
from aisa.ledger.row import CallRow
from aisa.storage.tables import cap_spent, keys

COPY = f"COPY calls ({', '.join(NAMES)}) FROM STDIN"


def copy_in(connection: Connection, rows: Sequence[CallRow]) -> None:
    """Insert rows as PostgreSQL takes them quickest: without parameters, of which a statement for many rows has thousands."""
    driver: Any = connection.dialect
    try:
        with closing(connection.connection.cursor()) as cursor, cursor.copy(COPY) as copy:
            for row in rows:
                copy.write_row(record_of(row))
    except driver.loaded_dbapi.Error as error:  # so nobody else makes one of SQLAlchemy's errors of it
        raise DBAPIError.instance(COPY, None, error, driver.loaded_dbapi.Error, dialect=driver) from error


def add_to_caps(connection: Connection, rows: Sequence[CallRow]) -> None:
    """Add what keys and teams have spent to the sums of those windows that somebody has asked for."""
    costs: dict[str, list[tuple[int, int]]] = {}
    in_teams = select(keys.c.id, keys.c.team).where(keys.c.id.in_({row.key_id for row in rows}), keys.c.team.is_not(None))
    teams = {row.id: row.team for row in connection.execute(in_teams)}
    for row in rows:
        for whose in (row.key_id, teams.get(row.key_id)):
            if whose is not None:
                costs.setdefault(whose, []).append((row.ended_ms // 1000, row.cost))
    ours = cap_spent.c
    asked = select(ours.key_id, ours.began, ours.ends).where(ours.key_id.in_(costs)).order_by(ours.key_id, ours.began)
    for key_id, began, ends in connection.execute(asked).all():
        spent = sum(cost for ended, cost in costs[key_id] if began <= ended < ends)
        connection.execute(update(cap_spent).where(ours.key_id == key_id, ours.began == began).values(spent=ours.spent + spent))
