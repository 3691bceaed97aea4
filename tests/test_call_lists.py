"""Lists of calls, ended and refused ones together: page by page each is seen once, and each is found by the beginning of its id."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from aisa.cli.call_lines import cells, narrowed
from aisa.errors import ApiError
from aisa.ids import CallIds, short_id
from aisa.ledger.damaged import DAMAGED
from aisa.ledger.find import FEW, CallFinder, ended_lines, refused_lines
from aisa.ledger.port_calls import Wanted
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.usage import UsageStore
from aisa.ledger.writer import insert_rows
from aisa.storage.engine import Database
from aisa.storage.migrate import migrate
from aisa.storage.postgres import open_postgres
from aisa.storage.tables import accounts, refused_calls
from postgres_rig import Postgres, needs_postgres, sqlite_only
from rows import NOON, priced


def kept(database: Database, number: int, *, seed: int = 1) -> list[str]:
    """Write so many calls of random lengths, every third of them refused and some of these many as one; return their ids by age."""
    chance = random.Random(seed)
    moment = [NOON / 1_000]
    new_id = CallIds(lambda: moment[0], chance)
    with database.transaction() as connection:
        connection.execute(insert(accounts).values(name="acme", balance=None, charged=0, spent=0, calls=0, created_at=1))
    ids: list[str] = []
    for place in range(number):
        moment[0] += chance.choice((0.001, 0.5, 3.0))
        ids.append(new_id())
        at_ms = round(moment[0] * 1_000)
        lasted = chance.choice((1, 900, 60_000))
        if place % 3:
            insert_rows(database, [priced(place, id=ids[-1], began_ms=at_ms, ended_ms=at_ms + lasted)])
            continue
        record = RefusedCalls(ids[-1], "acme", "key_1", "m", 429, "rate_limit_exceeded", "No.", at_ms, at_ms + lasted, number=1 + lasted)
        with database.transaction() as connection:
            connection.execute(refused_calls.insert().values({name: getattr(record, name) for name in record.__struct_fields__}))
    return ids


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
@pytest.mark.parametrize("refused", [False, True])
def test_page_by_page_every_call_is_seen_once(opened: Database, limit: int, *, refused: bool) -> None:
    """[fault S11] However long calls took, and refusals were counted as one: by their ends, pages began again or left calls out."""
    ids = kept(opened, 40)
    seen: list[str] = []
    before = None
    while lines := CallFinder(opened).lines(Wanted(limit=limit, refused=refused, before=before)):
        seen += [line.id for line in lines]
        before = seen[-1]
    assert seen == [id_ for place, id_ in enumerate(ids) if not (refused and place % 3)][::-1]


def test_by_end_the_last_to_end_is_first(opened: Database) -> None:
    """For whoever follows what ends."""
    kept(opened, 40)
    lines = CallFinder(opened).lines(Wanted(limit=100, by_end=True))
    assert [line.ended_ms for line in lines] == sorted([line.ended_ms for line in lines], reverse=True)


MANY = FEW + 2_000
BLOCKS_MAX = 300  # of 8 KB that PostgreSQL reads for a question: the calls below have some thousand


@pytest.fixture
def busy(opened: Database) -> Database:
    """A database with one busy key, and one that was used three times, long ago."""
    with opened.transaction() as connection:
        connection.execute(insert(accounts).values(name="acme", balance=None, charged=0, spent=0, calls=0, created_at=1))
    rows = [priced(number) for number in range(10, MANY)]
    insert_rows(opened, [*[priced(number, key_id="key_old") for number in (1, 5, 7)], *rows])
    with opened.transaction() as connection:
        if connection.dialect.name != "sqlite":
            connection.exec_driver_sql("ANALYZE calls")
    return opened


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Wanted(key_id="key_1", limit=3), [MANY - 1, MANY - 2, MANY - 3]),
        (Wanted(account="default", limit=2), [MANY - 1, MANY - 2]),
        (Wanted(account="default", key_id="key_1", limit=1, before=f"req_{500:026d}"), [499]),
        (Wanted(account="default", limit=5, before=f"req_{12:026d}"), [11, 10, 7, 5, 1]),
        (Wanted(key_id="key_old", limit=2), [7, 5]),
        (Wanted(key_id="key_old", limit=9, before=f"req_{7:026d}"), [5, 1]),
        (Wanted(key_id="key_old", limit=9, failed=True), []),
        (Wanted(key_id="key_none", limit=1), []),
        (Wanted(account="acme", limit=30), []),
        (Wanted(account="acme", key_id="key_1", limit=30), []),
        (Wanted(key_id="key_1", limit=2, by_end=True), [MANY - 1, MANY - 2]),
        (Wanted(limit=1), [MANY - 1]),
    ],
)
def test_whose_calls_are_listed_is_found_without_a_look_at_all_others(busy: Database, wanted: Wanted, numbers: list[int]) -> None:
    """[fault P10] A key that was never used, one that was used long ago, the busiest account: of ten million calls that took a minute."""
    asked: list[tuple[str, Any]] = []
    with busy.reading() as connection:
        event.listen(connection, "before_cursor_execute", lambda *said: asked.append((said[2], said[3])))
        assert [line.id for line in ended_lines(connection, wanted)] == [f"req_{number:026d}" for number in numbers]
        for statement, parameters in tuple(asked):
            if connection.dialect.name == "sqlite":
                plan = " ".join(str(line[-1]) for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters))
                assert "TEMP B-TREE" not in plan or wanted.key_id == "key_old", plan
                assert "TEMP B-TREE" not in plan or "ended_ms>" in plan, plan  # what is sorted is of the time that is asked for
            elif "count(" not in statement:  # that one reads FEW at most, however many there are
                found = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters).scalar_one()
                assert found[0]["Plan"]["Shared Hit Blocks"] + found[0]["Plan"]["Shared Read Blocks"] < BLOCKS_MAX, statement


@pytest.mark.parametrize(("key_id", "numbers"), [("key_old", [7, 5, 1]), ("key_none", []), ("key_1", [MANY - 1, MANY - 2, MANY - 3])])
def test_a_keys_refusals_are_found_beside_the_many_of_another(opened: Database, key_id: str, numbers: list[int]) -> None:
    """[fault P10] All of the month's were read for a key that had few: a client that is refused once a second leaves 2.6 million."""
    told = {
        "account": "acme",
        "model": "m",
        "status": 401,
        "code": "revoked_api_key",
        "message": "No.",
        "at_ms": 1,
        "last_ms": 1,
        "number": 1,
    }
    owners = {number: "key_old" if number in (1, 5, 7) else "key_1" for number in range(1, MANY)}
    with opened.transaction() as connection:
        connection.execute(insert(refused_calls), [{"id": f"req_{place:026d}", "key_id": owner, **told} for place, owner in owners.items()])
        if connection.dialect.name != "sqlite":
            connection.exec_driver_sql("ANALYZE refused_calls")
    asked: list[tuple[str, Any]] = []
    with opened.reading() as connection:
        event.listen(connection, "before_cursor_execute", lambda *said: asked.append((said[2], said[3])))
        lines = refused_lines(connection, Wanted(key_id=key_id, limit=3, refused=True))
        assert [line.id for line in lines] == [f"req_{number:026d}" for number in numbers]
        statement, parameters = asked[-1]
        if connection.dialect.name == "sqlite":
            plan = " ".join(str(line[-1]) for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters))
            assert "USING INDEX ix_refused_calls_key_id" in plan
            assert "TEMP B-TREE" not in plan
        else:
            found = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters).scalar_one()
            assert found[0]["Plan"]["Shared Hit Blocks"] + found[0]["Plan"]["Shared Read Blocks"] < 20


