"""How rows of calls go into PostgreSQL: copied in, a batch at a time. What SQLite takes otherwise, and what both take, is in `writer`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import DBAPIError

from aisa.keys.rules import TEAM_ID_PREFIX
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
    for row in rows:
        costs.setdefault(row.key_id, []).append((row.ended_ms // 1000, row.cost))
    ours = cap_spent.c
    of_these = ours.whose.in_(costs) | ours.whose.startswith(TEAM_ID_PREFIX, autoescape=True)
    asked = connection.execute(select(ours.whose, ours.began, ours.ends).where(of_these).order_by(ours.whose, ours.began)).all()
    if any(row.whose.startswith(TEAM_ID_PREFIX) for row in asked):
        for key_id, team in connection.execute(
            select(keys.c.id, keys.c.team).where(keys.c.id.in_(list(costs)), keys.c.team.is_not(None))
        ).all():
            costs.setdefault(team, []).extend(costs[key_id])
    for whose, began, ends in asked:
        spent = sum(cost for ended, cost in costs.get(whose, ()) if began <= ended < ends)
        if spent:
            connection.execute(update(cap_spent).where(ours.whose == whose, ours.began == began).values(spent=ours.spent + spent))
