"""Opens a PostgreSQL database that several servers share. Knows no table but the one that names the schema's version.

Whoever writes takes one lock first, as with SQLite: writers of all servers take turns, a batch of rows each, so no two of them can wait for
each other in a circle, and what one has read nobody changes before it writes. Holds on money, which calls wait for, are not written here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing, suppress
from threading import Lock
from typing import Any
from weakref import WeakSet

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from aisa.clock import Pause, pause
from aisa.storage.engine import BUSY, BUSY_SECONDS_MAX, READERS_MAX, Database, Migrate, version_of
from aisa.storage.failure import DatabaseAway, StorageFailed
from aisa.storage.lock import SERVER_ID_NAME
from aisa.storage.tables import HEAD

WRITERS_LOCK = 0x61697361  # "aisa": the advisory lock of whoever writes
CONNECT_SECONDS_MAX = 3  # libpq rounds up to 2
STATEMENT_MILLISECONDS_MAX = 60_000  # a report over a month
IDLE_MILLISECONDS_MAX = 5_000  # that a writer may do nothing inside its transaction: one that was stopped there must not stop all others
#: A connection whose other end is gone is noticed after some ten seconds. No prepared statements, which poolers of connections lose.
CONNECT = {
    "connect_timeout": CONNECT_SECONDS_MAX,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "prepare_threshold": None,
    "client_encoding": "utf8",  # else a database of SQL_ASCII, which is refused, has no texts for the driver
    "application_name": f"aisa schema {HEAD}",
}
#: Whether servers use the database is looked for so often, so many seconds apart: PostgreSQL lists a connection for a moment longer than
#: whoever had it is there. It waits for others' ends as long itself, before it copies or removes a database.
LOOKS, LOOK_SECONDS = 50, 0.1
SERVERS = "datname = current_database() AND application_name ~ '^aisa( schema [0-9]+)?$'"  # so do versions before 0045 call themselves


#: Cuts the connection that a descriptor stands for: whoever waits for an answer there, in any thread, has an error for one. Raises OSError.
Cut = Callable[[int], None]


class Lines:
    """The connections of some engines, to be cut all at once: a server that hangs keeps whoever has asked it for as long as it does."""

    def __init__(self, cut: Cut | None, *engines: Engine) -> None:
        """Without `cut` it is waited for."""
        self._cut = cut
        self._lock = Lock()  # threads connect while another closes; what is collected meanwhile the set bears by itself
        self._open = WeakSet[psycopg.Connection[Any]]()
        for engine in engines:
            event.listen(engine, "connect", self._note)

    def _note(self, connection: psycopg.Connection[Any], _entry: ConnectionPoolEntry) -> None:
        with self._lock:
            self._open.add(connection)

    def hang_up(self) -> None:
        """Cut those that are open."""
        if self._cut is None:
            return
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with suppress(OSError, psycopg.Error):  # it has ended by itself
                self._cut(connection.fileno())


def open_postgres(url: str, migrate: Migrate, cut: Cut | None = None, *, had_tables: bool = False, pause: Pause = pause) -> Database:
    """Open a database, making its tables or migrating them first if need be.

    Raises StorageFailed when it cannot be reached or used, or a newer aisa made it, or when it `had_tables` and has none.
    """
    where = shown(url)
    writer, readers = writer_of(url), readers_of(url)
    database = Database(
        writer, where, readers, failure=failure_of, of_its_session=of_its_session, hang_up=Lines(cut, writer, readers).hang_up
    )
    try:
        with database.transaction(STATEMENT_MILLISECONDS_MAX) as connection:
            refuse_unfit(connection, where)
            version = version_of(connection)
            if version is None and had_tables:
                raise StorageFailed(where, *EMPTIED)
            if version is not None and version < HEAD:
                refuse_others(connection, where, pause)
            if version != HEAD:
                migrate(connection)
    except StorageFailed:
        database.close()
        raise
    return database


def open_postgres_readers(url: str, cut: Cut | None = None) -> Database:
    """Open a database that another process of this server writes, for reading alone: `transaction` is not to be used on it."""
    readers = readers_of(url)
    return Database(readers, shown(url), failure=failure_of, of_its_session=of_its_session, hang_up=Lines(cut, readers).hang_up)


def open_postgres_unlocked(url: str, cut: Cut | None = None) -> Database:
    """Open a database that is migrated, for short writes that take rows' own locks and never wait for those who write calls."""
    writer = unlocked_writer_of(url)
    return Database(writer, shown(url), failure=failure_of, of_its_session=of_its_session, hang_up=Lines(cut, writer).hang_up)


