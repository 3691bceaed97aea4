"""A wallet's statement: every entry and every call that it paid for, page by page, which add up to what is in it to a billionth."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from aisa.clock import wall_clock
from aisa.errors import ApiError
from aisa.ids import CallIds, first_id
from aisa.ledger.port_admin import CALL, DAY_OF_CALLS, WALLET_LINES_MAX, WalletLine, WalletSpan
from aisa.ledger.port_usage import DAY_MS
from aisa.ledger.row import CallRow
from aisa.ledger.store import LedgerStore
from aisa.ledger.writer import insert_rows
from aisa.storage.engine import Database
from aisa.storage.tables import accounts, calls, wallet_entries
from repeats import repeats
from rows import NOON, priced
from test_cli_wallet import Run, refused, run, said, write
from test_ledger_store import database, store
from test_retention import emptied, swept

__all__ = ["database", "run", "store"]

#: What happens to a wallet: an entry of so many nano-dollars, or a call that costs as much; each so many milliseconds after the one before.
HAPPENINGS = st.lists(st.tuples(st.sampled_from(["call", "credit", "adjust", "free"]), st.integers(1, 10**12), st.integers(0, 1_500)))


def paid(number: int, **fields: str) -> CallRow:
    """Return a call that the wallet paid for, a moment after now."""
    now_ms = int(wall_clock() * 1000) + 1_000
    return priced(number, account="acme", prepaid=True, began_ms=now_ms, ended_ms=now_ms + number, **fields)


def every_page(store: LedgerStore, limit: int, **span: int) -> list[WalletLine]:
    """Return all lines of a statement, and hold its pages to fit each other."""
    lines: list[WalletLine] = []
    after, expected = None, None
    while True:
        page = store.statement("acme", WalletSpan(limit=limit, after=after, **span))
        assert expected in (None, page.closing)
        assert page.closing == page.opening + sum(line.amount for line in page.data)
        assert len(page.data) <= limit
        lines += page.data
        expected = page.opening
        if not page.has_more:
            return lines
        after = page.data[-1].id


@settings(max_examples=repeats(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happenings=HAPPENINGS, limit=st.integers(1, 5))
def test_the_lines_of_any_wallet_add_up_to_what_is_in_it(
    database: Database, store: LedgerStore, happenings: list[tuple[str, int, int]], limit: int
) -> None:
    """Whatever the size of a page: fault P12. Each line says what was left; what happened in one second or millisecond has an order."""
    with database.transaction() as connection:
        for table in (calls, wallet_entries):
            connection.execute(delete(table))
        connection.execute(accounts.update().values(balance=None, charged=0, spent=0, calls=0))
    booked = 0
    now_ms = NOON
    timed = LedgerStore(database, lambda: now_ms / 1000)
    timed.top_up("acme", 10**15)
    for number, (kind, amount, pause) in enumerate(happenings):
        now_ms += pause
        if kind == "adjust":
            timed.adjust("acme", -amount, note="out")
        elif kind == "credit":
            timed.top_up("acme", amount)
        else:
            row = priced(number, account="acme", prepaid=kind == "call", ended_ms=now_ms, cost=amount)
            insert_rows(database, [row])
        booked += kind != "free"
    lines = every_page(store, limit)
    assert len(lines) == len({line.id for line in lines}) == booked + 1
    balance = next(account.balance for account in store.accounts() if account.name == "acme")
    assert lines[0].left == balance == sum(line.amount for line in lines)
    assert all(newer.left - newer.amount == older.left for newer, older in pairwise(lines))
    assert lines[-1].left == lines[-1].amount
    assert [line.at_ms for line in lines] == sorted((line.at_ms for line in lines), reverse=True)
    half = NOON + (now_ms - NOON) // 2
    parts = every_page(store, limit, since_ms=half), every_page(store, limit, until_ms=half)
    assert [*parts[0], *parts[1]] == lines


def test_pages_fit_each_other_while_calls_are_written(database: Database, store: LedgerStore) -> None:
    """A call that is written between two looks, newer or older than the first page, is on its own page alone and breaks no sum."""
    store.top_up("acme", 10**12)
    insert_rows(database, [priced(number, account="acme", prepaid=True, ended_ms=NOON * 2 + number) for number in range(6)])
    first = store.statement("acme", WalletSpan(limit=3))
    insert_rows(database, [priced(number, account="acme", prepaid=True, ended_ms=NOON * 2 + number % 10) for number in (10, 19)])
    rest = store.statement("acme", WalletSpan(limit=100, after=first.data[-1].id))
    again = every_page(store, 2)
    assert rest.closing == rest.opening + sum(line.amount for line in rest.data)
    assert rest.opening == 0
    assert again[0].left == store.statement("acme", WalletSpan()).account.balance
    assert {line.id for line in again} - {line.id for line in (*first.data, *rest.data)} == {priced(19).id}


def test_what_was_taken_out_of_the_database_is_before_the_first_line(database: Database, store: LedgerStore) -> None:
    """And not lost: the statement begins with what there was."""
    store.top_up("acme", 10**12)
    rows = [priced(number, account="acme", prepaid=True, ended_ms=NOON * 2 + number) for number in range(3)]
    insert_rows(database, rows)
    with database.transaction() as connection:
        connection.execute(delete(calls).where(calls.c.id == rows[0].id))
    page = store.statement("acme", WalletSpan())
    assert page.opening == -rows[0].cost
    assert page.closing == page.account.balance


@pytest.mark.parametrize("after", ["req_0", "entry_1", "entry_99", "entry_", "entry_-1", "entry_" + "9" * 30, "", "x"])
def test_a_statement_goes_on_behind_its_own_lines_only(database: Database, store: LedgerStore, after: str) -> None:
    """Neither behind another account's entry, nor behind what is none."""
    with database.transaction() as connection:
        connection.execute(insert(accounts).values(name="other", balance=None, charged=0, spent=0, calls=0, created_at=1))
    assert store.top_up("other", 5).entry.id == 1
    with pytest.raises(ApiError) as caught:
        store.statement("acme", WalletSpan(after=after))
    assert (caught.value.code, caught.value.param) == ("invalid_request", "after")


