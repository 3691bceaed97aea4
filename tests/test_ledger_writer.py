"""The thread that writes ended calls down: everything once, whatever the database does. Threads live in real time, so the loop does too."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text, update

from aisa.facts import BugFound, Fact, LedgerAway, LedgerBack
from aisa.ledger.record import row_of
from aisa.ledger.row import CallRow
from aisa.ledger.writer import BATCH_ROWS_MAX, STATEMENT_ROWS, Writer, insert_rows
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.tables import accounts, calls
from postgres_rig import sqlite_only
from repeats import repeats
from rows import NOON, priced, renumbered, rows

FUND = 10**15


class Desk:
    """A writer on a fresh database, what it reported, and the ids that it has called committed, in order."""

    def __init__(self, database: Database, path: Path) -> None:
        self.database = database
        self.path = path
        self.facts: list[Fact] = []
        self.told: list[str] = []
        self._changed = asyncio.Event()
        self.writer = Writer(database, self._report)

    def post(self, *posted: CallRow) -> None:
        """Post rows."""
        for row in posted:
            self.writer.post(row, lambda id_=row.id: self._tell(id_))

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait until a condition on what was told holds."""
        while not met():
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 60)

    async def until_told(self, count: int) -> None:
        """Wait until so many rows are committed."""
        await self.until(lambda: len(self.told) >= count)

    async def until_away(self) -> None:
        """Wait until the database has failed."""
        await self.until(lambda: bool(self.facts))

    def _report(self, fact: Fact) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.facts.append(fact)
        self._changed.set()

    def _tell(self, id_: str) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.told.append(id_)
        self._changed.set()


@pytest.fixture
def database(opened: Database) -> Database:
    """A database with an unlimited account `default` and an account `acme` with FUND in its wallet."""
    with opened.transaction() as connection:
        connection.execute(insert(accounts).values(name="acme", balance=FUND, charged=0, spent=0, calls=0, created_at=1))
    return opened


Scene = Callable[[Desk], Awaitable[None]]


@pytest.fixture
def play(database: Database, tmp_path: Path) -> Callable[[Scene], None]:
    """Run a scene with a writer, which is stopped at its end."""

    async def main(scene: Scene) -> None:
        desk = Desk(database, tmp_path / "aisa.db")
        try:
            await scene(desk)
        finally:
            await desk.writer.stop(10)

    return lambda scene: uvloop.run(main(scene))


def written(database: Database) -> list[CallRow]:
    """Return every row, by id."""
    with database.reading() as connection:
        return [row_of(record) for record in connection.execute(select(calls).order_by(calls.c.id))]


def sums_of(database: Database, account: str) -> tuple[int | None, int, int, int]:
    """Return an account's balance, what was charged and spent, and its calls."""
    with database.reading() as connection:
        wanted = select(accounts.c.balance, accounts.c.charged, accounts.c.spent, accounts.c.calls).where(accounts.c.name == account)
        return tuple(connection.execute(wanted).one())  # type: ignore[return-value]  # the four that were asked for


def emptied(database: Database) -> None:
    """Bring the database back to how it began."""
    with database.transaction() as connection:
        connection.execute(calls.delete())
        connection.execute(update(accounts).values(charged=0, spent=0, calls=0))
        connection.execute(update(accounts).where(accounts.c.name == "acme").values(balance=FUND))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the database's write lock, as a backup tool may."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def log_size(path: Path) -> int:
    """Return the size of the write-ahead log."""
    return Path(f"{path}-wal").stat().st_size


