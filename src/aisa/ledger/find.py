"""Finds calls in the database, ended and refused ones as one list: by how their ids begin, or the newest that fit. Sums nothing up."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, ScalarSelect, Select, String, Table, and_, column, func, literal, select, values

from aisa.errors import ApiError
from aisa.ids import ID_CHARACTERS, first_id
from aisa.ledger.damaged import ended_line, refused_line
from aisa.ledger.pieces import DAYS
from aisa.ledger.port_calls import FAILURES, SAME_BEGINNING_MAX, CallLine, LastUse, Wanted, newest_first
from aisa.ledger.rules import REFUSED
from aisa.ledger.sums import OfAnyAccount
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.tables import calls, refused_calls, usage_sums

FEW = 10_000  # calls that are read in some ten milliseconds
CLOCK_MS = 60_000  # that the moment in an id and those in its row may be apart
LAST = "Z"  # of the letters of ids, as English sorts them too, where `~` counts for nothing


class CallFinder:
    """The calls in a database, as a list; implements `port_calls.CallIndex`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beginning(self, text: str, end: str = "") -> list[str]:
        """Return ids that begin and end so, at most SAME_BEGINNING_MAX, in order."""
        found: set[str] = set()
        with self._reading() as connection:
            for table in (calls, refused_calls):
                ours = table.c.id.between(text, text.ljust(ID_CHARACTERS, LAST)) & table.c.id.endswith(end, autoescape=True)
                found.update(connection.execute(select(table.c.id).where(ours).limit(SAME_BEGINNING_MAX)).scalars())
        return sorted(found)[:SAME_BEGINNING_MAX]

    def newest_id(self) -> str:
        """Return the id of the call that began last, an empty text if there is none."""
        with self._reading() as connection:
            newest = [
                connection.execute(select(table.c.id).order_by(table.c.id.desc()).limit(1)).scalar() for table in (calls, refused_calls)
            ]
        return max((id_ for id_ in newest if id_ is not None), default="")

    def last_uses(self, key_ids: Sequence[str]) -> dict[str, LastUse]:
        """Return when the last call of each of these keys ended or was refused, by id, 0 if none did: one question for all."""
        asked = values(column("id", String), name="asked").data([(id_,) for id_ in key_ids]).cte("asked")
        newest = (
            newest_of(asked, calls, "ended_ms", order=calls.c.ended_ms),
            newest_of(asked, calls, "address", order=calls.c.ended_ms),
            newest_of(asked, refused_calls, "last_ms", order=refused_calls.c.id),
            newest_of(asked, refused_calls, "address", order=refused_calls.c.id),
        )
        days = usage_sums.alias()
        day = select(func.max(days.c.start_ms)).where(days.c.key_id == asked.c.id, days.c.hours == DAYS).correlate(asked).scalar_subquery()
        last = func.max(usage_sums.c.last_ms)
        removed = select(last).where(usage_sums.c.key_id == asked.c.id, usage_sums.c.hours == DAYS, usage_sums.c.start_ms == day)
        question = select(asked.c.id, *newest, removed.correlate(asked).scalar_subquery())
        with self._reading() as connection:
            return {
                id_: max(
                    LastUse(ended or 0, address), LastUse(refused or 0, from_where), LastUse(summed or 0, None), key=lambda use: use.at_ms
                )
                for id_, ended, address, refused, from_where, summed in connection.execute(question)
            }

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
            raise ApiError(failure.code, f"{failure.what} {failure.remedy}") from failure


def newest_of(asked: CTE, table: Table, name: str, *, order: ColumnElement[Any]) -> ScalarSelect[Any]:
    """Return a column of the newest record of each key that is asked for, as its index finds it."""
    newest = select(table.c[name]).where(table.c.key_id == asked.c.id).order_by(order.desc()).limit(1)
    return newest.correlate(asked).scalar_subquery()


def conditions(table: Table, wanted: Wanted) -> list[ColumnElement[bool]]:
    """Return what is asked of either kind, but for whose they are."""
    model = [] if wanted.model is None else [table.c.model == wanted.model]
    return model + ([] if wanted.before is None else [table.c.id < wanted.before])


def ended_lines(connection: Connection, wanted: Wanted) -> list[CallLine]:
    """Return the newest ended calls that fit; those that were refused have their record among the others'."""
    asked = [*conditions(calls, wanted), calls.c.outcome.in_(FAILURES) if wanted.failed else calls.c.outcome != REFUSED]
    if wanted.by_end:
        asked += [calls.c.ended_ms >= wanted.since_ms, whose(wanted)]
        return lines_of(connection, select(calls).where(*asked).order_by(calls.c.ended_ms.desc()), wanted)
    asked.append(calls.c.id >= first_id(wanted.since_ms))
    if wanted.key_id is not None or wanted.account is not None:
        last_ms = connection.execute(select(func.max(calls.c.ended_ms)).where(whose(wanted))).scalar()
        if last_ms is None:
            return []
        lately = whose(wanted) & (calls.c.ended_ms >= wanted.since_ms - CLOCK_MS)
        if has_few(connection, lately):
            few = select(calls).where(*asked, lately).offset(0).subquery()  # that are read and then sorted
            return lines_of(connection, select(few).order_by(few.c.id.desc()), wanted)
        asked += [calls.c.id < first_id(last_ms + CLOCK_MS), whose(wanted, indexed=False)]
    return lines_of(connection, select(calls).where(*asked).order_by(calls.c.id.desc()), wanted)


def lines_of(connection: Connection, question: Select[Any], wanted: Wanted) -> list[CallLine]:
    """Return the lines of the calls that a question finds first."""
    return [ended_line(record) for record in connection.execute(question.limit(wanted.limit))]


def whose(wanted: Wanted, table: Table = calls, *, indexed: bool = True) -> ColumnElement[bool]:
    """Return the condition on whose calls are wanted; an index that goes on with their ends serves it, unless it is not to be `indexed`."""
    named = {"key_id": wanted.key_id, "account": wanted.account}
    owners = [(table.c[name] if indexed else table.c[name].concat("")) == value for name, value in named.items() if value is not None]
    return and_(*owners) if owners else OfAnyAccount()


def has_few(connection: Connection, condition: ColumnElement[bool]) -> bool:
    """Say whether there are few such calls.

    A database does not know. One would look for those of a key that was not used lately from the newest call of all back, and another
    would sort all calls of the busiest account to show the newest.
    """
    some = select(literal(1)).select_from(calls).where(condition).limit(FEW + 1).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one()) <= FEW


def refused_lines(connection: Connection, wanted: Wanted) -> list[CallLine]:
    """Return the newest refused calls that fit."""
    asked = [*conditions(refused_calls, wanted), refused_calls.c.id >= first_id(wanted.since_ms)]
    if wanted.key_id is not None or wanted.account is not None:
        asked.append(whose(wanted, refused_calls))
    records = connection.execute(select(refused_calls).where(*asked).order_by(refused_calls.c.id.desc()).limit(wanted.limit))
    return [refused_line(record) for record in records]