def test_a_statement_is_read_at_the_terminal(run: Run) -> None:
    """A line each, no wider than it, with what was left, and how to go on; the lines of the pages behind it are the others."""
    said(run("wallet", "top-up", "acme", "5", "--reference", "invoice-17"))
    key = json.loads(said(run("keys", "list", "--json")))[0]["id"]
    write(*[paid(number, key_id=key) for number in range(3)])
    shown = said(run("wallet", "statement", "acme", "--limit", "2"))
    assert "before these lines" in shown
    assert max(map(len, shown.splitlines())) <= 100
    before = re.findall(r"--before (\S+)", shown)[0]
    older = said(run("wallet", "statement", "acme", "--before", before))
    assert older.count("gpt-5 a") + shown.count("gpt-5 a") == 3
    assert "top-up invoice-17" in older
    assert "at first" in older
    whole = said(run("wallet", "statement", "acme"))
    assert "It holds $4.999031375" in whole
    assert "which is all of these lines" in whole
    assert "Nothing was booked" in said(run("wallet", "statement", "default"))


def test_an_id_of_a_statement_is_that_of_one_call(run: Run) -> None:
    """Two calls of a millisecond have ids that differ at their ends; `aisa explain` takes what is shown, and other ways to write it."""
    said(run("wallet", "top-up", "acme", "5"))
    moment = wall_clock()
    new_id = CallIds(lambda: moment, random.Random(3))
    write(*[paid(number, id=new_id()) for number in range(2)])
    shown = re.findall(r"01\w+…\w+", said(run("wallet", "statement", "acme")))
    assert len(set(shown)) == 2
    for each in (*shown, shown[0].replace("…", "..."), "req_" + shown[1].replace("…", "~").lower()):
        whole = said(run("explain", each))
        assert each[-4:].upper() in re.findall(r"req_\w+", whole)[0]
    assert "Several calls" in refused(run("explain", shown[0][:13]), 1)
    assert "There is no call" in refused(run("explain", f"{shown[0][:13]}…0"), 1)


