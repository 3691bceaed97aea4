"""The ledger as its administrator sees it: wallets that book each payment once, and what is asked of the rows."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from aisa.errors import ApiError
from aisa.ledger.learned_table import keep_answers
from aisa.ledger.port_admin import ADJUSTMENT, TOP_UP, Made
from aisa.ledger.port_usage import Span
from aisa.ledger.store import BALANCE_NANOS_MAX, NOTE_CHARS_MAX, LedgerStore
from aisa.ledger.writer import Writer, insert_rows
from aisa.providers.counting import MEASURES_MAX
from aisa.providers.measure import Answer
from aisa.storage.engine import Database
from aisa.storage.tables import accounts, calls, learned_answers
from aisa.usage import COUNTED, REPORTED, Usage
from postgres_rig import sqlite_only
from repeats import repeats
from rows import NOON, priced

NOW = 1_767_182_400
DAY_MS = 86_400_000
MIDNIGHT = NOON - DAY_MS // 2
DOLLAR = 10**9
T = TypeVar("T")


@pytest.fixture
def database(opened: Database) -> Database:
    """A database with the unlimited accounts `default` and `acme`."""
    with opened.transaction() as connection:
        connection.execute(insert(accounts).values(name="acme", balance=None, charged=0, spent=0, calls=0, created_at=1))
    return opened


@pytest.fixture
def store(database: Database) -> LedgerStore:
    """The store, at a fixed time."""
    return LedgerStore(database, lambda: NOW)


def balance(store: LedgerStore, account: str = "acme") -> int | None:
    """Return what is in a wallet."""
    return {known.name: known.balance for known in store.accounts()}[account]


def result(steps: Generator[None, None, T]) -> T:
    """Do all steps and return what they come to."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # a generator's result has no type at run time


def code(change: Callable[[], object]) -> str:
    """Return the code of the error that a change ends with."""
    with pytest.raises(ApiError) as caught:
        change()
    return caught.value.code


def test_a_top_up_makes_an_unlimited_account_prepaid(store: LedgerStore) -> None:
    """Its balance is then exactly what was put in, and each change is an entry that says when and why."""
    assert balance(store) is None
    first = store.top_up("acme", 5 * DOLLAR, note="card")
    assert (first.fresh, first.balance, first.entry.kind, first.entry.note) == (True, 5 * DOLLAR, TOP_UP, "card")
    second = store.adjust("acme", -DOLLAR - 1, note="refund")
    assert (second.balance, second.entry.kind, second.entry.amount) == (4 * DOLLAR - 1, ADJUSTMENT, -DOLLAR - 1)
    assert balance(store) == 4 * DOLLAR - 1
    assert store.entries("acme") == [second.entry, first.entry]
    assert {entry.created_at for entry in store.entries("acme")} == {NOW}
    assert store.entries("default") == []


def test_a_payment_is_booked_once(store: LedgerStore) -> None:
    """A reference that is used again returns the first entry and changes nothing; with another amount it is refused."""
    first = store.top_up("acme", DOLLAR, reference="invoice-17")
    again = store.top_up("acme", DOLLAR, note="tried again", reference="invoice-17")
    assert (again.fresh, again.entry, again.balance) == (False, first.entry, DOLLAR)
    assert code(lambda: store.top_up("acme", 2 * DOLLAR, reference="invoice-17")) == "invalid_request"
    assert balance(store) == DOLLAR
    assert len(store.entries("acme")) == 1
    assert store.top_up("default", DOLLAR, reference="invoice-17").fresh


def test_an_account_that_becomes_unlimited_leaves_nothing_behind(store: LedgerStore, database: Database) -> None:
    """What was left is written off, also what calls spent that were begun on it and ended later; a new top-up counts from zero."""
    store.top_up("acme", 5 * DOLLAR)
    late = priced(1, account="acme", prepaid=True)
    assert store.unlimit("acme").balance is None
    assert store.unlimit("acme").balance is None
    insert_rows(database, [late])
    assert balance(store) is None
    assert store.top_up("acme", DOLLAR).balance == DOLLAR
    assert balance(store) == DOLLAR
    assert [entry.amount for entry in store.entries("acme")] == [DOLLAR, late.cost, -5 * DOLLAR, 5 * DOLLAR]
    assert result(store.audit()).counts == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda store: store.top_up("nobody", 1), "resource_not_found"),
        (lambda store: store.adjust("nobody", 1, note="x"), "resource_not_found"),
        (lambda store: store.unlimit("nobody"), "resource_not_found"),
        (lambda store: store.entries("nobody"), "resource_not_found"),
        (lambda store: store.top_up("default", 0), "invalid_request"),
        (lambda store: store.top_up("default", -1), "invalid_request"),
        (lambda store: store.top_up("default", BALANCE_NANOS_MAX + 1), "invalid_request"),
        (lambda store: store.top_up("default", 1, reference=""), "invalid_request"),
        (lambda store: store.top_up("default", 1, reference="x" * 101), "invalid_request"),
        (lambda store: store.top_up("default", 1, note="x" * (NOTE_CHARS_MAX + 1)), "invalid_request"),
        (lambda store: store.top_up("default", 1, note="a\nb"), "invalid_request"),
        (lambda store: store.adjust("default", 1, note="it is unlimited"), "invalid_request"),
        (lambda store: store.adjust("full", 0, note="nothing"), "invalid_request"),
        (lambda store: store.adjust("full", 1, note="  "), "invalid_request"),
        (lambda store: store.adjust("full", 1, note="more than it holds"), "invalid_request"),
    ],
)
def test_what_breaks_a_rule_changes_nothing(
    store: LedgerStore, database: Database, change: Callable[[LedgerStore], object], expected: str
) -> None:
    """Each refusal leaves every wallet as it was."""
    with database.transaction() as connection:
        connection.execute(insert(accounts).values(name="full", balance=BALANCE_NANOS_MAX, charged=0, spent=0, calls=0, created_at=1))
    before = store.accounts()
    assert code(lambda: change(store)) == expected
    assert store.accounts() == before


