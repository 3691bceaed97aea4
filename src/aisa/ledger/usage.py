"""What calls were billed, from the database's rows and those on their way there, each counted once. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager

from sqlalchemy import ColumnElement, Connection, Integer, case, func, select, type_coerce

from aisa.errors import ApiError
from aisa.ledger.port_usage import ACCOUNT, BROKEN, DAY, DAY_MS, KEY, MODEL, VENDOR, Span, Used, day_of
from aisa.ledger.record import row_of
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.row import OTHER_PRICE, CallRow
from aisa.ledger.rules import FAILED
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.tables import accounts, calls, refused_calls

IDS_MAX = 500  # in one question to the database: every database takes so many parameters


class UsageStore:
    """The ended calls in a database; implements `port_usage.EndedCalls`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def call(self, call_id: str) -> CallRow | None:
        """Return the row of a call, None if there is none."""
        with self._reading() as connection:
            record = connection.execute(select(calls).where(calls.c.id == call_id)).first()
            return None if record is None else row_of(record)

    def refused(self, call_id: str) -> RefusedCalls | None:
        """Return the record of a refused call, None if there is none."""
        with self._reading() as connection:
            record = connection.execute(select(refused_calls).where(refused_calls.c.id == call_id)).first()
            return None if record is None else RefusedCalls(*record)

    def used(self, by: str, span: Span, waiting: Collection[CallRow] = ()) -> dict[str, Used]:
        """Return the sums by one of GROUPINGS, in ascending order; of `waiting` rows, those are added that the database does not have."""
        wanted = [row for row in waiting if span.has(row)]
        with self._reading() as connection:  # all of it sees one state: a row is either in the sums or not known
            sums: dict[str, Used] = {}
            for group, used in sums_of(connection, by, span):
                sums.setdefault(group, Used()).merge(used)
            known = known_ids(connection, [row.id for row in wanted])
        for row in wanted:
            if row.id not in known:
                sums.setdefault(group_of(by, row), Used()).add(row)
        return dict(sorted(sums.items()))

    @contextmanager
    def _reading(self) -> Generator[Connection]:
        try:
            with self._database.reading() as connection:
                yield connection
        except StorageFailed as failure:
            raise ApiError("internal_error", f"{failure.what} {failure.remedy}") from failure


def sums_of(connection: Connection, by: str, span: Span) -> Iterable[tuple[str, Used]]:
    """Return each group with its sums; a vendor comes once for each of its targets."""
    failed = case((calls.c.outcome == FAILED, 1), else_=0)
    otherwise = case((calls.c.marks.contains(OTHER_PRICE, autoescape=True), 1), else_=0)
    billed = [calls.c[f"billed_{name}_tokens"] for name in ("input", "output", "cached", "cache_write")]
    charged = case((calls.c.prepaid, calls.c.cost), else_=0)
    broken = case((calls.c.outcome.in_(BROKEN), 1), else_=0)
    totals = [func.count(), *(func.sum(counted) for counted in (failed, otherwise, *billed, calls.c.cost, charged, broken))]
    totals += [func.count(calls.c.first_token_ms), func.coalesce(func.sum(calls.c.first_token_ms), 0)]
    ended = calls.c.ended_ms.between(span.start_ms, span.end_ms - 1)
    group = GROUPS[by].label("label")
    for name, *counts in connection.execute(select(group, *totals).where(whose(span), ended).group_by(group)):
        group_name = day_of(name * DAY_MS) if by == DAY else vendor_of(name) if by == VENDOR else name
        yield group_name, Used(*map(int, counts))  # PostgreSQL's sums are decimals


GROUPS: dict[str, ColumnElement[str] | ColumnElement[int]] = {
    KEY: calls.c.key_id,
    ACCOUNT: calls.c.account,
    VENDOR: calls.c.target,
    MODEL: calls.c.model,
    DAY: type_coerce(calls.c.ended_ms // DAY_MS, Integer),
}


def whose(span: Span) -> ColumnElement[bool]:
    """Return the condition on whose calls they are, such that an index that goes on with the time serves it."""
    if span.key_id is not None:
        return calls.c.key_id == span.key_id
    if span.account is not None:
        return calls.c.account == span.account
    return calls.c.account.in_(select(accounts.c.name))


def known_ids(connection: Connection, ids: list[str]) -> set[str]:
    """Return which of these calls the database has."""
    known: set[str] = set()
    for start in range(0, len(ids), IDS_MAX):
        known.update(connection.execute(select(calls.c.id).where(calls.c.id.in_(ids[start : start + IDS_MAX]))).scalars())
    return known


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
