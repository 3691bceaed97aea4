"""How far a database in a file has come, remembered beside it: a loss of what was written last shows as a database that is behind its mark.

SQLite keeps what was committed in a log until it copies it into the database. A log that is lost leaves a sound database of before, and
nothing in it says so. So each transaction that changes something counts one on in the database's own header, and the mark says so then.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import Connection

from aisa.storage.kept_copy import read_only

MARK_SUFFIX = "-mark"
NUMBERS = 2**31 - 1  # that a header may have; behind the last comes 1, and what is less than half of them ahead is newer
CLOSE_SECONDS_MAX = 1.0  # for a write of ten bytes that is under way
BEGINS = b"SQLite format 3\0"
VERSION_AT = slice(60, 64)  # of the header: `user_version`


class Mark:
    """The mark of a database. It lies in a file that is opened when there is something to write into it."""

    def __init__(self, database: Path) -> None:
        self._path = mark_of(database)
        self._descriptor: int | None = None
        self._lock = threading.Lock()  # a thread may still commit when a server ends: what it writes must not go where another file is then

    def count(self, connection: Connection, changes_before: int) -> int | None:
        """Count one on within a transaction that has changed something since there were so many changes; return what is to be kept."""
        if changes(connection) == changes_before:
            return None
        number = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one()) % NUMBERS + 1
        connection.exec_driver_sql(f"PRAGMA user_version = {number}")
        return number

    def keep(self, number: int | None) -> None:
        """Remember what the database has committed. Where it cannot be written down, less of a loss would be noticed, and that is all."""
        if number is None:
            return
        with self._lock, suppress(OSError):
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            os.pwrite(self._descriptor, b"%010d\n" % number, 0)

    def close(self) -> None:
        """Close the file, unless it is being written for too long: then the process's end closes it."""
        if self._lock.acquire(timeout=CLOSE_SECONDS_MAX):
            descriptor, self._descriptor = self._descriptor, None
            self._lock.release()
            if descriptor is not None:
                os.close(descriptor)


def changes(connection: Connection) -> int:
    """Return how many rows a connection has changed since it was opened."""
    driver = connection.connection.driver_connection
    assert driver is not None, "it is open"
    return int(driver.total_changes)


def mark_of(database: Path) -> Path:
    """Return where the mark of a database is."""
    return database.with_name(f"{database.name}{MARK_SUFFIX}")


def changes_lost(database: Path) -> int:
    """Return how many transactions a database lacks that it was told, 0 if none, or if that cannot be known."""
    try:
        kept = int(mark_of(database).read_bytes())  # first: a server that runs commits before it writes its mark
        number = version_of_header(database)
    except (OSError, ValueError, sqlite3.Error):
        return 0
    behind = (kept - number) % NUMBERS
    return behind if behind < NUMBERS // 2 else 0


def is_uncounted(database: Path) -> bool:
    """Say whether a database does not tell how far it has come: it was made anew, as from an SQL dump, or by a version that counted not."""
    try:
        return version_of_header(database) == 0
    except (OSError, ValueError, sqlite3.Error):
        return False


def version_of_header(database: Path) -> int:
    """Return the number that a database has, that of its log if there is something in it. Raises OSError, ValueError, sqlite3.Error."""
    log = database.with_name(f"{database.name}-wal")
    if not log.exists() or not log.stat().st_size:
        with database.open("rb") as file:  # SQLite itself would make files beside it
            header = file.read(VERSION_AT.stop)
        if not header.startswith(BEGINS):  # whoever opens it says what it is instead
            raise ValueError("no SQLite database")
        return int.from_bytes(header[VERSION_AT], "big")
    with closing(sqlite3.connect(read_only(database), uri=True)) as reader:
        return int(reader.execute("PRAGMA user_version").fetchone()[0])
