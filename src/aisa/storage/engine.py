"""Opens the database of a data folder and runs transactions in it. Knows no table but the one that names the schema's version."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Column, Connection, Engine, ExceptionContext, MetaData, String, Table, create_engine, event, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from aisa.storage.ballast import Room, free_bytes
from aisa.storage.failure import DiskFull, StorageFailed
from aisa.storage.kept_copy import keep_before_migrating
from aisa.storage.lost import lost_database
from aisa.storage.mark import Mark, changes
from aisa.storage.tables import HEAD

DATABASE_NAME = "aisa.db"
BUSY_SECONDS_MAX = 5  # a backup tool may hold the file for moments; whoever waits longer is told
REWRITE_MILLISECONDS_MAX = 500  # for readers of an older state to end; whoever writes tries again
READERS_MAX = 4  # connections that only read: reports and receipts; more of them at a time take turns
VERSION_TABLE = Table("alembic_version", MetaData(), Column("version_num", String(32)))  # as Alembic makes it

# A None or a bool that a statement is given is else asked for methods that it has not, by exceptions: a fourth of what a row costs.
sqlite3.register_adapter(type(None), dict[None, None]().get)  # which finds None, in C
sqlite3.register_adapter(bool, int)

INDEX_BYTES = 64 << 10  # of the write-ahead log, and what else SQLite may want of the disk before it can say that it is full

#: Brings the schema to HEAD inside the given transaction. Passed in, because Alembic is slow to import and rarely needed.
Migrate = Callable[[Connection], None]

FULL = "SQLITE_FULL"
#: SQLite's error name, or how it begins -> what is the matter, what to do.
ERRORS = (
    (
        "SQLITE_NOTADB",
        "The file is no SQLite database.",
        "Move it away, and restore it from a backup; or move the whole folder away to start afresh.",
    ),
    ("SQLITE_CORRUPT", "The database is damaged.", "Restore it from a backup, or recover what can be with `sqlite3 aisa.db .recover`."),
    ("SQLITE_READONLY", "The database cannot be written.", "Let this user write the file and its folder."),
    ("SQLITE_CANTOPEN", "The database cannot be opened.", "Let this user read and write the file and its folder."),
    ("SQLITE_PERM", "The database cannot be opened.", "Let this user read and write the file and its folder."),
    (FULL, "The disk is full.", "Free some space; nothing was changed."),
    ("SQLITE_BUSY", "Another program holds the database.", "Wait for it to end, or stop it; nothing was changed."),
    ("SQLITE_LOCKED", "Another program holds the database.", "Wait for it to end, or stop it; nothing was changed."),
    ("SQLITE_IOERR", "The disk fails to read or write the database.", "Look at the system's log; restore from a backup if need be."),
)


#: Says what an error of the database at a place means.
Failure = Callable[[str, DBAPIError | PoolTimeout], StorageFailed]


class Database:
    """An open database. Safe to use from several threads; those that write take turns."""

    def __init__(
        self,
        engine: Engine,
        where: str,
        readers: Engine | None = None,
        *,
        failure: Failure | None = None,
        of_its_session: Callable[[DBAPIError], bool] | None = None,
        hang_up: Callable[[], None] | None = None,
        mark: Mark | None = None,
    ) -> None:
        """`where` is shown to operators, `mark` remembers how far it has come.

        A connection ends after an error that is `of_its_session`, which the next need not have. `hang_up` ends what a server of
        the database was asked and does not answer; a file answers within BUSY_SECONDS_MAX.
        """
        self._engine = engine
        self._hang_up = hang_up
        self.where = where
        self._failure = failure or failure_of
        self._of_its_session = of_its_session
        self._mark = mark
        self._readers = engine if readers is None else readers

    @contextmanager
    def transaction(self, busy_milliseconds: int = 1000 * BUSY_SECONDS_MAX) -> Generator[Connection]:
        """Run the block in one transaction that takes the write lock first; committed at its end, undone if it raises.

        `busy_milliseconds` is how long another program may keep the lock from us. Raises StorageFailed when the database does not work.
        """
        with self._connected(self._engine) as connection:
            connection.execution_options(**{BUSY: busy_milliseconds})
            with connection.begin():
                before = 0 if self._mark is None else changes(connection)
                yield connection
                number = None if self._mark is None else self._mark.count(connection, before)
            if self._mark is not None:
                self._mark.keep(number)

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """Run the block on the database as it is at its first statement, whatever is written meanwhile.

        It cannot write, and stops no writer. Raises StorageFailed when the database does not work.
        """
        with self._connected(self._readers) as connection:
            yield connection

    @contextmanager
    def _connected(self, engine: Engine) -> Generator[Connection]:
        try:
            with engine.connect() as connection:
                try:
                    yield connection
                except DBAPIError as error:
                    if self._of_its_session is not None and self._of_its_session(error):
                        connection.invalidate()
                    raise
        except (DBAPIError, PoolTimeout) as error:
            raise self._failure(self.where, error) from error

    def put_down(self) -> None:
        """Copy what was committed so far into SQLite's file, so that no loss of the log beside it takes it.

        Waits for nobody. What cannot be copied now stays in the log, where it is as good.
        """
        if self._engine.dialect.name == "sqlite":
            with suppress(sqlite3.Error, DBAPIError, PoolTimeout), closing(self._engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def close(self) -> None:
        """Close the connections. Threads that still wait for an answer have an error for one."""
        if self._hang_up is not None:
            self._hang_up()
        self._readers.dispose()  # before the writer's, which empties the write-ahead log when it is the last
        self._engine.dispose()
        if self._mark is not None:
            self._mark.close()


BUSY = "aisa_busy_milliseconds"  # the name of an option of a connection


def open_database(data_dir: str, migrate: Migrate) -> Database:
    """Open the database of a folder that this process owns, making it (mode 0600) or migrating it first if need be.

    What is migrated is kept beside it as it was. Raises StorageFailed when the file cannot be used, is damaged, or a newer aisa made it,
    and when the folder was in use and has lost its database, or some of what it was told.
    """
    path = Path(data_dir) / DATABASE_NAME
    if (lost := lost_database(path)) is not None:
        raise lost
    return opened(path, migrate, Mark(path))


def opened(path: Path, migrate: Migrate, mark: Mark | None = None) -> Database:
    """Open a database whatever it may lack, making or migrating it first if need be. Raises StorageFailed when it cannot be used."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        what = f"The database cannot be opened: {error.strerror}."
        raise StorageFailed(str(path), what, "Let this user read and write the file and its folder.") from error
    database = Database(sqlite_engine(path), str(path), sqlite_readers(path), mark=mark)
    try:
        with database.transaction() as connection:
            version = version_of(connection)
            if version is not None and version < HEAD:  # a newer one is refused, and nothing lies beside it
                keep_before_migrating(path, version)
            if version != HEAD:
                migrate(connection)
    except StorageFailed:
        database.close()
        raise
    return database


