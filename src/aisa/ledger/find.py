"""Finds calls in the database, ended and refused ones as one list: by how their ids begin, or the newest that fit. Sums nothing up."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import ColumnElement, Connection, Table, select

from aisa.errors import ApiError
from aisa.ids import ID_CHARACTERS, first_id
from aisa.ledger.port_calls import FAILURES, SAME_BEGINNING_MAX, CallLine, Wanted, line_of_refused, line_of_row, newest_first
from aisa.ledger.record import row_of
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.sums import OfAnyAccount, last_ms_of
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.tables import calls, refused_calls

LAST = "Z"  # of the letters of ids, as English sorts them too, where `~` counts for nothing


class CallFinder:
    """The calls in a database, as a list; implements `port_calls.CallIndex`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beginning(self, text: str) -> list[str]:
        """Return ids that begin so, at most SAME_BEGINNING_MAX, in order."""
        found: list[str] = []
        with self._reading() as connection:
            for table in (calls, refused_calls):
                ours = table.c.id.between(text, text.ljust(ID_CHARACTERS, LAST))
                found += connection.execute(select(table.c.id).where(ours).limit(SAME_BEGINNING_MAX)).scalars()
        return sorted(found)[:SAME_BEGINNING_MAX]

    def newest_id(self) -> str:
        """Return the id of the call that began last, an empty text if there is none."""
        with self._reading() as connection:
            newest = [
                connection.execute(select(table.c.id).order_by(table.c.id.desc()).limit(1)).scalar() for table in (calls, refused_calls)
            ]
        return max((id_ for id_ in newest if id_ is not None), default="")

    def last_ms(self, key_id: str) -> int:
        """Return when the last call of a key ended, removed or not; 0 if there is none."""
        with self._reading() as connection:
            return last_ms_of(connection, key_id)

    def lines(self, wanted: Wanted) -> list[CallLine]:
        """Return the newest calls that fit, the newest first."""
        lines: list[CallLine] = []
        with self._reading() as connection:
            if wanted.failed or not wanted.refused:
                lines += ended_lines(connection, wanted)
            if wanted.refused or not wanted.failed:
                lines += refused_lines(connection, wanted)
        return newest_first(lines, wanted.limit, by_end=wanted.by_end)

    @contextmanager
    def _reading(self) -> Generator[Connection]:
        try:
            with self._database.reading() as connection:
                yield connection
        except StorageFailed as failure:
            raise ApiError("internal_error", f"{failure.what} {failure.remedy}") from failure


def conditions(table: Table, wanted: Wanted) -> list[ColumnElement[bool]]:
    """Return what is asked of either kind."""
    named = (("key_id", wanted.key_id), ("account", wanted.account), ("model", wanted.model))
    older = [] if wanted.before is None else [table.c.id < wanted.before]
    return [table.c[name] == value for name, value in named if value is not None] + older


def ended_lines(connection: Connection, wanted: Wanted) -> list[CallLine]:
    """Return the newest ended calls that fit."""
    asked = conditions(calls, wanted)
    asked.append(calls.c.ended_ms >= wanted.since_ms if wanted.by_end else calls.c.id >= first_id(wanted.since_ms))
    if wanted.by_end and wanted.key_id is None and wanted.account is None:
        asked.append(OfAnyAccount())
    if wanted.failed:
        asked.append(calls.c.outcome.in_(FAILURES))
    order = calls.c.ended_ms.desc() if wanted.by_end else calls.c.id.desc()
    records = connection.execute(select(calls).where(*asked).order_by(order).limit(wanted.limit))
    return [line_of_row(row_of(record)) for record in records]


def refused_lines(connection: Connection, wanted: Wanted) -> list[CallLine]:
    """Return the newest refused calls that fit."""
    asked = conditions(refused_calls, wanted)
    asked.append(refused_calls.c.id >= first_id(wanted.since_ms))
    records = connection.execute(select(refused_calls).where(*asked).order_by(refused_calls.c.id.desc()).limit(wanted.limit))
    return [line_of_refused(RefusedCalls(*record)) for record in records]
