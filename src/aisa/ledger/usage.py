"""What calls were billed, from the database's rows and those on their way there, each counted once. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Label, Table, and_, func, select, true, type_coerce

from aisa.errors import ApiError
from aisa.keys.rules import TEAM_ID_PREFIX
from aisa.ledger.damaged import whole_refusal, whole_row
from aisa.ledger.pieces import ROWS, file_of, pieces_of
from aisa.ledger.port_usage import ACCOUNT, DAY, DAY_MS, KEY, MODEL, NO_TEAMS, TEAM, VENDOR, Removal, Span, Used, day_of
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.row import CallRow
from aisa.ledger.sums import SUMMED, TOTALS, OfAnyAccount, known_of, made_by
from aisa.money import Nanos
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.tables import calls, keys, refused_calls, removed_files, usage_sums

NUL = "\0"  # in no id; PostgreSQL takes it in no question
IDS_MAX = 500  # in one question to the database: every database takes so many parameters


class UsageStore:
    """The ended calls in a database; implements `port_usage.EndedCalls`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def call(self, call_id: str) -> CallRow | None:
        """Return the row of a call, None if there is none."""
        if NUL in call_id:
            return None
        with self._reading() as connection:
            record = connection.execute(select(calls).where(calls.c.id == call_id)).first()
            return None if record is None else whole_row(record)

    def refused(self, call_id: str) -> RefusedCalls | None:
        """Return the record of a refused call, None if there is none."""
        if NUL in call_id:
            return None
        with self._reading() as connection:
            record = connection.execute(select(refused_calls).where(refused_calls.c.id == call_id)).first()
            return None if record is None else whole_refusal(record)

    def removal(self, began_ms: int) -> Removal | None:
        """Say that a call which began then may be removed, None if it would be there."""
        with self._reading() as connection:
            known = known_of(connection)
            if began_ms >= known.removed_ms:
                return None
            named = select(removed_files.c.name).where(removed_files.c.name == file_of(began_ms))
            return Removal(known.removed_ms, connection.execute(named).scalar())

    def used(self, by: str, span: Span, waiting: Collection[CallRow] = ()) -> dict[str, Used]:
        """Return the sums by TEAM or one of GROUPINGS, in ascending order; with those `waiting` rows that the database does not have."""
        with self._reading() as connection:  # all of it sees one state: a row is either in the sums or not known
            sums: dict[str, Used] = {}
            for group, used in sums_of(connection, by, span):
                sums.setdefault(group, Used()).merge(used)
            of_teams = by == TEAM or (span.whose is not None and span.whose.startswith(TEAM_ID_PREFIX))
            teams = teams_of(connection, {row.key_id for row in waiting}) if of_teams else NO_TEAMS
            wanted = [row for row in waiting if span.has(row, teams) and (by != TEAM or row.key_id in teams)]
            known = known_ids(connection, [row.id for row in wanted])
        for row in wanted:
            if row.id not in known:
                sums.setdefault(teams[row.key_id] if by == TEAM else group_of(by, row), Used()).add(row)
        return dict(sorted(sums.items()))

    @contextmanager
    def _reading(self) -> Generator[Connection]:
        try:
            with self._database.reading() as connection:
                yield connection
        except StorageFailed as failure:
            raise ApiError(failure.code, f"{failure.what} {failure.remedy}") from failure


def sums_of(connection: Connection, by: str, span: Span) -> Iterable[tuple[str, Used]]:
    """Yield groups with their sums; one may come several times, and a vendor does for each of its targets.

    Raises ApiError invalid_request for a span that begins or ends in an hour whose rows are removed.
    """
    width: ColumnElement[bool]
    for piece in pieces_of(span.start_ms, span.end_ms, known_of(connection)):
        if piece.source == ROWS:
            table, totals, moment, width = calls, [*TOTALS.values()], calls.c.ended_ms, true()
        else:
            table, totals = usage_sums, [func.sum(usage_sums.c[name]) for name in SUMMED]
            moment, width = usage_sums.c.start_ms, usage_sums.c.hours == piece.source
        inside = and_(width, moment.between(piece.start_ms, piece.end_ms - 1))
        group: Label[Any] = group_in(table, by).label("label")
        asked = select(group, *totals).where(whose(table, span), inside).group_by(group)
        if by == TEAM:
            asked = asked.where(keys.c.id == table.c.key_id, keys.c.team.is_not(None))
        for name, *counts in connection.execute(asked):
            group_name = day_of(name * DAY_MS) if by == DAY else vendor_of(name) if by == VENDOR else name
            yield group_name, Used(*map(int, counts))  # PostgreSQL's sums are decimals


def spent_in(connection: Connection, span: Span) -> Nanos:
    """Return what the calls of a span cost."""
    return sum(used.cost for _, used in sums_of(connection, DAY, span))


def group_in(table: Table, by: str) -> ColumnElement[str] | ColumnElement[int]:
    """Return by what rows or sums are grouped; days as their number since 1970."""
    if by == DAY:
        return type_coerce(table.c["ended_ms" if table is calls else "start_ms"] // DAY_MS, Integer)
    if by == TEAM:
        return keys.c.team
    return table.c[{KEY: "key_id", ACCOUNT: "account", VENDOR: "target", MODEL: "model"}[by]]


def whose(table: Table, span: Span) -> ColumnElement[bool]:
    """Return the condition on whose calls they are, such that an index that goes on with the time serves it."""
    if span.keys is not None:
        return table.c.key_id.in_(span.keys)
    if span.whose is not None:
        theirs = true() if span.account is None else table.c.account == span.account
        return made_by(span.whose, table.c.key_id) & theirs
    if span.account is not None:
        return table.c.account == span.account
    return OfAnyAccount() if table is calls else true()


def teams_of(connection: Connection, key_ids: Collection[str]) -> Mapping[str, str]:
    """Return the teams that some of these keys are in, by the keys' ids."""
    found: dict[str, str] = {}
    for some in batched(key_ids):
        known = connection.execute(select(keys.c.id, keys.c.team).where(keys.c.id.in_(some)))
        found |= {key_id: team for key_id, team in known if team is not None}
    return found


def known_ids(connection: Connection, ids: Collection[str]) -> set[str]:
    """Return which of these calls the database has."""
    return {id_ for some in batched(ids) for id_ in connection.execute(select(calls.c.id).where(calls.c.id.in_(some))).scalars()}


def batched(ids: Collection[str]) -> Iterable[list[str]]:
    """Yield ids, as many at a time as one question may have."""
    every = list(ids)
    return (every[start : start + IDS_MAX] for start in range(0, len(every), IDS_MAX))


def group_of(by: str, row: CallRow) -> str:
    """Return the group that a call belongs to."""
    if by == DAY:
        return day_of(row.ended_ms)
    if by == VENDOR:
        return vendor_of(row.target)
    return row.account if by == ACCOUNT else row.key_id if by == KEY else row.model


def vendor_of(target: str) -> str:
    """Return whose a target is."""
    return target.partition("/")[0]