def open_readers(data_dir: str) -> Database:
    """Open a database that another process writes, for reading alone: `transaction` is not to be used on it.

    Raises StorageFailed when the folder was in use and has lost it: SQLite would remove the log that is left.
    """
    path = Path(data_dir) / DATABASE_NAME
    if (lost := lost_database(path)) is not None:
        raise lost
    return Database(sqlite_readers(path), str(path))


def schema_of(data_dir: str) -> str | None:
    """Return the schema's version of a folder's database, changing nothing; None if it has none. Raises StorageFailed."""
    try:
        return version_in(open_readers(data_dir))
    except DiskFull as full:
        return version_in(open_at_rest(data_dir, full))


def version_in(database: Database) -> str | None:
    """Return the schema's version of a database, which is closed then. Raises StorageFailed."""
    with closing(database), database.reading() as connection:
        return version_of(connection)


def open_at_rest(data_dir: str, full: DiskFull) -> Database:
    """Open a database for reading alone that nobody writes, without the files that SQLite makes beside it: there is no room for them.

    Raises `full` where a log lies beside it: what it has could not be seen.
    """
    path = Path(data_dir) / DATABASE_NAME
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        raise full
    return Database(sqlite_readers(path, at_rest=True), str(path))


def version_of(connection: Connection) -> str | None:
    """Return the schema's version, or None if there is no schema yet."""
    if not inspect(connection).has_table(VERSION_TABLE.name):
        return None
    return connection.execute(select(VERSION_TABLE.c.version_num)).scalar()


