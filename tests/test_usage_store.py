"""Sums over ended calls: those in the database and those on their way there, each once, whoever asks and whenever."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, event, insert

from aisa.errors import ApiError
from aisa.ledger.find import ended_lines
from aisa.ledger.pieces import HOUR_MS, HOURS
from aisa.ledger.port_calls import Wanted
from aisa.ledger.port_usage import DAY, DAY_MS, KEY, MODEL, TEAM, Span, Used
from aisa.ledger.row import CallRow
from aisa.ledger.sums import add_rows, has_more, made_between
from aisa.ledger.usage import IDS_MAX, UsageStore, sums_of
from aisa.ledger.writer import Writer, insert_rows
from aisa.storage.engine import Database
from aisa.storage.tables import accounts, keys
from aisa.storage.tables import calls as table
from postgres_rig import postgres_only, sqlite_only
from repeats import repeats
from rows import NOON, priced, renumbered, rows

EVER = Span(0, 2**46)
TEAM_ID = "team_1"
TEAMS = {"key_1": TEAM_ID}


@pytest.fixture
def database(opened: Database) -> Database:
    """A database with the accounts that the rows name, and the keys, of which one is in a team."""
    with opened.transaction() as connection:
        for id_, team in (("key_1", TEAM_ID), ("key_2", None)):
            key = {"id": id_, "label": id_, "digest": id_.encode(), "hint": "", "state": "active", "created_at": 1, "account": "acme"}
            connection.execute(insert(keys).values(**key, team=team))
        connection.execute(insert(accounts).values(name="acme", balance=None, charged=0, spent=0, calls=0, created_at=1))
    return opened


def summed(found: list[CallRow], by: str, span: Span) -> dict[str, Counter[str]]:
    """Return what must be found, worked out in another way."""
    groups: dict[str, Counter[str]] = {}
    for row in found:
        if not span.start_ms <= row.ended_ms < span.end_ms:
            continue
        team = TEAMS.get(row.key_id)
        if by == TEAM and team is None:
            continue
        if (span.whose is not None and span.whose not in (row.key_id, team)) or (span.account is not None and row.account != span.account):
            continue
        day = datetime.fromtimestamp(row.ended_ms / 1000, UTC).strftime("%Y-%m-%d")
        sums = groups.setdefault({"key": row.key_id, "model": row.model, "day": day, "team": str(team)}[by], Counter())
        sums.update(requests=1, failed=row.outcome == "failed", cost=row.cost, charged=row.cost * row.prepaid)
        sums.update(input_tokens=row.billed.input_tokens, output_tokens=row.billed.output_tokens)
        sums.update(broken=row.outcome in ("cut", "crashed", "shut_down"))
        sums.update(first_tokens=row.first_token_ms is not None, first_token_ms=row.first_token_ms or 0)
        sums.update(cached_tokens=row.billed.cached_tokens, cache_write_tokens=row.billed.cache_write_tokens)
    return groups


spans = st.builds(
    lambda ends, key, account: Span(min(ends), max(ends) + 1, key, account if key is None else None),
    st.tuples(st.integers(0, 2**45), st.integers(0, 2**45)),
    st.none() | st.sampled_from(["key_1", TEAM_ID]),
    st.none() | st.just("acme"),
)


@pytest.mark.parametrize("odd", ["\0", "req_01M8KGA79P5NJA6K2640W43M4X\0", "", "\u2028", "'--", "x" * 70_000])
def test_no_text_that_a_caller_asks_for_as_an_id_is_a_failure_of_the_database(database: Database, odd: str) -> None:
    """[fault S13] It comes percent-encoded in the address of a receipt; PostgreSQL refuses some of them in any question."""
    store = UsageStore(database)
    assert (store.call(odd), store.refused(odd)) == (None, None)


@given(
    st.lists(st.tuples(rows, st.booleans(), st.booleans()), max_size=20), st.sampled_from([KEY, MODEL, DAY, TEAM]), spans | st.just(EVER)
)
@settings(max_examples=repeats(100), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_every_call_counts_once_wherever_it_is(database: Database, drawn: list[tuple[CallRow, bool, bool]], by: str, span: Span) -> None:
    """Rows that wait, rows in the database and rows that are in both are the same to the sums, for every group, time and owner.

    [issue 13] Those that wait were in no team's sums.
    """
    calls = [(renumbered(row, number), stored, waiting) for number, (row, stored, waiting) in enumerate(drawn)]
    with database.transaction() as connection:
        connection.execute(delete(table))
    insert_rows(database, [row for row, stored, _ in calls if stored])
    used = UsageStore(database).used(by, span, [row for row, stored, waiting in calls if waiting or not stored])
    expected = summed([row for row, _, _ in calls], by, span)
    assert {group: msgspec.structs.asdict(sums) for group, sums in used.items()} == {
        group: {field: sums[field] for field in Used.__struct_fields__} for group, sums in expected.items()
    }
    assert list(used) == sorted(used)


@pytest.mark.parametrize("stored", [True, False])
def test_a_span_has_its_first_millisecond_and_not_its_last(database: Database, *, stored: bool) -> None:
    """Spans one after the other have every call once, whether the database has it or not."""
    found = [priced(number, ended_ms=moment) for number, moment in enumerate((NOON - 1, NOON, NOON + 9, NOON + 10))]
    insert_rows(database, found if stored else [])
    assert UsageStore(database).used(KEY, Span(NOON, NOON + 10), found)["key_1"].requests == 2


def test_more_waiting_rows_than_one_statement_takes(database: Database) -> None:
    """After the database was away for long, thousands wait, some of which it has."""
    found = [priced(number) for number in range(2 * IDS_MAX + 7)]
    insert_rows(database, found[: IDS_MAX // 2])
    insert_rows(database, found[-3:])
    assert UsageStore(database).used(KEY, EVER, found)["key_1"].requests == len(found)


def test_no_call_is_missed_or_doubled_while_rows_are_being_written(database: Database) -> None:
    """Asked again and again beside a busy writer, the number of calls is that of the calls that had ended, each time."""

    async def main() -> None:
        writer = Writer(database, lambda _fact: None)
        waiting: dict[str, CallRow] = {}
        store = UsageStore(database)
        loop = asyncio.get_running_loop()
        for number in range(1_000):
            row = priced(number)
            waiting[row.id] = row
            writer.post(row, partial(waiting.__delitem__, row.id))
            if number % 10 == 0:
                asked = tuple(waiting.values())
                used = await loop.run_in_executor(None, store.used, KEY, EVER, asked)
                assert used["key_1"].requests == number + 1
        assert await writer.stop(60) == 0

    uvloop.run(main())


def test_a_call_is_found_by_its_id(database: Database) -> None:
    """The row comes back as it was written; an id that nobody has is no row."""
    row = priced(7, client_request_id="order-7")
    insert_rows(database, [row])
    store = UsageStore(database)
    assert store.call(row.id) == row
    assert store.call("req_8") is None


@sqlite_only
def test_a_database_that_cannot_be_read_is_told_as_the_api_tells_it(database: Database, tmp_path: Path) -> None:
    """Whoever asks gets an error with a remedy, not a bug."""
    database.close()
    (tmp_path / "aisa.db").unlink()
    for ask in (lambda: UsageStore(database).call("req_1"), lambda: UsageStore(database).used(KEY, EVER)):
        with pytest.raises(ApiError, match=r"cannot be opened\. Let") as failure:
            ask()
        assert failure.value.code == "internal_error"


@sqlite_only
@pytest.mark.parametrize("by", [DAY, TEAM])
@pytest.mark.parametrize("owner", [{"whose": "key_1"}, {"whose": TEAM_ID}, {"account": "acme"}, {}])
def test_sums_of_a_short_time_do_not_read_the_whole_table(database: Database, owner: dict[str, Any], by: str) -> None:
    """A question about a day costs what that day has, however old the ledger is: an index serves it."""
    asked: list[tuple[str, Any]] = []
    with database.reading() as connection:
        event.listen(connection, "before_cursor_execute", lambda *said: asked.append((said[2], said[3])))
        list(sums_of(connection, by, Span(NOON, NOON + DAY_MS, **owner)))
        statement, parameters = asked[-1]
        plan = " ".join(str(line[-1]) for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters))
    assert "ended_ms>? AND ended_ms<?" in plan
    assert "SCAN calls" not in plan


SHORT = (NOON + 9_000_000, NOON + 9_010_000)  # a few calls of many
LATEST = NOON + 20_000_000


@postgres_only
@pytest.mark.parametrize(
    "ask",
    [
        lambda connection: list(sums_of(connection, DAY, Span(*SHORT))),
        lambda connection: has_more(connection, *SHORT),
        lambda connection: add_rows(connection, HOURS, HOUR_MS, start_ms=SHORT[0], end_ms=SHORT[1]),
        lambda connection: list(made_between(connection, *SHORT)),
        lambda connection: ended_lines(connection, Wanted(since_ms=LATEST - 9_000, by_end=True, limit=1_000)),
    ],
    ids=["usage", "how many", "summing up", "what was made", "what has ended"],
)
def test_what_is_asked_of_a_short_time_reads_no_whole_index(database: Database, ask: Callable[[Connection], object]) -> None:
    """[fault P10] Of any account, on PostgreSQL, which knows nothing of how many there are: summing up ten million calls took days."""
    names = [column.name for column in table.columns]
    other = {"id": "'req_' || lpad((n + 1)::text, 26, '0')", "began_ms": "began_ms + n * 1000", "ended_ms": "ended_ms + n * 1000"}
    insert_rows(database, [priced(1)])
    asked: list[tuple[str, Any]] = []
    with database.transaction() as connection:
        copied = ", ".join(other.get(name, name) for name in names)
        connection.exec_driver_sql(f"INSERT INTO calls ({', '.join(names)}) SELECT {copied} FROM calls, generate_series(1, 20000) AS n")
        connection.exec_driver_sql("ANALYZE calls")
        event.listen(connection, "before_cursor_execute", lambda *said: asked.append((said[2], said[3])))
        ask(connection)
        for statement, parameters in tuple(asked):
            found = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters).scalar_one()
            assert found[0]["Plan"]["Shared Hit Blocks"] + found[0]["Plan"]["Shared Read Blocks"] < BLOCKS_MAX, statement


BLOCKS_MAX = 80  # of 8 KB: the index has some 130, the rows of ten seconds are in one or two


def test_no_calls_are_no_groups(database: Database) -> None:
    """A key that has called nothing is not in the list with zeros."""
    assert UsageStore(database).used(MODEL, EVER) == {}