def refuse_unfit(connection: Connection, where: str) -> None:
    """Raise StorageFailed if the database cannot be written, or cannot keep every text."""
    if connection.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "on":
        raise StorageFailed(where, *READ_ONLY)
    if (encoding := connection.exec_driver_sql("SHOW server_encoding").scalar_one()) != "UTF8":
        what = f"The database keeps texts as {encoding}, which is not enough for names and answers: UTF8 is needed."
        raise StorageFailed(where, what, "Make it anew: createdb --encoding UTF8 --template template0 aisa")


def refuse_others(connection: Connection, where: str, pause: Pause) -> None:
    """Raise StorageFailed if servers of another version have the database open, whose tables are about to change."""

    def others() -> int:
        connection.exec_driver_sql("SELECT pg_stat_clear_snapshot()")  # else a transaction sees the list as it was at its first look
        asked = f"SELECT count(*) FROM pg_stat_activity WHERE {SERVERS} AND application_name <> 'aisa schema {HEAD}'"  # noqa: S608 - our own words
        return int(connection.exec_driver_sql(asked).scalar_one())

    if found := staying(others, pause):
        what = f"Servers of another version use this database ({found} connections), which must be brought to schema {HEAD}."
        raise StorageFailed(where, what, "Stop all of them, then start this version; nothing was changed.")


def staying(connections: Callable[[], int], pause: Pause) -> int:
    """Return how many connections there are after the time in which those of a server that has ended go."""
    for _ in range(LOOKS):
        if not connections():
            return 0
        pause(LOOK_SECONDS)
    return connections()


SECRETS = ("password", "sslpassword")  # as libpq takes them behind the question mark, too


def shown(url: str) -> str:
    """Return a URL without its passwords. Raises StorageFailed for what is none."""
    try:
        known = parsed(url).set(drivername="postgresql").difference_update_query(SECRETS)
        return known.render_as_string(hide_password=True)
    except ArgumentError:
        remedy = "Write for example postgresql://aisa@127.0.0.1/aisa."
        raise StorageFailed("stores.database", "It is no URL of a database.", remedy) from None


def parsed(url: str) -> URL:
    """Return a URL as SQLAlchemy takes it, whose driver is ours to choose."""
    return make_url(url.replace("postgres://", "postgresql://", 1)).set(drivername="postgresql+psycopg")


def unlocked_writer_of(url: str) -> Engine:
    """Return an engine with one connection, whose transactions wait for nobody else's lock for long."""
    engine = create_engine(
        parsed(url),
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS_MAX,
        pool_pre_ping=True,
        connect_args=CONNECT,
    )

    def begin(connection: Connection) -> None:
        busy = connection.get_execution_options().get(BUSY, 1_000 * BUSY_SECONDS_MAX)
        limits = {
            "lock_timeout": busy,
            "statement_timeout": STATEMENT_MILLISECONDS_MAX,
            "idle_in_transaction_session_timeout": IDLE_MILLISECONDS_MAX,
        }
        said = ", ".join(f"set_config('{name}', '{milliseconds}', true)" for name, milliseconds in limits.items())
        connection.exec_driver_sql(f"SELECT {said}")  # for this transaction alone: through a pooler, the next one is somebody else's

    event.listen(engine, "begin", begin)
    return engine


def writer_of(url: str) -> Engine:
    """Return an engine with one connection, on which every transaction begins by taking the writers' lock."""
    engine = unlocked_writer_of(url)

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})")

    event.listen(engine, "begin", begin)
    return engine


def readers_of(url: str) -> Engine:
    """Return an engine whose transactions cannot write, and see the database as it was at their first statement."""
    engine = create_engine(
        parsed(url),
        poolclass=QueuePool,
        pool_size=READERS_MAX,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS_MAX,
        pool_pre_ping=True,
        connect_args=CONNECT,
        isolation_level="REPEATABLE READ",
    )

    def begin(connection: Connection) -> None:
        said = f"SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS_MAX}"
        with closing(connection.connection.cursor()) as cursor:  # the driver's own, as what is read in parts has a cursor in the server
            try:
                cursor.execute(said)
            except psycopg.Error as error:  # so nobody else makes one of SQLAlchemy's errors of it
                raise OperationalError(said, None, error) from error

    event.listen(engine, "begin", begin)
    return engine