def sqlite_engine(path: Path) -> Engine:
    """Return an engine with one connection, on which every transaction begins by taking the write lock."""
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS_MAX,
        connect_args={"timeout": BUSY_SECONDS_MAX, "check_same_thread": False},
    )

    failed = threading.Event()

    def connected(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver leaves transactions to us
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        if failed.is_set():
            rewrite(connection)
            failed.clear()

    def begin(connection: Connection) -> None:
        busy = connection.get_execution_options().get(BUSY)
        if busy != connection.info.get(BUSY):
            connection.exec_driver_sql(f"PRAGMA busy_timeout={busy}")
            connection.info[BUSY] = busy
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def fail(context: ExceptionContext) -> None:
        if getattr(context.original_exception, "sqlite_errorname", "").startswith("SQLITE_IOERR"):
            failed.set()
            context.is_disconnect = True  # it is closed, and the next transaction gets a fresh one

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begin)
    event.listen(engine, "handle_error", fail)
    return engine


def sqlite_readers(path: Path, *, at_rest: bool = False) -> Engine:
    """Return an engine whose connections cannot write, and never checkpoint: that is the writer's alone.

    `at_rest`: nobody writes meanwhile, and no log is read.
    """
    engine = create_engine(
        URL.create(
            "sqlite+pysqlite",
            database=f"file:{quote(str(path))}",
            query={"mode": "ro", "uri": "true", **({"immutable": "1"} if at_rest else {})},
        ),
        poolclass=QueuePool,
        pool_size=READERS_MAX,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS_MAX,
        connect_args={"timeout": BUSY_SECONDS_MAX, "check_same_thread": False},
    )

    def connected(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begin)
    return engine


def is_full(folder: Path, room: Room) -> bool:
    """Say whether the disk of a folder has no room for what a database needs to be opened."""
    try:
        return room(folder) < INDEX_BYTES
    except OSError:
        return False


def rewrite(connection: sqlite3.Connection) -> None:
    """Write everything that was committed anew, after the disk has failed a connection before this one. Raises sqlite3.Error.

    SQLite undoes a commit whose fsync failed, and its next one writes other frames over those in the write-ahead log. But a connection that
    opens the log anew finds them and takes them for committed, while the system may hold them for written and never write them again. A
    checkpoint copies every page of the log into the database file, and succeeds only if a sync of these new writes does.
    """
    connection.execute(f"PRAGMA busy_timeout={REWRITE_MILLISECONDS_MAX}")
    blocked, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if blocked:  # by somebody who reads an older state
        error = sqlite3.OperationalError("the write-ahead log cannot be copied yet")
        error.sqlite_errorname = "SQLITE_BUSY"
        raise error


def failure_of(where: str, error: DBAPIError | PoolTimeout, room: Room = free_bytes) -> StorageFailed:
    """Say what an error of the database means. SQLite says that the disk fails where it cannot make its index of the log on a full one."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    name = getattr(cause, "sqlite_errorname", "SQLITE_BUSY" if isinstance(error, PoolTimeout) else "")
    if name.startswith("SQLITE_IOERR") and is_full(Path(where).parent, room):
        name = FULL
    for beginning, what, remedy in ERRORS:
        if name.startswith(beginning):
            return (DiskFull if beginning == FULL else StorageFailed)(where, what, remedy)
    return StorageFailed(where, f"The database said: {cause}.", "If nobody changed the file by hand, this is a bug: please report it.")
