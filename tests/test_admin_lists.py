"""Lists of administrators where there are thousands of keys: what each entry says, and that a few questions to the database do for all."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import msgspec
import pytest
from sqlalchemy import Engine, event, insert

from aisa.console.usage_pages import DRAWN_MAX, OTHERS, plots
from aisa.console.visit import Visit
from aisa.edge.admin import Admin, Records
from aisa.edge.admin_keys import STEP_KEYS
from aisa.edge.admin_usage import usage_routes
from aisa.edge.key_usings import KeyUsings
from aisa.edge.statement import Statement
from aisa.keys.store import KeyStore
from aisa.ledger.find import CallFinder
from aisa.ledger.port_usage import DAY_MS
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.refused_table import insert_refused
from aisa.ledger.row import CallRow
from aisa.ledger.sums import roll_up
from aisa.ledger.usage import UsageStore
from aisa.ledger.writer import insert_rows
from aisa.storage.engine import Database
from aisa.storage.tables import accounts as account_table
from aisa.storage.tables import keys as key_table
from rows import priced

MIDNIGHT_MS = 1_796_601_600_000  # 2026-12-07T00:00:00Z, a Monday
NOW = MIDNIGHT_MS / 1000 + 43_200
CAPS = ((None, None), (10**12, "day"), (10**12, "week"), (10**12, "month"))
Shape = TypeVar("Shape")


class Office:
    """What answers administrators, on a database with so many keys, of which some have called."""

    def __init__(self, database: Database, count: int, calls: int = 300) -> None:
        self.database = database
        chance = random.Random(count)
        with database.transaction() as connection:
            connection.execute(insert(key_table), [self.key(number) for number in range(count)])
        self.rows = [self.call(number, chance, count) for number in range(calls)]
        insert_rows(database, self.rows)
        with database.transaction() as connection:
            refused = [self.refusal(number, chance, count) for number in range(20)]
            insert_refused(connection, refused)
        while self._rolled():
            pass
        store = KeyStore(database, lambda: NOW, random.Random(1))
        statement = Statement(None, UsageStore(database))
        usings = KeyUsings(statement, CallFinder(database), lambda: NOW)
        more = usage_routes(statement, store, lambda: NOW)
        self.admin = Admin(store, lambda: NOW, records=Records(usings), more=more)

    def _rolled(self) -> bool:
        with self.database.transaction() as connection:
            return roll_up(connection, MIDNIGHT_MS)

    @staticmethod
    def key(number: int) -> dict[str, object]:
        """Return a key, of each kind of cap one in turn."""
        cap, window = CAPS[number % len(CAPS)]
        known = {"id": f"key_{number:05}", "label": f"label {number:05}", "digest": number.to_bytes(32, "big"), "hint": "abcd"}
        return {**known, "state": "active", "created_at": number, "account": "default", "spend_cap": cap, "spend_window": window}

    @staticmethod
    def call(number: int, chance: random.Random, keys: int) -> CallRow:
        """Return a call of some key within the last five weeks."""
        ended_ms = int(NOW * 1000) - chance.randrange(35 * DAY_MS) - 1000
        key = f"key_{chance.randrange(keys):05}"
        return priced(number, key_id=key, began_ms=ended_ms - 9, ended_ms=ended_ms, address=f"192.0.2.{number % 200}")

    @staticmethod
    def refusal(number: int, chance: random.Random, keys: int) -> RefusedCalls:
        """Return a refused call of some key, lately."""
        at_ms = int(NOW * 1000) - chance.randrange(DAY_MS)
        key = f"key_{chance.randrange(keys):05}"
        return RefusedCalls(
            f"req_9{number:025d}", "default", key, "m", 429, "rate_limit_exceeded", "x", at_ms, at_ms, 1, None, "198.51.100.1"
        )

    def ask(self, path: str) -> Any:
        """Ask for something."""
        status, answer = self.admin.answer("GET", path, b"")
        assert status == 200, answer
        return json.loads(answer)


@contextmanager
def counted() -> Iterator[list[str]]:
    """Return the questions that databases are asked meanwhile."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_each_key_of_a_list_stands_as_it_does_alone(opened: Database) -> None:
    """[issue 13] Of a list with `standing` only the newest thousand stood, so with more keys nothing of its first pages."""
    office = Office(opened, 120)
    listed = office.ask("/keys?standing=1")["data"]
    paged, after = list[Any](), ""
    while True:
        page = office.ask(f"/keys?standing=1&limit=50{after}")
        paged += page["data"]
        if not page["has_more"]:
            break
        after = f"&after={page['data'][-1]['id']}"
    assert paged == listed
    assert len(listed) == 120
    for key in listed:
        alone = office.ask(f"/keys/{key['id']}")
        del alone["free_models"]
        assert alone == key
        ours = [row for row in office.rows if row.key_id == key["id"]]
        assert key["spent"] == sum(row.cost for row in ours if row.ended_ms >= key["spent_since"] * 1000)
        assert key["last_used_ms"] is None or key["last_used_ms"] >= max((row.ended_ms for row in ours), default=0)
    assert any(key["last_address"] == "198.51.100.1" for key in listed), "a refusal is a use"
    assert any((key["last_address"] or "").startswith("192.0.2.") for key in listed)


