"""The thread that writes calls to the database, in batches, for as long as it takes. Decides no amount and answers no question.

Nobody waits for it: a call is safe in the journal until its row is committed. So it may take its time, and the database may be away.
Refused calls, which are in no journal, come along: whoever posts them bounds how many wait. So do errands, such as forgetting old ones.
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cache, partial
from queue import Empty, SimpleQueue
from typing import NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, ProgrammingError

from aisa.facts import BugFound, Fact, LedgerAway, LedgerBack
from aisa.ledger.copied import add_to_caps, copy_in
from aisa.ledger.learned_table import keep_answers
from aisa.ledger.record import NAMES, record_of
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.refused_table import insert_refused
from aisa.ledger.row import CallRow
from aisa.ledger.sums import add_late, known_of
from aisa.outages import Outage
from aisa.providers.measure import Answer
from aisa.storage.engine import BUSY_SECONDS_MAX, Database
from aisa.storage.failure import StorageFailed
from aisa.storage.tables import calls

BATCH_ROWS_MAX = 512  # of one transaction: a few milliseconds, in which other writers wait
#: Rows of one INSERT. After each the thread wants the interpreter's lock back and may wait for the event loop, so they should be few; but
#: their values are handed over in one go, in which the loop waits: 64 rows are some 0.2 ms. Of a rest there is one for each power of two.
STATEMENT_ROWS = (64, 32, 16, 8, 4, 2, 1)
#: Between transactions. A commit costs as much as thirty rows and wakes a thread beside the event loop, so the rows of a busy moment share
#: one: at 2,000 calls a second a row takes a fifth of the time that it takes without. The first row after a quiet moment does not wait.
PAUSE = timedelta(milliseconds=100)
BUSY_MILLISECONDS_MAX = 500  # that another program's lock is waited for in one attempt: after a stop, it is the longest wait
RETRY_MILLISECONDS_MIN = 50
RETRY_MILLISECONDS_MAX = 1_000  # a server is written to again a second after its disk has room
GIVE_UP_SECONDS_MAX = 2  # for the attempt that runs when the time to stop is over
#: How PostgreSQL's codes begin of what is wrong with a statement, and is wrong with it for every row: names and rights.
OF_NO_ROW = ("42", "3F")

Record = CallRow | RefusedCalls
#: A record, and what is to be called once the database has it for good.
Posted = tuple[Record, Callable[[], None]]


class Errand(NamedTuple):
    """What is done beside the records, once: True if there is more to do. Of several with one name, the last counts. May be lost."""

    name: str
    run: Callable[[Connection], bool | None]


class Writer:
    """Writes records down. `report` is told when the database fails and when it works again, in the event loop's thread.

    Made in the loop's thread. Its queue holds what is in the journal and not in the database: the journal's size bounds it.
    """

    def __init__(self, database: Database, report: Callable[[Fact], None]) -> None:
        self._database = database
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._queue: SimpleQueue[Posted | Errand | None] = SimpleQueue()
        self._errands: dict[str, Errand] = {}  # the thread's own
        self._waiting = 0
        self._stopping = threading.Event()
        self._given_up = threading.Event()
        self._outage = Outage()
        self.server: str | None = None  # what this server is called in a database that it shares
        #: Told what other servers have learned of a target's answers.
        self.learned_elsewhere: Callable[[str, list[Answer]], None] = lambda _target, _answers: None
        threading.Thread(target=self._run, name="ledger", daemon=True).start()

    @property
    def waiting(self) -> int:
        """How many rows were posted that the database does not have, as far as is known."""
        return self._waiting

    def is_away(self) -> bool:
        """Say whether the database does not take rows now."""
        return bool(self._outage.reasons)

    def post(self, row: CallRow, committed: Callable[[], None]) -> None:
        """Have a row written down; call `committed` in the loop's thread once that is done for good. Returns at once.

        From the loop's thread only; `committed` must not raise. The same id again does no harm: the row that came first stays, and both
        are told.
        """
        self._waiting += 1
        self._queue.put((row, committed))

    def post_refused(self, record: RefusedCalls, committed: Callable[[], None]) -> None:
        """Have a refused call written down, as `post` does a row. It is in no journal: what the database has not at a stop is lost."""
        self._queue.put((record, committed))

    def keep_answers(self, target: str, answers: Sequence[Answer]) -> None:
        """Have it written down what is known of a target's answers, beside what is written. Returns at once."""
        self._queue.put(Errand(f"answers of {target}", partial(keep_answers, target=target, answers=answers, server=self.server)))

    def run_errand(self, errand: Errand) -> None:
        """Have an errand done, beside what is written. Returns at once."""
        self._queue.put(errand)

    async def stop(self, seconds: int) -> int:
        """Write what was posted, for so many seconds at most, and end. Returns how many rows are left, which stay in the journal."""
        self._stopping.set()
        self._queue.put(None)
        await asyncio.wait([self._ended], timeout=seconds)
        if not self._ended.done():
            self._given_up.set()
            await asyncio.wait([self._ended], timeout=GIVE_UP_SECONDS_MAX)
        return self._waiting

    def _run(self) -> None:
        more = True
        while more:
            batch, more = self._gather()
            if batch and not self._write(batch):
                break
            self._run_errands()
            if len(batch) < BATCH_ROWS_MAX:
                self._stopping.wait(PAUSE.total_seconds())
        self._in_loop(self._ended.set_result, None)

    def _gather(self) -> tuple[list[Posted], bool]:
        """Wait for a record, and return it with what else is there, and whether there may be more."""
        batch: list[Posted] = []
        posted = self._queue.get()
        while posted is not None:
            if isinstance(posted, Errand):
                self._errands[posted.name] = posted
            else:
                batch.append(posted)
            if len(batch) == BATCH_ROWS_MAX:
                return batch, True
            try:
                posted = self._queue.get_nowait()
            except Empty:
                return batch, True
        return batch, False

    def _write(self, batch: list[Posted]) -> bool:
        """Write a batch, trying until it is done. False if that was given up."""
        rows = [record for record, _ in batch if isinstance(record, CallRow)]
        milliseconds = RETRY_MILLISECONDS_MIN
        while True:
            try:
                write_batch(self._database, rows, [record for record, _ in batch if isinstance(record, RefusedCalls)])
                break
            except Exception as error:
                if not isinstance(error, StorageFailed) or is_fault_of_rows(error):
                    return self._write_apart(batch)
                self._tell_away(error)
            if self._given_up.wait(timedelta(milliseconds=milliseconds).total_seconds()):
                return False
            milliseconds = min(2 * milliseconds, RETRY_MILLISECONDS_MAX)
        self._tell_back(len(rows))
        self._in_loop(self._settle, len(rows), [committed for _, committed in batch])
        return True

    def _run_errands(self) -> None:
        """Do a step of each errand; its next one waits its turn behind what was posted meanwhile."""
        errands, self._errands = self._errands, {}
        for errand in errands.values():
            with suppress(StorageFailed):  # it will be asked for again
                with self._database.transaction(BUSY_MILLISECONDS_MAX) as connection:
                    more = errand.run(connection)
                if more:
                    self._queue.put(errand)

    def _write_apart(self, batch: list[Posted]) -> bool:
        """Write rows one by one, as one of them cannot be written by a fault of ours: it stays in the journal, and the others do not."""
        if len(batch) == 1:
            self._tell_back(0)  # it answers
            self._in_loop(self._report, BugFound(batch[0][0].id, traceback.format_exc()))
            return True
        return all(self._write([posted]) for posted in batch)

    def _tell_away(self, failure: StorageFailed) -> None:
        if self._outage.is_news(failure.what):
            self._in_loop(self._report, LedgerAway(failure.what, failure.remedy))

    def _tell_back(self, rows: int) -> None:
        if self._outage.end():
            self._in_loop(self._report, LedgerBack(rows))

    def _settle(self, rows: int, batch: list[Callable[[], None]]) -> None:
        self._waiting -= rows
        for committed in batch:
            committed()

    def _in_loop(self, function: Callable[..., None], *arguments: object) -> None:
        if not self._loop.is_closed():  # else the server has gone without waiting for us
            self._loop.call_soon_threadsafe(function, *arguments)


