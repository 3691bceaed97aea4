"""The audit of the ledger: it finds each kind of difference that somebody, or a bug of ours, can put there, and no other."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Generator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, update

from aisa.ledger.audit import DIFFERENCES_MAX, STEP_ROWS, exact_cost
from aisa.ledger.port_admin import AuditReport, Difference
from aisa.ledger.row import CallRow
from aisa.ledger.rules import CUT, FAILED, Delivered, billed
from aisa.ledger.store import LedgerStore
from aisa.ledger.writer import insert_rows
from aisa.pricing import Tier, cost_of, unit_prices
from aisa.storage.engine import Database
from aisa.storage.tables import accounts, calls
from aisa.usage import COUNTED, REPORTED, Usage
from postgres_rig import sqlite_only
from repeats import repeats
from rows import NOON, PRICES, priced, prices, usages

DAY_MS = 86_400_000
SMALL = Usage(10, 5, source=COUNTED, input_source=COUNTED)


@pytest.fixture
def database(opened: Database) -> Database:
    """A database with an unlimited account `default`."""
    return opened


@pytest.fixture
def store(database: Database, tmp_path: Path) -> LedgerStore:
    """LiveLedger that add up: calls of two accounts, one of which was topped up, with every outcome and without prices too."""
    with database.transaction() as connection:
        connection.execute(insert(accounts).values(name="acme", balance=None, charged=0, spent=0, calls=0, created_at=1))
    store = LedgerStore(database, lambda: 1)
    store.top_up("acme", 10**12)
    store.adjust("acme", -5, note="x")
    nothing = Usage(source=COUNTED, input_source=COUNTED)
    insert_rows(
        database,
        [
            priced(1),
            priced(2, account="acme", prepaid=True),
            priced(3, account="acme", prepaid=True, outcome=CUT, usage=SMALL, delivered=5),
            priced(4, outcome=FAILED, usage=nothing),
            priced(5, prices=None, usage=Usage(7, 8)),
            priced(6, idempotency="a:1", ended_ms=NOON + 1000),
            priced(7, idempotency="a:1", began_ms=NOON + 1000 + DAY_MS, ended_ms=NOON + 2000 + DAY_MS),
            priced(8, idempotency="b:1", outcome=FAILED, usage=nothing),
            priced(9, idempotency="b:1"),
        ],
    )
    return store


def finished(steps: Generator[None, None, AuditReport]) -> tuple[AuditReport, int]:
    """Do what is left of an audit; return what it found and how many steps that took."""
    for count in itertools.count(1):
        try:
            next(steps)
        except StopIteration as end:
            return end.value, count
    raise AssertionError("counting does not end")


def audited(store: LedgerStore) -> AuditReport:
    """Audit to the end."""
    return finished(store.audit())[0]


def changed(folder: Path, statement: str) -> None:
    """Change the database behind the ledger's back."""
    other = sqlite3.connect(folder / "aisa.db")
    other.executescript(statement)
    other.close()


def test_books_that_add_up_are_found_to(store: LedgerStore) -> None:
    """No difference, and what was looked at is counted."""
    report = audited(store)
    assert (report.calls, report.accounts, report.entries, report.on_board) == (9, 2, 2, 0)
    assert report.counts == {}
    assert report.differences == []


ID = {number: f"req_{number:026d}" for number in range(10)}