def test_a_list_of_many_keys_asks_no_question_for_each(opened: Database) -> None:
    """[issue 13] `GET /keys?standing=1` took some five questions a key, 2.6 s at 3,000; `GET /usage?by=key` one for each cap."""
    office = Office(opened, 2 * STEP_KEYS)
    span = f"start_ms={MIDNIGHT_MS - 30 * DAY_MS}&end_ms={MIDNIGHT_MS + DAY_MS}"
    for path, most in (
        ("/keys?standing=1", 60),
        ("/keys?standing=1&limit=20", 30),
        ("/keys", 3),
        (f"/usage?by=key&{span}", 60),
        (f"/usage/series?by=day&{span}", 25),
    ):
        with counted() as asked:
            office.ask(path)
        assert len(asked) <= most, (path, len(asked))


def test_sums_by_day_are_those_of_the_days(opened: Database) -> None:
    """Whatever a span begins and ends with: the days of a step are told apart as if each were asked for."""
    office = Office(opened, 10)
    chance = random.Random(5)
    for _ in range(30):
        start = MIDNIGHT_MS - chance.randrange(40 * DAY_MS)
        end = start + 1 + chance.randrange(20 * DAY_MS)
        shown = office.ask(f"/usage/series?by=day&start_ms={start}&end_ms={end}")
        inside = [row for row in office.rows if start <= row.ended_ms < end]
        assert len(shown["days"]) == (end - 1) // DAY_MS - start // DAY_MS + 1
        assert sum(each["requests"] for days in shown["groups"].values() for each in days) == len(inside)
        by_key = office.ask(f"/usage?by=key&start_ms={start}&end_ms={end}")["groups"]
        assert sum(each["requests"] for each in by_key.values()) == len(inside)
        for day, days in shown["groups"].items():
            assert [bool(each["requests"]) for each in days] == [each == day for each in shown["days"]]


def test_a_series_has_no_more_sums_than_an_answer_may(opened: Database) -> None:
    """[fault S6] That of three thousand keys over a hundred days was 60 MB; it is refused as soon as that is known, with a remedy."""
    office = Office(opened, 300, calls=2_000)
    end = MIDNIGHT_MS + DAY_MS
    shown = office.ask(f"/usage/series?by=key&start_ms={end - 30 * DAY_MS}&end_ms={end}")
    assert (len(shown["groups"]) > 280, len(shown["days"])) == (True, 30)
    status, body = office.admin.answer("GET", f"/usage/series?by=key&start_ms={end - 400 * DAY_MS}&end_ms={end}", b"")
    told = json.loads(body)["error"]
    assert (status, told["code"]) == (400, "invalid_request")
    assert "groups or more on each of 400 days are more than 100,000 sums" in told["message"]
    assert "Ask for fewer days, for one key or account, or /usage" in told["message"]