def write_batch(database: Database, rows: Sequence[CallRow], refused: Sequence[RefusedCalls]) -> None:
    """Write what there is of both, each in a transaction of its own. Raises StorageFailed; all of it can be written again then."""
    if rows:
        insert_rows(database, rows, BUSY_MILLISECONDS_MAX)
    if refused:
        with database.transaction(BUSY_MILLISECONDS_MAX) as connection:
            insert_refused(connection, refused)


def insert_rows(database: Database, rows: Sequence[CallRow], busy_milliseconds: int = 1_000 * BUSY_SECONDS_MAX) -> int:
    """Write rows in one transaction, leaving out those whose id the database has. Returns how many were written.

    Accounts are charged for exactly these, whatever was sent before: a commit whose answer was lost can be tried again. BATCH_ROWS_MAX rows
    at most. Raises StorageFailed, and then nothing was written, or all of it was and the next attempt finds it.
    """
    try:
        with database.transaction(busy_milliseconds) as connection:
            write(connection, rows)
        return len(rows)
    except StorageFailed as failure:
        if not isinstance(failure.__cause__, IntegrityError):
            raise
    with database.transaction(busy_milliseconds) as connection:
        ids = [row.id for row in rows]
        known = set(connection.execute(select(calls.c.id).where(calls.c.id.in_(ids))).scalars())
        fresh = {row.id: row for row in reversed(rows) if row.id not in known}  # of the same id twice, the first
        write(connection, list(fresh.values()))
    return len(fresh)