@sqlite_only
@pytest.mark.parametrize(
    ("statement", "kinds", "where"),
    [
        (f"DELETE FROM calls WHERE id = '{ID[1]}'", {"missing", "sum"}, "default"),
        (f"DELETE FROM calls WHERE id = '{ID[4]}'", {"missing"}, "default"),
        (f"DELETE FROM calls WHERE id = '{ID[3]}'", {"missing", "sum", "balance"}, "acme"),
        (f"UPDATE calls SET id = '{ID[4]}', idempotency = NULL WHERE id = '{ID[9]}'", {"doubled"}, ID[4]),
        (f"UPDATE calls SET began_ms = {NOON + 999 + DAY_MS} WHERE id = '{ID[7]}'", {"doubled"}, ID[7]),
        (f"INSERT INTO calls SELECT * FROM calls WHERE id = '{ID[4]}'", {"doubled"}, "default"),
        (f"UPDATE calls SET cost = cost + 1 WHERE id = '{ID[1]}'", {"cost", "sum"}, ID[1]),
        (f"UPDATE calls SET cost = cost + 1 WHERE id = '{ID[3]}'", {"cost", "sum", "balance"}, ID[3]),
        (f"UPDATE calls SET cost = 1 WHERE id = '{ID[5]}'", {"cost", "sum"}, ID[5]),
        (f"UPDATE calls SET billed_output_tokens = 4 WHERE id = '{ID[3]}'", {"cost"}, ID[3]),
        (f"UPDATE calls SET prices = replace(prices, '125', '126') WHERE id = '{ID[1]}'", {"cost"}, ID[1]),
        (f"UPDATE calls SET prepaid = 0 WHERE id = '{ID[3]}'", {"sum", "balance"}, "acme"),
        (f"UPDATE calls SET account = 'acme' WHERE id = '{ID[4]}'", {"missing", "doubled"}, "acme"),
        (f"UPDATE calls SET account = 'who' WHERE id = '{ID[4]}'", {"missing", "account"}, "who"),
        ("UPDATE accounts SET balance = balance + 1 WHERE name = 'acme'", {"balance"}, "acme"),
        ("UPDATE accounts SET spent = spent + 1 WHERE name = 'default'", {"sum"}, "default"),
        ("UPDATE accounts SET charged = charged + 1 WHERE name = 'acme'", {"sum"}, "acme"),
        ("UPDATE wallet_entries SET amount = amount + 1 WHERE id = 2", {"balance"}, "acme"),
        ("DELETE FROM wallet_entries WHERE id = 2", {"balance"}, "acme"),
        (f"UPDATE calls SET ended_ms = began_ms - 1 WHERE id = '{ID[1]}'", {"time"}, ID[1]),
        (f"UPDATE calls SET bytes_sent = -1 WHERE id = '{ID[1]}'", {"negative"}, ID[1]),
        (f"UPDATE calls SET billed_reasoning_tokens = -1, prices = NULL, cost = 0 WHERE id = '{ID[5]}'", {"negative"}, ID[5]),
        (f"UPDATE calls SET delivered = delivered + 1 WHERE id = '{ID[1]}'", {"delivered"}, ID[1]),
        (f"UPDATE calls SET delivered = 4 WHERE id = '{ID[3]}'", {"billed"}, ID[3]),
        (f"UPDATE calls SET delivered = 0 WHERE id = '{ID[3]}'", {"billed"}, ID[3]),
        (f"UPDATE calls SET outcome = 'failed' WHERE id = '{ID[5]}'", {"billed"}, ID[5]),
        (f"UPDATE calls SET prices = '{{' WHERE id = '{ID[4]}'", {"unreadable", "missing"}, ID[4]),
        (f"UPDATE calls SET billed_source = x'00' WHERE id = '{ID[4]}'", {"unreadable", "missing"}, ID[4]),
    ],
)
def test_each_planted_difference_is_found(store: LedgerStore, tmp_path: Path, statement: str, kinds: set[str], where: str) -> None:
    """By its kind and its place, and with the ledger otherwise as it was no other kind is told."""
    # A database that was copied by hand may have lost its constraints.
    loosened = "CREATE TABLE loose AS SELECT * FROM calls; DROP TABLE calls; ALTER TABLE loose RENAME TO calls;"
    changed(tmp_path, loosened + statement)
    report = audited(store)
    assert set(report.counts) == kinds
    assert where in {difference.where for difference in report.differences}


def test_more_billed_than_the_vendor_made_is_found(store: LedgerStore, database: Database) -> None:
    """What the vendor reported is the most that a call can be billed for, however it ended."""
    made = Usage(10, 5, source=REPORTED, input_source=REPORTED)
    insert_rows(database, [priced(20, outcome=CUT, generated=made, usage=Usage(10, 6), delivered=6)])
    assert audited(store).counts == {"billed": 1}


def test_a_vendors_own_measure_is_no_difference(store: LedgerStore, database: Database) -> None:
    """Where a vendor puts several tokens into a delta, more tokens are billed than deltas were delivered."""
    made = Usage(10, 100, source=REPORTED, input_source=REPORTED)
    charged = billed(CUT, made, Delivered(tokens=5, counted=10))
    insert_rows(database, [priced(20, outcome=CUT, generated=made, usage=charged, delivered=5)])
    assert charged.output_tokens == 50
    assert audited(store).counts == {}


