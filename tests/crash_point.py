"""Serves exactly as `aisa` does, but kills itself at a named point of a call's life, or has a disk that fails. Run by tests; not a test.

    python tests/crash_point.py POINT NUMBER serve ...

At the NUMBER-th time that it comes to POINT it sends itself SIGKILL. While there is a file DATABASE_FAILS in the working directory, no
commit to the database succeeds: SQLite's name for the error is in the file. While there is a file JOURNAL_FAILS, the journal cannot be
synced.
"""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import sys
from mmap import mmap
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

import aisa.serve
from aisa.cli import main
from aisa.ledger.journal import Journal, Slot

#: point -> where it is. `Fate.reached` is called with these names.
POINTS = {
    "held": "a call is in the journal and its price is held, its vendor was not asked",
    "settled": "a call is closed in the journal, its client has no [DONE]",
    "committing": "its client has [DONE], the transaction with its row is not committed",
    "committed": "its row is committed, its slot not freed",
}
RECOVERY_POINTS = {
    "resettled": "a start has settled a call that it found, and written nothing",
    "recommitting": "... has inserted the rows, and not committed them",
    "recommitted": "... has committed the rows, and not freed the slots",
}
NOWHERE = "nowhere"
DATABASE_FAILS = "database-fails"
JOURNAL_FAILS = "board-fails"
WRITE_SECONDS_MAX = 1  # instead of the server's own patience with its database when it stops, which no test should wait out


class Fate:
    """Where this process dies. `serving` is False while it is still recovering."""

    def __init__(self, point: str, number: int) -> None:
        self.serving = False
        self.opened = self.closed = 0
        self._point = point
        self._number = number
        self._times = 0

    def reached(self, point: str) -> None:
        """Die, if it is time to."""
        if point == self._point:
            self._times += 1
            self.come(point, self._times)

    def come(self, point: str, times: int) -> None:
        """Die, if it is to die at this point and has come to it so often."""
        if point == self._point and times >= self._number:
            os.kill(os.getpid(), signal.SIGKILL)


def dying(fate: Fate) -> type[Journal]:
    """Return a journal that tells a fate what becomes of its calls."""

    class DyingSlot(Slot):
        __slots__ = ()

        def close(self, closing: bytes) -> None:
            super().close(closing)
            fate.closed += fate.serving
            if not fate.serving:
                fate.reached("resettled")

        def free(self) -> None:
            fate.reached("committed" if fate.serving else "recommitted")
            super().free()

    class DyingJournal(Journal):
        def take(self, opening: bytes) -> Slot:
            fate.serving = True
            fate.opened += 1
            return super().take(opening)

        def sync(self) -> None:
            fate.come("held", fate.opened)  # `durability: disk` syncs after the opening ...
            fate.come("settled", fate.closed)  # ... and after the closing, and nobody goes on before
            if Path(JOURNAL_FAILS).exists():
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            super().sync()

        def _map(self) -> list[Slot]:
            return [DyingSlot(memory_of(slot), slot.words, slot.at, free=self._free) for slot in super()._map()]

    return DyingJournal


def memory_of(slot: Slot) -> mmap:
    """Return the memory that a slot is in."""
    return slot._memory


def tell_of_commits(fate: Fate) -> None:
    """Tell a fate before each commit of rows of calls."""
    written: set[int] = set()

    def executed(connection: Any, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT") and " INTO calls " in statement:
            written.add(id(connection))

    def committing(connection: object) -> None:
        if id(connection) in written:
            written.discard(id(connection))
            fate.reached("committing" if fate.serving else "recommitting")

    event.listen(Engine, "before_cursor_execute", executed)
    event.listen(Engine, "commit", committing)


class FailingConnection(sqlite3.Connection):
    """A connection to SQLite whose disk may fail. As SQLite does then, it undoes what was to be committed."""

    def commit(self) -> None:
        """Commit. Raises sqlite3.OperationalError while DATABASE_FAILS is there."""
        name = fault()
        if name and self.in_transaction:
            self.rollback()
            raise disk_error(name)
        super().commit()

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        """Run a statement. Raises sqlite3.OperationalError for a checkpoint while DATABASE_FAILS is there."""
        name = fault()
        if name and "wal_checkpoint" in statement:
            raise disk_error(name)
        return super().execute(statement, *parameters)


def fault() -> str | None:
    """Return SQLite's name for the error that the disk makes, None while it works."""
    try:
        return Path(DATABASE_FAILS).read_text() or None
    except FileNotFoundError:
        return None


def disk_error(name: str) -> sqlite3.OperationalError:
    """Return the error that the driver raises for SQLite's error of that name."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = name
    return error


def connect_failing(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
    """Have a new connection made from `FailingConnection`."""
    parameters["factory"] = FailingConnection


if __name__ == "__main__":
    point, number = sys.argv[1], int(sys.argv[2])
    assert point in {NOWHERE, *POINTS, *RECOVERY_POINTS}, point
    del sys.argv[1:3]
    chosen = Fate(point, number)
    aisa.serve.Journal = dying(chosen)  # type: ignore[misc]  # the real server, with a journal that is its own but in this
    aisa.serve.WRITE_SECONDS_MAX = WRITE_SECONDS_MAX
    tell_of_commits(chosen)
    event.listen(Engine, "do_connect", connect_failing)
    main()