def write(connection: Connection, rows: Sequence[CallRow]) -> None:
    """Insert rows that are new, and charge their accounts. Raises IntegrityError if one is not new."""
    style = connection.dialect.paramstyle
    if connection.dialect.name == "sqlite":
        insert(connection, rows)
    else:
        copy_in(connection, rows)
    charges: dict[str, tuple[int, int, int]] = {}
    for row in rows:
        number, spent, charged = charges.get(row.account, (0, 0, 0))
        charges[row.account] = (number + 1, spent + row.cost, charged + (row.cost if row.prepaid else 0))
    # In one order everywhere, so that two servers on one database do not wait for each other in a circle.
    for account, (number, spent, charged) in sorted(charges.items()):
        connection.exec_driver_sql(charge_statement(style), (number, spent, charged, charged, account))
    add_late(connection, rows, known_of(connection).rolled_ms)
    if connection.dialect.name != "sqlite":  # which one server has for itself, whose caps are in its memory
        add_to_caps(connection, rows)


def insert(connection: Connection, rows: Sequence[CallRow]) -> None:
    """Insert rows as SQLite takes them quickest."""
    start = 0
    for size in STATEMENT_ROWS:
        while len(rows) - start >= size:
            values: list[object] = []
            for row in rows[start : start + size]:
                values += record_of(row)  # some 40 of each row: not one by one
            connection.exec_driver_sql(insert_statement(size), tuple(values))
            start += size


@cache
def insert_statement(rows: int) -> str:
    """Return the statement that inserts so many records. One that fails is undone with its transaction, and by no copy of its own."""
    record = "(" + ", ".join("?" * len(NAMES)) + ")"
    return f"INSERT OR FAIL INTO calls ({', '.join(NAMES)}) VALUES {', '.join([record] * rows)}"  # noqa: S608 - the names are ours


@cache
def charge_statement(paramstyle: str) -> str:
    """Return the statement that adds to an account's sums. The balance of an unlimited account is NULL, and stays so."""
    text = "UPDATE accounts SET calls = calls + ?, spent = spent + ?, charged = charged + ?, balance = balance - ? WHERE name = ?"
    return text if paramstyle == "qmark" else text.replace("?", "%s")


def is_fault_of_rows(failure: StorageFailed) -> bool:
    """Say whether the database works, but does not take these rows. One whose tables or rights are gone takes none."""
    cause = failure.__cause__
    if isinstance(cause, ProgrammingError) and (getattr(cause.orig, "sqlstate", None) or "").startswith(OF_NO_ROW):
        return False
    return isinstance(cause, IntegrityError | DataError | InterfaceError | ProgrammingError)