def test_a_whole_statement_is_a_file_of_csv_that_adds_up(run: Run) -> None:
    """Of more lines than a page has; amounts are exact, and the first line has what is in the wallet."""
    said(run("wallet", "top-up", "acme", "5", "--note", "=SUM(A1)"))
    write(*map(paid, range(WALLET_LINES_MAX + 5)))
    lines = list(csv.DictReader(io.StringIO(said(run("wallet", "statement", "acme", "--csv")))))
    assert len(lines) == WALLET_LINES_MAX + 6
    assert [line["note"] for line in lines if line["kind"] == "top_up"] == ["'=SUM(A1)"]
    document = json.loads(said(run("wallet", "statement", "acme", "--json", "--limit", "1")))
    nanos = sum(round(float(line["amount_usd"]) * 10**9) for line in lines)
    assert nanos == document["account"]["balance_nanos_usd"] == document["closing_nanos_usd"]
    assert document["has_more"]
    assert document["data"][0]["left_usd"] == float(lines[0]["left_usd"])


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("nobody",), 1, "no account 'nobody'"),
        (("acme", "--before", "entry_7"), 1, "'entry_7' is none"),
        (("acme", "--limit", "0"), 2, "--limit"),
        (("acme", "--since", "soon"), 2, "no duration and no date"),
        ((), 2, "ACCOUNT"),
    ],
)
def test_a_statement_that_cannot_be_made_says_why(run: Run, arguments: tuple[str, ...], status: int, words: str) -> None:
    """With what would be right."""
    assert words in refused(run("wallet", "statement", *arguments), status)


def test_a_wallet_that_does_not_add_up_is_told(run: Run) -> None:
    """It is no statement then: the audit says where."""
    import sqlite3

    said(run("wallet", "top-up", "acme", "5"))
    connection = sqlite3.connect("aisa-data/aisa.db")
    connection.execute("UPDATE accounts SET balance = balance + 1 WHERE name = 'acme'")
    connection.commit()
    connection.close()
    result = run("wallet", "statement", "acme")
    assert result.exit_code == 1
    assert "come to $5.00, and it holds $5.000000001" in " ".join(result.stderr.split())


@settings(max_examples=repeats(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happenings=HAPPENINGS, limit=st.integers(1, 5), days=st.integers(0, 12))
def test_a_statement_adds_up_where_calls_are_removed(
    database: Database, store: LedgerStore, happenings: list[tuple[str, int, int]], limit: int, days: int
) -> None:
    """Before and after the removal the same is left at the end of each day; the calls of a removed day are one line, at its end."""
    emptied(database)
    with database.transaction() as connection:
        connection.execute(delete(wallet_entries))
        connection.execute(accounts.update().values(balance=None))
    now_ms = NOON
    timed = LedgerStore(database, lambda: now_ms / 1000)
    timed.top_up("acme", 10**15)
    for number, (kind, amount, pause) in enumerate(happenings):
        now_ms += pause * 100_000  # two days at most
        if kind in ("adjust", "credit"):
            timed.adjust("acme", -amount if kind == "adjust" else amount, note="x")
        else:
            began = {"began_ms": now_ms - 5, "ended_ms": now_ms, "id": f"{first_id(now_ms - 5)}{number:016d}"}
            insert_rows(database, [priced(number, account="acme", prepaid=kind == "call", cost=amount, **began)])
    before = every_page(store, 100)
    swept(database, NOON + days * DAY_MS)
    lines = every_page(store, limit)
    midnight = (NOON + days * DAY_MS) // DAY_MS * DAY_MS
    assert [line for line in lines if line.at_ms >= midnight] == [line for line in before if line.at_ms >= midnight]
    assert all(newer.left - newer.amount == older.left for newer, older in pairwise(lines))
    for day_ms in range(NOON // DAY_MS * DAY_MS, midnight + DAY_MS, DAY_MS):
        ours, theirs = (sum(line.amount for line in each if line.at_ms < day_ms) for each in (lines, before))
        assert ours == theirs, "what was left at the end of each day"
    for line in lines:
        if line.kind == DAY_OF_CALLS:
            of_day = [each for each in before if each.kind == CALL and each.at_ms // DAY_MS == line.at_ms // DAY_MS]
            assert line.amount == sum(each.amount for each in of_day)
            assert line.at_ms < midnight
    assert all(line.at_ms >= midnight for line in lines if line.kind == CALL)