@settings(max_examples=repeats(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows)
def test_nothing_of_a_row_is_lost_in_the_database(database: Database, row: CallRow) -> None:
    """What is read is what was written, field by field, so that a bill can be computed anew."""
    emptied(database)
    insert_rows(database, [row])
    assert written(database) == [row]


def test_many_rows_are_written_and_each_is_told_once(play: Callable[[Scene], None], database: Database) -> None:
    """More than two batches and of every statement's size: all there, as they were, and told in the order in which they were posted."""
    posted = [priced(number) for number in range(2 * BATCH_ROWS_MAX + sum(STATEMENT_ROWS) + 5)]

    async def scene(desk: Desk) -> None:
        desk.post(*posted)
        assert desk.writer.waiting == len(posted)
        await desk.until_told(len(posted))
        assert desk.writer.waiting == 0
        assert desk.told == [row.id for row in posted]
        assert desk.facts == []

    play(scene)
    assert written(database) == posted


@sqlite_only
def test_a_row_is_committed_before_it_is_told(play: Callable[[Scene], None]) -> None:
    """Whoever is told may forget the row: another connection finds it."""

    async def scene(desk: Desk) -> None:
        found: list[int] = []
        told = asyncio.Event()

        def committed() -> None:
            other = sqlite3.connect(desk.path)
            found.append(other.execute("SELECT count(*) FROM calls").fetchone()[0])
            other.close()
            told.set()

        desk.writer.post(priced(1), committed)
        await told.wait()
        assert found == [1]

    play(scene)


def test_accounts_are_charged_for_prepaid_calls_and_counted_for_all(database: Database) -> None:
    """A wallet pays for what was begun on its money; an unlimited account has no balance to pay from."""
    bought, credit, free = priced(1, account="acme", prepaid=True), priced(2, account="acme"), priced(3)
    insert_rows(database, [bought, credit, free])
    assert sums_of(database, "acme") == (FUND - bought.cost, bought.cost, bought.cost + credit.cost, 2)
    assert sums_of(database, "default") == (None, 0, free.cost, 1)


def test_a_batch_whose_commit_is_not_known_can_be_sent_again(database: Database) -> None:
    """The connection may break after the commit: once more changes nothing, and neither does a batch that holds some of it."""
    first = [priced(number, account="acme", prepaid=True) for number in range(70)]
    more = [priced(number, account="acme", prepaid=True) for number in range(60, 90)]
    assert [insert_rows(database, batch) for batch in (first, first, more, more + first)] == [70, 0, 20, 0]
    cost = sum(row.cost for row in {row.id: row for row in first + more}.values())
    assert sums_of(database, "acme") == (FUND - cost, cost, cost, 90)


def test_of_two_rows_with_one_id_the_first_stays(play: Callable[[Scene], None], database: Database) -> None:
    """Whether they come together or one after the other; both are told."""
    first, second = priced(1, account="acme", prepaid=True), priced(1, account="acme", prepaid=True, outcome="cut", cost=7)

    async def scene(desk: Desk) -> None:
        desk.post(first, second)
        await desk.until_told(2)
        desk.post(second)
        await desk.until_told(3)

    play(scene)
    assert written(database) == [first]
    assert sums_of(database, "acme") == (FUND - first.cost, first.cost, first.cost, 1)


@settings(max_examples=repeats(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(st.integers(0, 12), rows), max_size=12), max_size=6))
def test_any_repeats_in_any_batches_leave_sums_that_fit_the_rows(database: Database, batches: list[list[tuple[int, CallRow]]]) -> None:
    """An auditor that only knows what was sent first under each id comes to the same rows and the same sums."""
    emptied(database)
    first: dict[str, CallRow] = {}
    for batch in batches:
        sent = [renumbered(row, number) for number, row in batch]
        fresh = {row.id for row in sent} - first.keys()
        assert insert_rows(database, sent) == len(fresh)
        for row in sent:
            first.setdefault(row.id, row)
    assert {row.id: row for row in written(database)} == first
    for account, fund in (("acme", FUND), ("default", None)):
        ours = [row for row in first.values() if row.account == account]
        charged = sum(row.cost for row in ours if row.prepaid)
        left = None if fund is None else fund - charged
        assert sums_of(database, account) == (left, charged, sum(row.cost for row in ours), len(ours))


