"""A database's connections are cut while threads still make new ones; without a server, with SQLite's connections in their place."""

from __future__ import annotations

import sqlite3
import sys
from threading import Event, Thread

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from aisa.storage.postgres import Lines

CUTS = 300
HELD = 1_000  # connections that stay open, so that a look at all of them takes as long as some are made


class Connected(sqlite3.Connection):
    """A connection that says which it is, as those of PostgreSQL do."""

    def fileno(self) -> int:
        """Its descriptor."""
        return 7


def test_connections_are_cut_while_threads_connect() -> None:
    """What ends the waiting of a hung database's clients must not fail on one that has just come."""
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(":memory:", factory=Connected, check_same_thread=False), poolclass=NullPool
    )
    cut: set[int] = set()
    lines, done = Lines(cut.add, engine), Event()

    def connect() -> None:
        while not done.is_set():
            engine.raw_connection().close()

    held = [engine.raw_connection() for _ in range(HELD)]
    threads = [Thread(target=connect) for _ in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for _ in range(CUTS):
            lines.hang_up()
    finally:
        done.set()
        sys.setswitchinterval(interval)
        for thread in threads:
            thread.join()
    for each in held:
        each.close()
    assert cut == {7}
