"""The statements on the sums of ended calls by hour and day. Opens no transaction: whoever writes holds the writers' lock.

A call is in the sums exactly if it ended before `rolled_ms`: rows from before it are added as they are written, all others when the
roll-up passes them. So rows may come late, in any order, and with times of any clock.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, case, func, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from aisa.keys.rules import TEAM_ID_PREFIX
from aisa.ledger.pieces import DAYS, HOUR_MS, HOURS, RolledUp, down
from aisa.ledger.port_usage import BROKEN, DAY_MS, Used
from aisa.ledger.row import OTHER_PRICE, CallRow
from aisa.ledger.rules import FAILED
from aisa.storage.tables import accounts, calls, keys, made_sums, rolled_up, usage_sums
from aisa.usage import Usage

WIDTHS_MS = {HOURS: HOUR_MS, DAYS: DAY_MS}
WHOSE = ("account", "key_id", "model", "target")
SUMMED = Used.__struct_fields__
STEP_ROWS = 5_000  # of one step, some 50 ms in which other writers wait
SPAN_MS_MIN = 1_000  # of one step, however many calls ended in it
FEWER = 4  # a span with too many rows becomes a part of this size
MADE = ("requests", "input_tokens", "output_tokens", "vendor_cost", "reported_cost", "reported")
STREAM_ROWS = 1_000  # in memory at a time where there may be any number

#: What of a row is added up, by the field of `Used`.
TOTALS: dict[str, ColumnElement[int]] = {
    "requests": func.count(),
    "failed": func.sum(case((calls.c.outcome == FAILED, 1), else_=0)),
    "otherwise": func.sum(case((calls.c.marks.contains(OTHER_PRICE, autoescape=True), 1), else_=0)),
    **{f"{name}_tokens": func.sum(calls.c[f"billed_{name}_tokens"]) for name in ("input", "output", "cached", "cache_write")},
    "cost": func.sum(calls.c.cost),
    "charged": func.sum(case((calls.c.prepaid, calls.c.cost), else_=0)),
    "broken": func.sum(case((calls.c.outcome.in_(BROKEN), 1), else_=0)),
    "first_tokens": func.count(calls.c.first_token_ms),
    "first_token_ms": func.coalesce(func.sum(calls.c.first_token_ms), 0),
}
assert tuple(TOTALS) == SUMMED, "sums are read in this order"


def known_of(connection: Connection) -> RolledUp:
    """Return how far the sums go."""
    rolled, removed = connection.exec_driver_sql("SELECT rolled_ms, removed_ms FROM rolled_up").one()
    return RolledUp(rolled, removed)


def roll_up(connection: Connection, before_ms: int) -> bool:
    """Take some of the calls into the sums that ended before a moment. True if there may be more."""
    rolled_ms = known_of(connection).rolled_ms
    first_ms = earliest(connection, rolled_ms)
    if first_ms is None or first_ms >= before_ms:
        note_rolled(connection, max(rolled_ms, before_ms))
        return False
    end_ms = min(down(first_ms, DAY_MS) + DAY_MS, before_ms)
    while end_ms - first_ms > SPAN_MS_MIN and has_more(connection, first_ms, end_ms):
        end_ms = first_ms + max(SPAN_MS_MIN, (end_ms - first_ms) // FEWER)
    for hours, width_ms in WIDTHS_MS.items():
        add_rows(connection, hours, width_ms, start_ms=first_ms, end_ms=end_ms)
    add_made(connection, made_between(connection, first_ms, end_ms))
    note_rolled(connection, end_ms)
    return end_ms < before_ms


class OfAnyAccount(ColumnElement[bool]):
    """The condition that a call is of any account, as all are: with it the index on account and time serves a condition on time.

    PostgreSQL takes a list of accounts into the index, where it makes a join of a table of them, for which it reads the whole index.
    """

    inherit_cache = True


@compiles(OfAnyAccount)
def _of_any(_condition: OfAnyAccount, _compiler: SQLCompiler, **_more: object) -> str:
    return "calls.account IN (SELECT name FROM accounts)"


@compiles(OfAnyAccount, "postgresql")
def _of_any_listed(_condition: OfAnyAccount, _compiler: SQLCompiler, **_more: object) -> str:
    return "calls.account = ANY ((SELECT array_agg(name) FROM accounts)::varchar[])"


def ended_between(start_ms: int, end_ms: int) -> ColumnElement[bool]:
    """Return the condition that a call of any account ended in [start, end)."""
    return OfAnyAccount() & calls.c.ended_ms.between(start_ms, end_ms - 1)


def earliest(connection: Connection, since_ms: int) -> int | None:
    """Return when the first call ended since a moment, None if there is none. One look into the index for each account."""
    ours = select(func.min(calls.c.ended_ms)).where(calls.c.account == accounts.c.name, calls.c.ended_ms >= since_ms)
    return connection.execute(select(func.min(ours.correlate(accounts).scalar_subquery())).select_from(accounts)).scalar()


def has_more(connection: Connection, start_ms: int, end_ms: int) -> bool:
    """Say whether more calls ended in [start, end) than one step takes."""
    some = select(literal(1)).select_from(calls).where(ended_between(start_ms, end_ms)).limit(STEP_ROWS + 1).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one()) > STEP_ROWS


def note_rolled(connection: Connection, rolled_ms: int) -> None:
    """Note that the calls from before a moment are in the sums."""
    connection.execute(update(rolled_up).where(rolled_up.c.rolled_ms < rolled_ms).values(rolled_ms=rolled_ms))


def add_rows(connection: Connection, hours: int, width_ms: int, *, start_ms: int, end_ms: int) -> None:
    """Add the calls that ended in [start, end) to the sums of one width."""
    began = (calls.c.ended_ms - calls.c.ended_ms % width_ms).label("start_ms")
    whose = [calls.c[name] for name in WHOSE]
    found = select(literal(hours), began, *whose, *TOTALS.values(), func.max(calls.c.ended_ms))
    connection.execute(adding(connection.dialect.name, found.where(ended_between(start_ms, end_ms)).group_by(began, *whose)))


def adding(dialect: str, found: Select[tuple[object, ...]] | None = None) -> sqlite.Insert | postgresql.Insert:
    """Return the statement that adds to the sums: what another one finds, or else values in the order of the columns."""
    names = [column.name for column in usage_sums.columns]
    statement = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(usage_sums)
    statement = statement if found is None else statement.from_select(names, found)
    fresh = statement.excluded
    more = {name: usage_sums.c[name] + fresh[name] for name in SUMMED}
    latest = case((fresh.last_ms > usage_sums.c.last_ms, fresh.last_ms), else_=usage_sums.c.last_ms)
    keys = [column.name for column in usage_sums.primary_key]
    return statement.on_conflict_do_update(index_elements=keys, set_={**more, "last_ms": latest})


def add_late(connection: Connection, rows: Iterable[CallRow], rolled_ms: int) -> None:
    """Add rows that are being written to the sums, as far as they ended in a time that is in them."""
    late = [row for row in rows if row.ended_ms < rolled_ms]
    if not late:
        return
    sums: dict[tuple[object, ...], tuple[Used, int]] = {}
    for row in late:
        for hours, width_ms in WIDTHS_MS.items():
            key = (hours, down(row.ended_ms, width_ms), row.account, row.key_id, row.model, row.target)
            used, last_ms = sums.setdefault(key, (Used(), row.ended_ms))
            used.add(row)
            sums[key] = (used, max(last_ms, row.ended_ms))
    names = [column.name for column in usage_sums.columns]
    values = [(*key, *msgspec.structs.astuple(used), last_ms) for key, (used, last_ms) in sums.items()]
    statement = adding(connection.dialect.name)
    connection.execute(statement, [dict(zip(names, each, strict=True)) for each in values])
    add_made(connection, (made_of(row) for row in late))


#: What one or several calls of a target came to: when its day begins, the target, the model that answered, and the numbers of MADE.
MadeOf = tuple[int, str, str, tuple[int, ...]]


def made_of(row: CallRow) -> MadeOf:
    """Return what the vendor made of one call."""
    numbers = (1, row.generated.input_tokens, row.generated.output_tokens, *costs_of(row.vendor_cost, row.reported_cost))
    return down(row.ended_ms, DAY_MS), row.target, row.answered_model or "", numbers


def costs_of(vendor_cost: int | None, reported_cost: int | None) -> tuple[int, int, int]:
    """Return the last three of MADE."""
    return vendor_cost or 0, reported_cost or 0, int(reported_cost is not None)


def made_between(connection: Connection, start_ms: int, end_ms: int, *, whose: ColumnElement[bool] | None = None) -> Iterable[MadeOf]:
    """Yield what was made of the calls that ended in [start, end), of all vendors or where a condition holds.

    What was made of most calls is what was billed, and the database can add it up; of the others, each is looked at.
    """
    ours = ended_between(start_ms, end_ms) if whose is None else ended_between(start_ms, end_ms) & whose
    day = (calls.c.ended_ms - calls.c.ended_ms % DAY_MS).label("start_ms")
    named = (day, calls.c.target, func.coalesce(calls.c.answered_model, "").label("answered"))
    made_in, made_out = func.sum(calls.c.billed_input_tokens), func.sum(calls.c.billed_output_tokens)
    costs = [func.coalesce(func.sum(column), 0) for column in (calls.c.vendor_cost, calls.c.reported_cost)]
    plain = select(*named, func.count(), made_in, made_out, *costs, func.count(calls.c.reported_cost))
    for row in connection.execute(plain.where(ours, calls.c.generated.is_(None)).group_by(*named)):
        day_ms, target, answered, *numbers = tuple(row)
        yield day_ms, target, answered, tuple(map(int, numbers))
    columns = (*named, calls.c.generated, calls.c.vendor_cost, calls.c.reported_cost)
    other = select(*columns).where(ours, calls.c.generated.is_not(None)).execution_options(yield_per=STREAM_ROWS)
    with connection.execute(other) as records:
        for day_ms, target, answered, generated, vendor_cost, reported in records:
            made = generated_of(generated)
            yield day_ms, target, answered, (1, made.input_tokens, made.output_tokens, *costs_of(vendor_cost, reported))


def generated_of(text: str) -> Usage:
    """Return what was made of a call, nothing where somebody changed the row: that the audit tells, and all other calls are summed up."""
    try:
        return msgspec.json.decode(text, type=Usage)
    except msgspec.MsgspecError:
        return Usage()


def add_made(connection: Connection, found: Iterable[MadeOf]) -> None:
    """Add what was made to the sums of days."""
    sums: dict[tuple[int, str, str], tuple[int, ...]] = {}
    for day_ms, target, answered, numbers in found:
        key = (day_ms, target, answered)
        sums[key] = tuple(map(sum, zip(sums.get(key, (0,) * len(MADE)), numbers, strict=True)))
    if not sums:
        return
    statement = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(made_sums)
    more = {name: made_sums.c[name] + statement.excluded[name] for name in MADE}
    keys = [column.name for column in made_sums.primary_key]
    names = [column.name for column in made_sums.columns]
    values = [dict(zip(names, (*key, *numbers), strict=True)) for key, numbers in sums.items()]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=more), values)


def made_by(whose: str, column: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that calls are those of the key with an id, or of the keys of the team with it. They are in it for good."""
    return column.in_(select(keys.c.id).where(keys.c.team == whose)) if whose.startswith(TEAM_ID_PREFIX) else column == whose


def last_ms_of(connection: Connection, whose: str) -> int:
    """Return when the last call of a key or team ended, 0 if there is none: by the rows and the sums, as the newest row may be gone."""
    found = (
        connection.execute(select(func.max(calls.c.ended_ms)).where(made_by(whose, calls.c.key_id))).scalar(),
        connection.execute(
            select(func.max(usage_sums.c.last_ms)).where(made_by(whose, usage_sums.c.key_id), usage_sums.c.hours == DAYS)
        ).scalar(),
    )
    return max(moment or 0 for moment in found)