@sqlite_only
def test_a_locked_database_loses_nothing_and_is_reported_once(play: Callable[[Scene], None], database: Database) -> None:
    """Catalogue B.6 P8: another writer holds the file longer than we wait; rows come in meanwhile, and all are there afterwards."""
    posted = [priced(number, account="acme", prepaid=True) for number in range(600)]

    async def scene(desk: Desk) -> None:
        with locked(desk.path):
            desk.post(*posted[:10])
            await desk.until_away()
            desk.post(*posted[10:])
        await desk.until_told(len(posted))
        await desk.until(lambda: len(desk.facts) == 2)
        away, back = desk.facts
        assert isinstance(away, LedgerAway)
        assert "holds the database" in away.what
        assert isinstance(back, LedgerBack)

    play(scene)
    assert written(database) == posted
    cost = sum(row.cost for row in posted)
    assert sums_of(database, "acme") == (FUND - cost, cost, cost, 600)


@sqlite_only
def test_a_full_disk_loses_nothing(play: Callable[[Scene], None], database: Database) -> None:
    """Catalogue B.6 P6: the database may not grow, so no row is taken; when it may, all are."""
    posted = [priced(number) for number in range(700)]

    def limit(pages: int) -> None:
        with database.transaction() as connection:
            connection.execute(text(f"PRAGMA max_page_count = {pages}"))

    async def scene(desk: Desk) -> None:
        await asyncio.to_thread(limit, 1)  # as many as it has, which is the least that SQLite lets one say
        desk.post(*posted)
        await desk.until_away()
        assert desk.told == []
        await asyncio.to_thread(limit, 1_000_000)
        await desk.until_told(len(posted))
        await desk.until(lambda: len(desk.facts) == 2)
        assert [type(fact) for fact in desk.facts] == [LedgerAway, LedgerBack]
        assert "disk is full" in desk.facts[0].what

    play(scene)
    assert written(database) == posted


@sqlite_only
def test_a_disk_that_fails_is_not_trusted_again(play: Callable[[Scene], None], database: Database) -> None:
    """After an I/O error the rows go through another connection, which first writes anew what the old one had committed."""
    posted = [priced(number) for number in range(800)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def connection_now() -> object:
        with database.transaction() as connection:
            return connection.connection.driver_connection

    async def scene(desk: Desk) -> None:
        desk.post(*posted[:100])
        await desk.until_told(100)
        size = log_size(desk.path)
        distrusted = await asyncio.to_thread(connection_now)
        # Writes beyond this size fail as those to a bad disk do: with an error that is not that of a full one.
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 8192, before[1]))
        try:
            desk.post(*posted[100:])
            await desk.until_away()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        await desk.until_told(len(posted))
        assert isinstance(desk.facts[0], LedgerAway)
        assert "fails to read or write" in desk.facts[0].what
        assert await asyncio.to_thread(connection_now) is not distrusted

    play(scene)
    assert written(database) == posted


