"""Tells a data folder that lost its database, or what it was told last, from one that has none yet. Changes nothing, and knows no table."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from aisa.storage.failure import StorageFailed
from aisa.storage.kept_copy import read_only
from aisa.storage.mark import changes_lost, is_uncounted, mark_of

#: What a server makes in its folder once the database is there, and never before: its journals, its name at a database that servers share.
#: The key of its seals tells nothing: operators copy it to new servers before their first start.
LEFT_BY_A_SERVER = ("board", "board-*", "server.id")
REMEDY = (
    "Put it back: `aisa restore FILE` with a copy that `aisa backup` made, or the files that were there. "
    "To begin anew, without its keys, wallets and bills, move everything else out of the folder."
)
SHARED = "If its data are in a database that servers share, name that: stores.database or DATABASE_URL. "


def lost_database(path: Path) -> StorageFailed | None:
    """Return what to tell of a database that is lost, or has lost what it was told last; None for any other."""
    return empty_database(path) or outdated_database(path)


def outdated_database(path: Path) -> StorageFailed | None:
    """Return what to tell of a database that lacks what was committed to it: its log is lost, or it is an older file; None of others."""
    lost, mark = changes_lost(path), mark_of(path).name
    if not lost:
        return None
    if is_uncounted(path):
        what = f"The database does not say how far it has come, and {mark} says that it did: it was made anew, as from an SQL dump, or"
        what += f" is a file of a version before, or what was in {path.name}-wal is lost."
        remedy = (
            f"If its keys, wallets and bills are those that you want, remove {mark}. If not, put back the {path.name} that was there, or:"
        )
        return StorageFailed(str(path), what, f"{remedy} `aisa restore FILE` with a copy that `aisa backup` made.")
    missing = f"{lost:,} changes that were written last are" if lost > 1 else "The change that was written last is"
    what = f"{missing} not in the database (keys, wallets, bills): what was in {path.name}-wal is lost, or this is an older file"
    what += ", whatever a version before has written into it since."
    remedy = (
        f"Put back the {path.name}-wal, or the {path.name}, that was there, or: `aisa restore FILE` with a copy that `aisa backup` made. "
        f"To go on without what is missing, remove {mark}; `aisa ledger audit` then says what else does not fit."
    )
    return StorageFailed(str(path), what, remedy)


def empty_database(path: Path) -> StorageFailed | None:
    """Return what to tell of a database's path that has nothing in it, in a folder that was in use; None for any other.

    A database that cannot be read is not judged here: opening it tells what is wrong with it.
    """
    folder, log = path.parent, path.with_name(f"{path.name}-wal")
    try:
        there = path.exists() and path.stat().st_size > 0
        # SQLite makes the database's first page before its log, and removes a log beside an empty file, whatever is in it.
        traces = [] if there or not log.exists() or not log.stat().st_size else [log.name]
        traces += [found.name for pattern in LEFT_BY_A_SERVER for found in sorted(folder.glob(pattern)) if found.is_file()]
    except OSError:
        return None
    if not traces or (there and not is_empty(path)):
        return None
    missing = f"is empty, or what was written to {log.name} is lost" if there else "is empty" if path.exists() else "is gone"
    what = f"The folder was in use ({', '.join(traces[:3])} are there), but its database {missing}: the keys, wallets and bills were in it."
    return StorageFailed(str(path), what.replace(" are there", " is there") if len(traces) == 1 else what, remedy_for(traces))


def remedy_for(traces: list[str]) -> str:
    """Return what to do about a database that is lost."""
    return SHARED + REMEDY if "server.id" in traces else REMEDY


def is_empty(path: Path) -> bool:
    """Say whether a database has no table; one that cannot be read is taken to have some."""
    try:
        with closing(sqlite3.connect(read_only(path), uri=True)) as reader:
            return reader.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
    except sqlite3.Error:
        return False
