"""Lists of calls, ended and refused ones together: page by page each is seen once, and each is found by the beginning of its id."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from sqlalchemy import insert

from aisa.ids import CallIds
from aisa.ledger.find import CallFinder
from aisa.ledger.port_calls import Wanted
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.writer import insert_rows
from aisa.storage.engine import Database
from aisa.storage.migrate import migrate
from aisa.storage.postgres import open_postgres
from aisa.storage.tables import accounts, refused_calls
from postgres_rig import Postgres, needs_postgres
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


def test_nothing_begins_with_what_no_id_has(opened: Database) -> None:
    """Nor does a whole id that is not there, or a text that is longer than one."""
    kept(opened, 3)
    finder = CallFinder(opened)
    assert [finder.beginning(text) for text in ("req_zzzz", f"req_{'0' * 26}", f"req_{'Z' * 40}", "~")] == [[]] * 4