@sqlite_only
def test_a_database_that_fails_is_told_as_an_error_of_the_api(store: LedgerStore, tmp_path: Path) -> None:
    """Nothing is booked, and the message says what to do."""
    other = sqlite3.connect(tmp_path / "aisa.db")
    other.execute("DROP TABLE wallet_entries")
    other.close()
    for change in (lambda: store.top_up("acme", 1), lambda: store.entries("acme"), lambda: result(store.audit())):
        assert code(change) == "internal_error"
    assert balance(store) is None


def test_what_a_key_spent_is_summed_between_two_moments(store: LedgerStore, database: Database) -> None:
    """The call that ended in the very first millisecond is in, that of the end, those left out and those of other keys are not."""
    rows = [priced(number, ended_ms=NOON + number) for number in range(5)]
    insert_rows(database, [*rows, priced(9, key_id="key_2", ended_ms=NOON + 9)])
    assert store.spent_in(Span(NOON + 2, NOON + 4, "key_1")) == rows[2].cost + rows[3].cost
    assert store.spent_in(Span(NOON + 5, NOON + 99, "key_1")) == store.spent_in(Span(0, 2 * NOON, "nobody")) == 0
    left_out = [rows[0].id, rows[3].id, *(f"req_{number}" for number in range(1_500)), rows[4].id]
    assert store.spent_in(Span(NOON + 1, NOON + 9, "key_1"), lambda: left_out) == rows[1].cost + rows[2].cost
    assert (store.newest_ms("key_1"), store.newest_ms("nobody")) == (NOON + 4, 0)


def test_recent_calls_with_an_idempotency_key_are_found_the_oldest_first(store: LedgerStore, database: Database) -> None:
    """Those that were answered or charged for: what cost nothing may be tried again."""
    nothing = Usage(source=COUNTED, input_source=COUNTED)
    rows = [
        priced(1, idempotency="a", ended_ms=NOON - 1),
        priced(2, idempotency="b", ended_ms=NOON + 5),
        priced(3, idempotency="c", ended_ms=NOON),
        priced(4, ended_ms=NOON + 1),
        priced(5, idempotency="d", ended_ms=NOON + 2, outcome="failed", usage=nothing),
        priced(6, idempotency="e", ended_ms=NOON + 3, outcome="cut"),
        priced(7, idempotency="f", ended_ms=NOON + 4, usage=nothing),
    ]
    insert_rows(database, rows)
    found = [(call.id, call.idempotency, call.ended_ms) for call in store.recent(NOON)]
    assert found == [(row.id, row.idempotency, row.ended_ms) for row in (rows[2], rows[5], rows[6], rows[1])]


def test_what_a_vendor_made_is_added_up_by_day_and_model(store: LedgerStore, database: Database) -> None:
    """In days of UTC, by the end of each call, of what was made and not of what was billed, of no other vendor, by the name answered."""
    cut = Usage(10, 5, source=COUNTED, input_source=COUNTED)
    made = Usage(10, 50, source=REPORTED, input_source=REPORTED)
    rows = [
        priced(1, ended_ms=MIDNIGHT, usage=Usage(1, 2), vendor_cost=7),
        priced(2, ended_ms=MIDNIGHT + DAY_MS - 1, outcome="cut", billed=cut, generated=made, vendor_cost=8),
        priced(3, ended_ms=MIDNIGHT + DAY_MS, usage=Usage(100, 200)),
        priced(4, ended_ms=MIDNIGHT + 3 * DAY_MS, usage=Usage(1, 1)),
        priced(5, ended_ms=MIDNIGHT, target="openai/gpt-5-mini", outcome="cut", billed=cut, generated=made),
        priced(6, ended_ms=MIDNIGHT, target="openai2/gpt-5", usage=Usage(9, 9)),
        priced(7, ended_ms=MIDNIGHT, target="open%i/gpt-5", usage=Usage(9, 9)),
        priced(8, ended_ms=MIDNIGHT - 1, usage=Usage(9, 9)),
        priced(9, ended_ms=MIDNIGHT, usage=Usage(3, 4), answered_model="gpt-5-2026-08-07"),
        priced(10, ended_ms=MIDNIGHT, outcome="cut", billed=cut, generated=made, answered_model="gpt-5-mini"),
    ]
    insert_rows(database, rows)
    assert result(store.made("openai", MIDNIGHT, MIDNIGHT + 3 * DAY_MS)) == [
        Made("2025-12-31", "gpt-5", 2, 11, 52, 15),
        Made("2025-12-31", "gpt-5-2026-08-07", 1, 3, 4, 0),
        Made("2025-12-31", "gpt-5-mini", 2, 20, 100, 0),
        Made("2026-01-01", "gpt-5", 1, 100, 200, 0),
    ]
    assert result(store.made("open%i", MIDNIGHT, MIDNIGHT + DAY_MS)) == [Made("2025-12-31", "gpt-5", 1, 9, 9, 0)]