@pytest.fixture
def in_english(postgres: Postgres) -> Iterator[Database]:
    """A database that sorts texts as English is sorted, as those of many images do."""
    url = postgres.fresh()
    name = url.partition("?")[0].rpartition("/")[2]
    postgres.sql(url, f"CREATE DATABASE {name}_en TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
    database = open_postgres(url.replace(f"/{name}?", f"/{name}_en?"), migrate)
    yield database
    database.close()


@needs_postgres
def test_calls_are_found_and_listed_where_texts_are_sorted_as_a_language_does(in_english: Database) -> None:
    """[fault P5] By any beginning of an id; and in order, page by page."""
    ids = kept(in_english, 30)
    finder = CallFinder(in_english)
    for id_ in ids:
        assert id_ in finder.beginning(id_[:-2])
        assert finder.beginning(id_) == [id_]
    assert finder.newest_id() == ids[-1]
    assert [line.id for line in finder.lines(Wanted(limit=100))] == ids[::-1]
    assert [line.id for line in finder.lines(Wanted(limit=100, before=ids[20]))] == ids[:20][::-1]


def test_the_short_form_of_an_id_finds_one_of_two_calls_of_a_millisecond(opened: Database) -> None:
    """They differ in their last characters alone, as those of one process do; `_` and `%` stand for nothing but themselves."""
    new_id = CallIds(lambda: NOON / 1_000, random.Random(1))
    ids = [new_id(), new_id()]
    insert_rows(opened, [priced(place, id=id_) for place, id_ in enumerate(ids)])
    finder = CallFinder(opened)
    shown = [short_id(id_) for id_ in ids]
    assert len(set(shown)) == 2
    assert [finder.beginning("req_" + each[:13], each[-4:]) for each in shown] == [[id_] for id_ in ids]
    assert finder.beginning(ids[0][:17]) == ids
    assert finder.beginning(ids[0][:17], "_") == finder.beginning(ids[0][:17], "%") == []


def test_nothing_begins_with_what_no_id_has(opened: Database) -> None:
    """Nor does a whole id that is not there, or a text that is longer than one."""
    kept(opened, 3)
    finder = CallFinder(opened)
    assert [finder.beginning(text) for text in ("req_zzzz", f"req_{'0' * 26}", f"req_{'Z' * 40}", "~")] == [[]] * 4


DAMAGES = (
    ("calls", "prices", "'{x'"),
    ("calls", "billed_breakdown", "'[1]'"),
    ("calls", "ended_ms", "1000000000000000000"),
    ("calls", "began_ms", "-5"),
    ("refused_calls", "last_ms", "1000000000000000000"),
)
#: What SQLite alone takes, as PostgreSQL keeps the types of columns.
OF_ANY_TYPE = (
    ("calls", "total_ms", "'soon'"),
    ("calls", "key_id", "x'ff00'"),
    ("refused_calls", "status", "'many'"),
    ("refused_calls", "at_ms", "'then'"),
)


@pytest.mark.parametrize(("table", "column", "value"), DAMAGES)
def test_a_changed_row_is_told_by_its_id_and_the_others_are_shown(opened: Database, table: str, column: str, value: str) -> None:
    """[issue 8] One that could not be read failed every list that it was in, as a bug of ours, and the console's first page."""
    check_told(opened, table, column, value)


@sqlite_only
@pytest.mark.parametrize(("table", "column", "value"), OF_ANY_TYPE)
def test_a_row_of_other_types_is_told_by_its_id(opened: Database, table: str, column: str, value: str) -> None:
    """[issue 8] The same of what stands where it cannot."""
    check_told(opened, table, column, value)


def check_told(opened: Database, table: str, column: str, value: str) -> None:
    """Change a row, and see what is told of it."""
    ids = kept(opened, 12)
    id_ = ids[5] if table == "calls" else ids[6]
    with opened.transaction() as connection:
        connection.execute(text(f"UPDATE {table} SET {column} = {value} WHERE id = '{id_}'"))
    lines = CallFinder(opened).lines(Wanted(limit=20))
    assert [line.id for line in lines] == ids[::-1]
    assert [line.id for line in lines if line.outcome == DAMAGED] == [id_]
    told = next(line for line in lines if line.id == id_)
    assert "`aisa ledger audit`" in str(told.message)
    assert cells(told, day=True)[3:] == ["\x1b[31mdamaged\x1b[0m", "", "", "", "", id_]
    store = UsageStore(opened)
    with pytest.raises(ApiError, match=f"The call {id_} is there, and damaged") as caught:
        _ = store.call(id_) if table == "calls" else store.refused(id_)
    assert caught.value.code == "internal_error"


def test_a_narrow_terminal_tells_the_day_of_a_call_and_an_id_that_can_be_asked_for() -> None:
    """Since midnight both were cut at their ends: `2026-12-01 00:1…`, and of ids what they all have in common."""
    row = ["2026-12-01 00:13:27", "ci", "gpt-4.1", "completed", "", "", "", "", "req_01M8QF5Z8R0000000000000002"]
    assert (narrowed(row, day=True)[0], narrowed(row, day=True)[-1]) == ("12-01 00:13", short_id(row[-1]))
    assert narrowed([row[0][11:], *row[1:]], day=False)[0] == "00:13:27"