def test_calls_on_the_board_are_not_missing(database: Database, store: LedgerStore) -> None:
    """A call in flight, or one whose row is about to be written, is told apart from the rows, and is no difference."""
    asked = LedgerStore(database, lambda: 1, lambda: [ID[1], "req_running", "req_closed"])
    report = audited(asked)
    assert (report.on_board, report.counts) == (2, {})


def test_the_first_differences_are_told_and_all_are_counted(store: LedgerStore, database: Database) -> None:
    """A thousand wrong rows do not fill the screen, and take several steps, between which others have their turn."""
    number = 2 * STEP_ROWS + 1
    for start in range(100, 100 + number, 500):
        insert_rows(database, [priced(each) for each in range(start, min(start + 500, 100 + number))])
    with database.transaction() as connection:
        connection.execute(update(calls).where(calls.c.id > ID[9]).values(ended_ms=0))
    report, turns = finished(store.audit())
    assert report.counts == {"time": number}
    assert len(report.differences) == DIFFERENCES_MAX
    assert turns >= 3


def test_an_audit_sees_one_state_of_the_books(store: LedgerStore, database: Database) -> None:
    """Calls that are written while it reads are in none of its sums."""
    steps = store.audit()
    next(steps)
    insert_rows(database, [priced(number, account="acme", prepaid=True) for number in range(50, 80)])
    report, _ = finished(steps)
    assert (report.calls, report.counts) == (9, {})
    assert audited(store).calls == 39


@settings(max_examples=repeats(300), deadline=None)
@given(usages, prices)
def test_the_slow_computation_agrees_with_the_servers(usage: Usage, charged_at: object) -> None:
    """Two ways to the same cost: whole numbers with one division, and fractions part by part."""
    assert isinstance(charged_at, type(PRICES))
    assert exact_cost(usage, charged_at) == cost_of(usage, charged_at)


def test_the_slow_computation_charges_by_hand() -> None:
    """A bill that was computed on paper: a tier that is reached by one token, and every kind of token."""
    rates = {"input": 1_000_000, "output": 2_000_000, "cached_input": 3_000_000, "cache_write": 4_000_000}
    upper = unit_prices({**rates, "reasoning": 5_000_000, "input_audio": 6_000_000, "output_audio": 7_000_000})
    lower = unit_prices({"input": 9_000_000}, (Tier(99, upper),))
    usage = Usage(100, 50, 10, 20, 5, input_audio_tokens=30, output_audio_tokens=15)
    assert exact_cost(usage, lower) == 40 * 1 + 10 * 3 + 20 * 4 + 30 * 6 + 30 * 2 + 5 * 5 + 15 * 7
    assert exact_cost(msgspec.structs.replace(usage, input_tokens=99), lower) == (99 - 10 - 20 - 30) * 9 + (10 + 20 + 30) * 9
    assert exact_cost(Usage(1), unit_prices({"input": 499_999})) == 0
    assert exact_cost(Usage(1), unit_prices({"input": 500_000})) == 1


@settings(max_examples=repeats(50), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.booleans()), max_size=30))
def test_any_number_of_honest_calls_adds_up(store: LedgerStore, database: Database, made: list[tuple[int, int, bool]]) -> None:
    """Whatever was delivered of whatever was made, what the rules bill passes the audit."""
    found: list[CallRow] = []
    for number, (generated, delivered, prepaid) in enumerate(made, 1000):
        arrived = Delivered(min(delivered, generated), generated)
        usage = Usage(10, generated, source=COUNTED, input_source=COUNTED)
        charged = billed(CUT, usage, arrived)
        found.append(priced(number, account="acme", outcome=CUT, generated=usage, usage=charged, delivered=arrived.tokens, prepaid=prepaid))
    insert_rows(database, found)
    assert audited(store).counts == {}


@sqlite_only
def test_a_difference_says_what_differs(store: LedgerStore, tmp_path: Path) -> None:
    """In words that have both amounts, so that it can be mended."""
    changed(tmp_path, "UPDATE accounts SET balance = 7 WHERE name = 'acme'")
    charged = next(account.charged for account in store.accounts() if account.name == "acme")
    what = f"The balance is 7 nano-dollars; {10**12 - 5} were put in and {charged} spent."
    assert audited(store).differences == [Difference("balance", "acme", what)]
