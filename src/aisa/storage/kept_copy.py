"""Keeps a database as it is before its schema changes. Knows no table."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from aisa.storage.failure import StorageFailed


def keep_before_migrating(path: Path, version: str) -> None:
    """Keep a database as it is before its schema changes, unless it was kept before. Raises StorageFailed."""
    kept = path.with_name(f"{path.name}.schema-{version}")
    if kept.exists():
        return
    fresh = kept.with_name(f"{kept.name}.new")
    try:
        os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600))
        with closing(sqlite3.connect(read_only(path), uri=True)) as reader, closing(sqlite3.connect(fresh)) as copy:
            reader.backup(copy)
        os.replace(fresh, kept)
    except (sqlite3.Error, OSError) as error:
        fresh.unlink(missing_ok=True)
        remedy = "Free some space for the copy that is kept of it; nothing was changed."
        why = getattr(error, "strerror", None) or error
        raise StorageFailed(str(path), f"The database must be migrated, and cannot be kept as it is before: {why}.", remedy) from error


def read_only(path: Path) -> str:
    """Return the address by which SQLite opens a file without changing it."""
    return f"file:{quote(str(path))}?mode=ro"