@sqlite_only
def test_after_a_failure_nothing_is_written_before_all_is_safe(play: Callable[[Scene], None], database: Database) -> None:
    """While somebody reads an older state, what was committed cannot be copied; rows wait for that, and are there afterwards."""
    posted = [priced(number) for number in range(800)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def write() -> None:
        with database.transaction():
            pass

    async def scene(desk: Desk) -> None:
        desk.post(*posted[:10])
        await desk.until_told(10)
        with database.reading() as reading:
            reading.execute(select(calls.c.id)).all()
            desk.post(*posted[10:20])
            await desk.until_told(20)
            resource.setrlimit(resource.RLIMIT_FSIZE, (log_size(desk.path) + 8192, before[1]))
            try:
                desk.post(*posted[20:])
                await desk.until_away()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            with pytest.raises(StorageFailed, match="holds the database"):
                await asyncio.to_thread(write)
            assert len(desk.told) == 20
        await desk.until_told(len(posted))

    play(scene)
    assert written(database) == posted


def test_a_stop_writes_what_was_posted(play: Callable[[Scene], None], database: Database) -> None:
    """Everything that was posted before is there when the stop returns, and was told."""
    posted = [priced(number) for number in range(1000)]

    async def scene(desk: Desk) -> None:
        desk.post(*posted)
        assert await desk.writer.stop(60) == 0
        assert len(desk.told) == len(posted)

    play(scene)
    assert written(database) == posted


@sqlite_only
def test_a_stop_that_cannot_write_gives_up_and_leaves_the_rows_to_the_next_start(play: Callable[[Scene], None], database: Database) -> None:
    """It says how many rows are left, tells none of them, and another writer that is given them writes each once."""
    posted = [priced(number, account="acme", prepaid=True) for number in range(30)]

    async def scene(desk: Desk) -> None:
        desk.post(*posted[:10])
        await desk.until_told(10)
        with locked(desk.path):
            desk.post(*posted[10:])
            await desk.until_away()
            assert await desk.writer.stop(0) == 20
            threads = [thread for thread in threading.enumerate() if thread.name == "ledger"]
            await asyncio.to_thread(lambda: [thread.join(10) for thread in threads])
            assert not any(thread.is_alive() for thread in threads)
        assert len(desk.told) == 10
        again = Desk(database, desk.path)
        again.post(*posted)
        await again.until_told(30)
        await again.writer.stop(10)

    play(scene)
    assert written(database) == posted
    cost = sum(row.cost for row in posted)
    assert sums_of(database, "acme") == (FUND - cost, cost, cost, 30)


@sqlite_only
def test_a_row_that_no_database_takes_stays_behind_alone(play: Callable[[Scene], None], database: Database) -> None:
    """A bug of ours in one row is reported with its call's id and not told; the rows around it are written."""
    bad = msgspec.structs.replace(priced(5), bytes_sent=2**70)
    worse = msgspec.structs.replace(priced(6), model=None)
    posted = [priced(number) for number in range(12) if number not in (5, 6)]

    async def scene(desk: Desk) -> None:
        desk.post(*posted[:5], bad, worse, *posted[5:])
        await desk.until(lambda: len(desk.told) == len(posted) and len(desk.facts) == 2)
        assert desk.told == [row.id for row in posted]
        assert [(type(fact), fact.request_id) for fact in desk.facts] == [(BugFound, bad.id), (BugFound, worse.id)]
        assert desk.writer.waiting == 2

    play(scene)
    assert written(database) == posted


def test_a_database_without_its_tables_is_away_and_no_fault_of_the_rows(play: Callable[[Scene], None], database: Database) -> None:
    """[issue 13] A fail-over to an empty PostgreSQL, or a right that was taken away, is told once; then all rows are written.

    Each row was a bug of ours, with its trace in the log, and stayed in the journal until the next start, its wallet holding what it cost.
    """
    posted = [priced(number) for number in range(12)]

    async def scene(desk: Desk) -> None:
        with database.transaction() as connection:
            connection.execute(text("ALTER TABLE calls RENAME TO elsewhere"))
        desk.post(*posted)
        await desk.until_away()
        with database.transaction() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO calls"))
        await desk.until_told(len(posted))
        assert [type(fact) for fact in desk.facts] == [LedgerAway, LedgerBack]

    play(scene)
    assert written(database) == posted


def test_reports_are_read_while_rows_are_being_written(play: Callable[[Scene], None], database: Database) -> None:
    """A reader that is in the middle of the ledger stops no writer, and sees it as it was when it began."""

    async def scene(desk: Desk) -> None:
        desk.post(priced(1))
        await desk.until_told(1)
        with database.reading() as connection:
            assert len(connection.execute(select(calls.c.id)).all()) == 1
            desk.post(*[priced(number) for number in range(2, 400)])
            await desk.until_told(399)
            assert len(connection.execute(select(calls.c.id)).all()) == 1
            with pytest.raises(Exception, match=r"(?i)read-?only"):
                connection.execute(update(calls).values(cost=0))

    play(scene)
    assert len(written(database)) == 399
    assert written(database)[0].began_ms == NOON + 1
