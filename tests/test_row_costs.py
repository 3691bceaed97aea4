"""What SQLite and Python's way to it do for a row of the ledger beside writing it: nothing."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress

from aisa.ledger.writer import BATCH_ROWS_MAX, insert_rows, write
from aisa.storage.engine import Database
from postgres_rig import sqlite_only
from rows import priced


def open_files() -> list[str]:
    """Return the paths of this process's open files."""
    found: list[str] = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # that of the listing itself
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return found


@sqlite_only
def test_no_page_is_copied_aside_for_a_statement_that_may_fail_half_way(opened: Database) -> None:
    """The transaction undoes it; SQLite's own copy of each page that such a statement changes is a fifth of what a row costs."""
    for place in range(4):  # else its copies are so few that it keeps them in memory
        insert_rows(opened, [priced(4 * (4 * number + place)) for number in range(BATCH_ROWS_MAX)])
    seen: set[str] = set()

    def look() -> None:
        seen.update(open_files())

    with opened.transaction() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.set_progress_handler(look, 10_000)
        write(connection, [priced(4 * (number * 1_021 % 2_048) + 1) for number in range(BATCH_ROWS_MAX)])
        driver.set_progress_handler(None, 0)
    assert seen
    assert not [path for path in seen if "etilqs_" in path]  # as SQLite calls the files that it makes for itself


def test_a_value_that_is_none_or_a_bool_is_written_without_a_search() -> None:
    """Python's driver looks for methods of each, in vain, by an exception for each, where nobody has said what it is."""
    found = [sqlite3.adapters[kind, sqlite3.PrepareProtocol](given) for kind, given in ((type(None), None), (bool, True))]
    assert [(type(value), value) for value in found] == [(type(None), None), (int, 1)]