#: What may be so for this session alone, which has what was set when it began (SQLSTATE): read-only, where tables are looked for, rights.
OF_A_SESSION = {"25006", "3F000", "42P01", "42703", "42501"}


def of_its_session(error: DBAPIError) -> bool:
    """Say whether another connection may not have an error: an operator who has mended it need not restart anything."""
    return getattr(error.orig, "sqlstate", None) in OF_A_SESSION


READ_ONLY = ("The database is a standby, or read-only.", "Name the primary in stores.database.")
EMPTIED = (
    f"The database is empty, and this server was on one before ({SERVER_ID_NAME} is in its folder): keys, wallets and bills were there.",
    (
        "Name that database in stores.database, or put a copy into this one: `aisa restore FILE`. "
        f"To begin anew, without its keys, wallets and bills, remove {SERVER_ID_NAME} from the folder of each server."
    ),
)
BARE = ("The database does not have this version's tables.", "Look whether stores.database names the right one; if so, restore it.")
AGAIN = "A server that runs asks it again by itself; one that was to start must be started again."
STOOD = (
    "The database ended what had stood still for too long.",
    "Look whether it or this server was stopped for a while; nothing was changed, and it is tried again.",
)
#: What PostgreSQL calls an error, or how that begins (SQLSTATE) -> what is the matter, what to do.
ERRORS = (
    ("55P03", "Other servers keep the database's lock.", f"Look for one that hangs. {AGAIN}"),
    ("57014", "The database took too long.", "Look at its load; nothing was changed."),
    ("25P03", *STOOD),
    ("25P04", *STOOD),
    ("40", "Other writers were in the way.", "Look at the database's load; nothing was changed, and it is tried again."),
    ("58", "The database's disk or system does not work.", f"Look at its log and at its machine. {AGAIN}"),
    ("XX", "The database has a fault of its own, or is damaged.", f"Look at its log. {AGAIN}"),
    ("28", "The database does not let this server in.", "Correct user and password in stores.database."),
    ("3D", "There is no such database.", "Make it: createdb aisa"),
    ("42501", "The database does not let this user do that.", "Make this user the owner of the database, and of all that is in it."),
    ("42P01", *BARE),
    ("42703", *BARE),
    ("3F000", *BARE),
    ("53", "The database has no room left, or too many connections.", "Look at its disk and at max_connections; nothing was changed."),
    ("57P", "The database is going down or coming up.", f"Wait for it. {AGAIN}"),
    ("42P07", "The database has tables of another program.", "Name an empty database in stores.database."),
    ("25006", *READ_ONLY),
)
#: What is said, without a code, by a database that does not let us in, and of an address that is none.
REFUSED = re.compile(r"(?:FATAL:|connection is bad:) *([^\n]*[^\n.])[^\n]*\Z", re.MULTILINE)
#: What is said by our side of a connection that could not be made: of certificates, names, encryption.
FAILED = re.compile(
    r"failed: (?!connection )([^\n]*(?:SSL|certificate|channel binding|authentication|password)[^\n]*[^\n.])"
    r"|(failed to resolve host [^\n]*[^\n.])|(invalid connection option [^\n]*[^\n.])"
)
COMES_BACK = "57P"  # what is said by one that is going down or coming up
AWAY = ("The database does not answer.", f"Look whether it runs and can be reached. {AGAIN}")


def failure_of(where: str, error: DBAPIError | PoolTimeout) -> StorageFailed:
    """Say what an error of PostgreSQL means."""
    if isinstance(error, PoolTimeout):
        return DatabaseAway(where, *AWAY)
    state = getattr(error.orig, "sqlstate", None) or ""
    for beginning, what, remedy in ERRORS:
        if state.startswith(beginning):
            return (DatabaseAway if state.startswith(COMES_BACK) else StorageFailed)(where, what, remedy)
    said = str(error.orig)
    refused = REFUSED.search(said) or FAILED.search(said) if not state else None
    if refused:
        why = next(words for words in refused.groups() if words)
        what = f"The database cannot be connected to: {why}."
        return StorageFailed(where, what, f"Look at stores.database, and at the database. {AGAIN}")
    if state.startswith("08") or (not state and isinstance(error, OperationalError)):
        return DatabaseAway(where, *AWAY)
    return StorageFailed(where, f"The database said: {error.orig}.", "If nobody changed it by hand, this is a bug: please report it.")