@sqlite_only
def test_time_and_account_are_looked_up_in_an_index(database: Database) -> None:
    """What is asked about a day does not read every row that there ever was."""
    asked = {
        "SELECT sum(cost) FROM calls WHERE key_id = 'k' AND ended_ms >= 5": "ix_calls_key_id",
        "SELECT sum(cost) FROM calls WHERE account IN (SELECT name FROM accounts) AND ended_ms BETWEEN 1 AND 5": "ix_calls_account",
        "SELECT id FROM calls WHERE idempotency IS NOT NULL AND ended_ms >= 5 ORDER BY ended_ms, id": "ix_calls_idempotency",
    }
    with database.reading() as connection:
        for question, index in asked.items():
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {question}").all()
            assert any(index in str(step) for step in plan), plan


moves = st.lists(
    st.one_of(
        st.tuples(st.just("top_up"), st.integers(1, 10 * DOLLAR), st.sampled_from([None, "a", "b"])),
        st.tuples(st.just("adjust"), st.integers(-10 * DOLLAR, 10 * DOLLAR).filter(bool)),
        st.tuples(st.just("unlimit")),
        st.tuples(st.just("call"), st.integers(1, 10**6), st.booleans()),
    ),
    max_size=15,
)


@settings(max_examples=repeats(80), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves)
def test_no_order_of_events_leaves_books_that_do_not_add_up(store: LedgerStore, database: Database, events: list[tuple[Any, ...]]) -> None:
    """A plain sum kept beside them has the same balance, and the audit finds nothing."""
    with database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM wallet_entries")
        connection.execute(calls.delete())
        connection.execute(accounts.update().values(balance=None, charged=0, spent=0, calls=0))
    expected: int | None = None
    booked: dict[object, object] = {}
    for number, (event, *details) in enumerate(events):
        if event == "top_up":
            amount, reference = details
            if booked.get(reference, amount) != amount:
                with pytest.raises(ApiError, match="is used for"):
                    store.top_up("acme", amount, reference=reference)
                continue
            if reference is None or reference not in booked:
                expected = (expected or 0) + amount
            if reference is not None:
                booked[reference] = amount
            assert store.top_up("acme", amount, reference=reference).balance == expected
        elif event == "adjust" and expected is not None:
            expected += details[0]
            assert store.adjust("acme", details[0], note="x").balance == expected
        elif event == "unlimit":
            store.unlimit("acme")
            expected = None
        elif event == "call":
            row = priced(number, account="acme", usage=Usage(details[0], 1), prepaid=details[1])
            insert_rows(database, [row])
            expected = None if expected is None else expected - row.cost * row.prepaid
        assert balance(store) == expected
    assert result(store.audit()).counts == {}


def test_what_was_learned_of_a_target_is_there_after_a_restart(store: LedgerStore, database: Database) -> None:
    """The last word on each target, with how many answers it is from; a writer writes it beside the rows."""
    some, more = [Answer(25, 1, 100)] * 8, [Answer(26, 1, 101)] * 16

    async def scenario() -> None:
        writer = Writer(database, lambda fact: None)
        writer.keep_answers("a/m", some)
        writer.keep_answers("b/m", some)
        writer.keep_answers("a/m", more)
        assert await writer.stop(10) == 0

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
    assert store.known_answers() == {"a/m": more, "b/m": some}
    with database.reading() as connection:
        numbers = connection.execute(select(learned_answers.c.target, learned_answers.c.number)).all()
    assert sorted(map(tuple, numbers)) == [("a/m", 16), ("b/m", 8)]


def test_of_too_many_targets_the_oldest_are_forgotten(store: LedgerStore, database: Database) -> None:
    """Callers can make names up: a thousand targets are kept, those of which something was learned last."""
    with database.transaction() as connection:
        for number in range(MEASURES_MAX + 3):
            keep_answers(connection, f"a/{number}", [Answer(25, 1, 100)])
    store.forget_old_answers()
    known = store.known_answers()
    assert len(known) == MEASURES_MAX
    assert not {"a/0", "a/1", "a/2"} & set(known)
    with database.reading() as connection:
        assert len(connection.execute(select(learned_answers.c.target)).all()) == MEASURES_MAX
