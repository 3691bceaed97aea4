"""The parts that PostgreSQL's table of calls has, one for each month in which calls began (UTC): made ahead, dropped when empty.

A call whose time is of no month that there is, by a clock that was never set, is in `calls_other`. SQLite has one table and needs none.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection

from aisa.ids import first_id

AHEAD = 3  # months that have a part, from the running one on: a server that cannot make the next has two months to be looked at
OTHER = "calls_other"
BOUNDS = re.compile(r"FOR VALUES FROM \((MINVALUE|'(?P<first>[^']+)')\) TO \('(?P<end>[^']+)'\)")
PARTS = """
    SELECT part.relname, pg_get_expr(part.relpartbound, part.oid)
    FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid WHERE inhparent = 'calls'::regclass ORDER BY 1
"""


class Part(NamedTuple):
    """A part of the table: its name, and the ids that it is for, from the first on and below the end."""

    name: str
    first: str
    end: str


def parts_of(connection: Connection) -> list[Part]:
    """Return the parts but for `calls_other`."""
    found = [(name, BOUNDS.fullmatch(bounds)) for name, bounds in connection.exec_driver_sql(PARTS)]
    return [Part(name, bounds["first"] or "", bounds["end"]) for name, bounds in found if bounds is not None]


def make_ahead(connection: Connection, now_ms: int) -> None:
    """Make the parts for the month of a moment and those that follow, as far as they are not there."""
    if connection.dialect.name == "sqlite":
        return
    there = parts_of(connection)
    began = datetime.fromtimestamp(now_ms // 1000, UTC)
    months = [divmod(began.year * 12 + began.month - 1 + further, 12) for further in range(AHEAD + 1)]
    borders = [first_id(int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * 1000) for year, month in months]
    for (year, month), first, end in zip(months, borders, borders[1:], strict=False):
        if not any(part.first < end and first < part.end for part in there):
            make(connection, Part(f"calls_{year}_{month + 1:02}", first, end))


def make(connection: Connection, part: Part) -> None:
    """Make a part, and put what is in `calls_other` of it there."""
    name, first, end = part
    connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE calls INCLUDING DEFAULTS INCLUDING INDEXES)")
    ours = f"id >= '{first}' AND id < '{end}'"
    connection.exec_driver_sql(f"INSERT INTO {name} SELECT * FROM {OTHER} WHERE {ours}")  # noqa: S608 - our own names
    connection.exec_driver_sql(f"DELETE FROM {OTHER} WHERE {ours}")  # noqa: S608 - our own names
    connection.exec_driver_sql(f"ALTER TABLE calls ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{end}')")


def drop_empty(connection: Connection, before_ms: int) -> bool:
    """Drop the parts of months that were over before a moment and have no call any more. False: there is no more to do."""
    if connection.dialect.name != "sqlite":
        for part in parts_of(connection):
            if part.end <= first_id(before_ms) and connection.exec_driver_sql(f"SELECT id FROM {part.name} LIMIT 1").first() is None:  # noqa: S608 - our own names
                connection.exec_driver_sql(f"DROP TABLE {part.name}")
    return False