def test_sums_of_a_key_and_an_account_are_those_of_both(opened: Database) -> None:
    """[issue 13] The account was passed over where a key was named too; a person's tokens may name one after the other."""
    office = Office(opened, 3, calls=0)
    with opened.transaction() as connection:
        connection.execute(insert(account_table).values(name="acme", balance=None, charged=0, spent=0, calls=0, created_at=1))
    ended = MIDNIGHT_MS + 1_000
    accounts = ("default", "acme", "acme", "default")
    insert_rows(opened, [priced(n, key_id=f"key_0000{n // 2}", account=a, began_ms=ended, ended_ms=ended) for n, a in enumerate(accounts)])
    for by in ("day", "model", "key"):
        path = f"/usage?by={by}&start_ms={MIDNIGHT_MS}&end_ms={MIDNIGHT_MS + DAY_MS}"
        for asked, number in (("", 4), ("&key=key_00000", 2), ("&account=acme", 2), ("&key=key_00000&account=acme", 1)):
            assert sum(each["requests"] for each in office.ask(path + asked)["groups"].values()) == number, (by, asked)


class Looker:
    """A visitor of the console who asks this office."""

    def __init__(self, office: Office, **query: str) -> None:
        self.office = office
        self.query = query
        self.with_ = self
        self.shown: dict[str, Any] = {}

    def now(self) -> float:
        """Return the time."""
        return NOW

    async def typed(self, path: str, shape: type[Shape]) -> Shape:
        """Ask."""
        return msgspec.convert(self.office.ask(path), shape)

    def page(self, _template: str, **values: Any) -> None:
        """Take what would be shown."""
        self.shown = values


@pytest.mark.parametrize("by", ["key", "account", "model", "vendor", "day"])
def test_plots_show_the_largest_groups_and_all_others_as_one(opened: Database, by: str) -> None:
    """[issue 13] All days of all groups were added up in the event loop: thousands of keys held up all streams for a second."""
    office = Office(opened, 30)
    looker = Looker(office, by=by, days="30")
    run(plots(cast("Visit", looker)))
    spend = looker.shown["plots"][0]
    start = MIDNIGHT_MS - 29 * DAY_MS
    inside = [row for row in office.rows if row.ended_ms >= start]
    lines = {name: sum(value or 0 for value in values) for name, values in zip(spend.names, spend.values, strict=True)}
    assert sum(lines.values()) == pytest.approx(sum(row.cost for row in inside) / 10**9)
    assert looker.shown["total"].requests == len(inside)
    assert {len(values) for values in spend.values} == {30}
    if by == "key":
        assert len(spend.names) == DRAWN_MAX + 1
        assert spend.names[-1] == OTHERS
        labels = {f"label {number:05}": f"key_{number:05}" for number in range(30)}
        for name in spend.names[:-1]:
            assert lines[name] == pytest.approx(sum(row.cost for row in inside if row.key_id == labels[name]) / 10**9)
        most = max(sum(row.cost for row in inside if row.key_id == key) for key in labels.values())
        assert lines[spend.names[0]] == pytest.approx(most / 10**9)


@pytest.mark.parametrize("keys", [2, 30])
def test_calls_of_a_key_that_was_never_kept_are_among_the_others(opened: Database, keys: int) -> None:
    """[issue 13] One of somebody with a token, when there were as many keys as may be: the page was a 404 with all other keys."""
    office = Office(opened, keys, calls=40)
    insert_rows(opened, [priced(99, key_id="key_nobodys", began_ms=MIDNIGHT_MS, ended_ms=MIDNIGHT_MS + 1, cost=10**12)])
    looker = Looker(office, by="key", days="90")
    run(plots(cast("Visit", looker)))
    spend = looker.shown["plots"][0]
    assert looker.shown["rows"][0][1] == "key_nobodys"
    assert spend.names[-1] == OTHERS
    assert len(spend.names) == min(keys, DRAWN_MAX) + 1
    assert sum(value or 0 for value in spend.values[-1]) >= 1_000
    total = sum(value or 0 for values in spend.values for value in values)
    assert total == pytest.approx(looker.shown["total"].cost / 10**9)


def run(answer: Any) -> None:
    """Run what waits for nothing."""
    with pytest.raises(StopIteration):
        answer.send(None)
