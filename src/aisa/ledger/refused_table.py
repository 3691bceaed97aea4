"""The statements on the table of refused calls. Opens no transaction, and decides neither what is kept nor for how long."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from msgspec.structs import astuple
from sqlalchemy import Connection, delete, select

from aisa.ids import first_id
from aisa.ledger.refusal import RefusedCalls
from aisa.storage.tables import refused_calls

PRUNED_MAX = 1_000  # rows that one transaction deletes: a few milliseconds, in which other writers wait
FIELDS = RefusedCalls.__struct_fields__


def insert_refused(connection: Connection, records: Sequence[RefusedCalls]) -> None:
    """Write records, leaving those out whose id is there."""
    if records:
        connection.exec_driver_sql(insert_statement(connection.dialect.paramstyle), [astuple(record) for record in records])


@cache
def insert_statement(paramstyle: str) -> str:
    """Return the statement that inserts a record."""
    places = ", ".join(["?" if paramstyle == "qmark" else "%s"] * len(FIELDS))
    return f"INSERT INTO refused_calls ({', '.join(FIELDS)}) VALUES ({places}) ON CONFLICT (id) DO NOTHING"  # noqa: S608 - our names


def prune_refused(connection: Connection, before_ms: int) -> bool:
    """Delete up to PRUNED_MAX records of calls that began before a moment in UNIX milliseconds. True if there may be more."""
    old = select(refused_calls.c.id).where(refused_calls.c.id < first_id(before_ms)).limit(PRUNED_MAX)
    return connection.execute(delete(refused_calls).where(refused_calls.c.id.in_(old))).rowcount == PRUNED_MAX
