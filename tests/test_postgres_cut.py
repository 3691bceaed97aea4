"""A connection to PostgreSQL that breaks anywhere: whoever reads, writes or follows gets one known error, and nothing else is printed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from aisa.facts import Fact, ServerWarning
from aisa.keys.store import KeyStore
from aisa.ledger.allotments import Wanted, allot
from aisa.ledger.uses_table import Claim, claim
from aisa.ledger.writer import insert_rows
from aisa.process import LibraryWords, listen_to_process
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.migrate import migrate
from aisa.storage.postgres import open_postgres, open_postgres_readers, open_postgres_unlocked
from aisa.storage.tables import accounts, calls
from postgres_rig import Postgres, needs_postgres
from rows import priced

pytestmark = needs_postgres
PORT_NAME = ".s.PGSQL.5432"
STEPS_MAX = 400  # of one conversation, each a read of either side


class Cutter:
    """Stands between us and the server, and ends every connection for good once so many messages have passed."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.left = STEPS_MAX
        self._round = 0
        self._server = server
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / PORT_NAME))
        self._listener.listen(50)
        threading.Thread(target=self._accept, daemon=True).start()

    def allow(self, messages: int) -> None:
        """Let so many pass from now on. What is still to be read of connections of before is no message of this round."""
        with self._lock:
            self.left, self._round = messages, self._round + 1

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.socket(socket.AF_UNIX)
                theirs.connect(str(self._server / PORT_NAME))
                self._open += [ours, theirs]
                for source, sink in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._copy, args=(source, sink, self._round), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, begun: int) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                with self._lock:
                    self.left -= begun == self._round
                    if self.left < 0:
                        break
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End all of it."""
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def read(database: Database) -> None:
    """Read as keys, statements and audits do, a part at a time too."""
    KeyStore(database, time.time, random.Random(1))
    with database.reading() as connection:
        for _ in connection.execute(select(calls).execution_options(yield_per=2)):
            pass
        for _ in connection.execute(select(calls.c.id).limit(1)):
            raise KeyError  # whoever reads fails by himself, with rows left


def write(database: Database) -> None:
    """Write as the thread of the ledger does, and ask as money does; some of it is undone."""
    insert_rows(database, [priced(number) for number in range(20, 23)])
    with contextlib.suppress(KeyError), database.transaction() as connection:
        allot(connection, "one", [Wanted("wallet acme", 0, 5, 9, "acme")])
        raise KeyError
    with database.transaction() as connection:
        allot(connection, "one", [Wanted("wallet acme", 0, 5, 9, "acme")])


def claims(database: Database) -> None:
    """Claim Idempotency-Keys."""
    with database.transaction() as connection:
        claim(connection, "one", [Claim("a" * 32, "b" * 16, "req_1")])


#: How the database is opened, what is done with it, and every which message is the last: an opening for writers alone has many.
DOINGS: dict[str, tuple[Callable[[str], Database], Callable[[Database], None], int]] = {
    "readers": (open_postgres_readers, read, 1),
    "writers": (lambda url: open_postgres(url, migrate), write, 3),
    "claims": (open_postgres_unlocked, claims, 1),
}


@pytest.fixture
def cutter(postgres: Postgres) -> Iterator[tuple[Cutter, str]]:
    """A way to a database with some calls that can be cut, and its URL."""
    url = postgres.migrated()
    direct = open_postgres(url, migrate)
    with direct.transaction() as connection:
        connection.execute(insert(accounts).values(name="acme", balance=1_000, charged=0, spent=0, calls=0, created_at=1))
    insert_rows(direct, [priced(number) for number in range(9)])
    direct.close()
    with tempfile.TemporaryDirectory(prefix="aisa-") as folder:
        made = Cutter(Path(folder), postgres.folder)
        yield made, url.replace(str(postgres.folder), folder)
        made.close()


@pytest.mark.parametrize("setting", ["default_transaction_read_only = on", "search_path = nowhere"])
@pytest.mark.parametrize("name", DOINGS)
def test_what_a_session_was_begun_with_ends_when_it_is_mended(setting: str, name: str, postgres: Postgres) -> None:
    """[issue 13] A database that was made read-only (managed ones are, when their disk is full) is written again without a restart."""
    url = postgres.migrated()
    database = url.partition("?")[0].rpartition("/")[2]
    beside = url.replace(f"/{database}?", "/postgres?")
    with contextlib.closing(open_postgres(url, migrate)) as direct, direct.transaction() as connection:
        connection.execute(insert(accounts).values(name="acme", balance=1_000, charged=0, spent=0, calls=0, created_at=1))
    opened, do, _ = DOINGS[name]
    with contextlib.closing(opened(url)) as ours:
        postgres.sql(beside, f"ALTER DATABASE {database} SET {setting}")
        postgres.end_sessions(database)
        if (name, setting[:6]) != ("readers", "defaul"):
            with pytest.raises(StorageFailed):
                do(ours)
        postgres.sql(beside, f"ALTER DATABASE {database} RESET {setting.partition(' ')[0]}")
        with contextlib.suppress(KeyError):
            do(ours)


# The driver complains of cursors whose connection has gone before them, and pytest collects that.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", DOINGS)
def test_a_connection_that_breaks_at_any_message_is_one_known_error(name: str, cutter: tuple[Cutter, str]) -> None:
    """[issue 13] At its opening, in a statement, between parts of an answer, at a commit, while something else fails: StorageFailed."""
    cut, url = cutter
    told: list[Fact] = []
    words = LibraryWords(told.append)
    logging.getLogger().addHandler(words)
    opened, do, every = DOINGS[name]
    failures = rounds = 0
    try:
        for steps in range(0, STEPS_MAX, every):
            cut.allow(steps)
            try:
                with contextlib.closing(opened(url)) as database:
                    for _ in range(2):  # with a connection that is used again
                        with contextlib.suppress(KeyError):
                            do(database)
                    if cut.left >= 0:
                        break  # looked at before the farewell, which may be one message too many and is nobody's failure
            except StorageFailed:
                failures += 1
            rounds += 1
    finally:
        logging.getLogger().removeHandler(words)
    assert failures == rounds > 10
    assert told or name != "readers"  # as SQLAlchemy does log what it meets when a connection that is gone is given back
    assert all(isinstance(fact, ServerWarning) and "\n" not in fact.message for fact in told)


def test_what_libraries_log_is_one_line_of_ours() -> None:
    """With an exception too, from whatever thread; there are no tracebacks, and a loop that has ended is no harm."""
    told: list[Fact] = []

    async def main() -> None:
        listen_to_process(told.append)
        log = logging.getLogger("some.library")
        try:
            raise ValueError("first\nsecond")
        except ValueError as error:
            await asyncio.to_thread(log.exception, "It was %s", "so", exc_info=error)
        log.info("nothing")
        await asyncio.sleep(0)

    asyncio.run(main())
    logging.getLogger("some.library").error("late")
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, LibraryWords)]
    assert told == [ServerWarning("some.library: It was so: ValueError: first second")]
