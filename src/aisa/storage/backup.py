"""Copies of a data folder's database, made while a server writes it, and put back so that nothing that was revoked comes back.

A copy is one SQLite file: the database as it was at one moment, and beside its tables one with the version that made it and the key that
vendors' states are sealed with. The journal is no part of it: calls that end during the copy are in the next one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from aisa.storage.ballast import free_bytes
from aisa.storage.engine import DATABASE_NAME, Migrate, open_database, opened
from aisa.storage.failure import NoData, StorageFailed
from aisa.storage.kept_copy import read_only
from aisa.storage.lost import empty_database, lost_database
from aisa.storage.mark import mark_of

ABOUT = "backup_about"  # the table of a copy that no database has: name and value
SEAL_KEY = "seal.key"
WAIT_SECONDS_MAX = 60.0  # for a writer to let go


class BackupMade(msgspec.Struct, frozen=True):
    """A copy: how many bytes it has, and its schema's version."""

    size: int
    schema: str


class Restored(msgspec.Struct, frozen=True):
    """What was put back: when the copy was made (UNIX seconds), where the former database is kept, and what it knew better."""

    made_at: int
    former: str | None
    revoked: int
    replaced: int
    disabled: int


def back_up(data_dir: str, target: str, *, now: float, version: str) -> BackupMade:
    """Copy the database of a folder into a file that is not there yet, readable by its owner alone. Raises StorageFailed.

    The file appears whole or not at all. A server that runs goes on: it waits for nothing.
    """
    source, path = Path(data_dir) / DATABASE_NAME, Path(target)
    if (lost := lost_database(source)) is not None:
        raise lost
    if not source.exists():
        raise NoData(data_dir)
    if path.exists():
        raise StorageFailed(target, "There is a file of this name already.", "Name another one; copies are never overwritten.")
    fresh = path.with_name(f"{path.name}.new")
    try:
        refuse_small(path.parent, source)
        os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600))
        seal = Path(data_dir) / SEAL_KEY
        about = {"version": version, "made_at": str(int(now)), SEAL_KEY: seal.read_bytes().hex() if seal.exists() else ""}
        schema = copy_of(source, fresh, about)
        synced(fresh)
        os.link(fresh, path)  # unlike a rename, it fails where a file has come to be
    except sqlite3.Error as error:
        raise StorageFailed(
            target, f"The copy failed: {error}.", "Look at the disk's room and at the database: aisa ledger audit"
        ) from error
    except OSError as error:
        raise StorageFailed(
            target, f"It cannot be written: {error.strerror}.", "Name a file in a folder that this user may write."
        ) from error
    finally:
        taken_away(fresh)
    return BackupMade(path.stat().st_size, schema)


def refuse_small(folder: Path, source: Path) -> None:
    """Raise StorageFailed if a folder has no room for a copy of a database, before hours of copying. Raises OSError."""
    needed, free = source.stat().st_size, free_bytes(folder)
    if free < needed:
        what = f"The copy takes {needed:,} bytes, and the disk has {free:,} left."
        raise StorageFailed(str(folder), what, "Free some space, or name a place on another disk; nothing was changed.")


def taken_away(fresh: Path) -> None:
    """Remove what was begun, and what SQLite has beside it."""
    for rest in ("", "-journal"):
        fresh.with_name(fresh.name + rest).unlink(missing_ok=True)


def copy_of(source: Path, target: Path, about: dict[str, str]) -> str:
    """Copy a database as it is at one moment, and note what a copy has beside. Returns its schema. Raises sqlite3.Error."""
    with (
        closing(sqlite3.connect(read_only(source), uri=True, timeout=WAIT_SECONDS_MAX)) as reader,
        closing(sqlite3.connect(target)) as copy,
    ):
        reader.backup(copy)  # in one step: of several, a busy writer would have it begin again and again
        copy.execute("PRAGMA journal_mode=DELETE")
        copy.execute(f"CREATE TABLE {ABOUT} (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        copy.executemany(f"INSERT INTO {ABOUT} VALUES (?, ?)", about.items())  # noqa: S608 - our own constant
        copy.commit()
        ((schema,),) = copy.execute("SELECT version_num FROM alembic_version")
    return str(schema)


def restore(data_dir: str, copy: str, *, migrate: Migrate, now: float, known: Callable[[str], bool]) -> Restored:
    """Put a copy in the place of the database of a folder that this process owns. Raises StorageFailed, and has changed nothing then.

    The former database is kept beside it. Keys that it knows as revoked or disabled stay so, and secrets that were replaced stay replaced.
    `known` says whether this program knows a schema.
    """
    made_at, seal = looked_at(copy, known)
    folder = Path(data_dir)
    path, fresh = folder / DATABASE_NAME, folder / f"{DATABASE_NAME}.restored"
    former = folder / f"{DATABASE_NAME}.before-restore-{int(now)}"
    try:
        refuse_small(folder, Path(copy))
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        with closing(sqlite3.connect(read_only(Path(copy)), uri=True)) as reader, closing(sqlite3.connect(fresh)) as target:
            reader.backup(target)
            target.execute(f"DROP TABLE {ABOUT}")
            target.commit()
        brought_up(fresh, migrate)
        counts = (0, 0, 0)
        if empty_database(path) is not None:
            for rest in ("", "-wal"):  # what is left of it, for whoever can read that
                if (left := path.with_name(path.name + rest)).exists() and left.stat().st_size:
                    os.link(left, former.with_name(former.name + rest))
        elif path.exists():
            opened(path, migrate).close()  # it may be of an older version, and its log is emptied
            counts = carried_over(path, fresh)
            os.link(path, former)
        with closing(sqlite3.connect(fresh)) as target, target:
            note_restored(lambda statement: target.execute(statement).rowcount, made_at, counts, now=now)
        synced(fresh)
        mark_of(path).unlink(missing_ok=True)
        os.replace(fresh, path)
        for rest in ("-wal", "-shm"):
            path.with_name(path.name + rest).unlink(missing_ok=True)
        if seal and not (folder / SEAL_KEY).exists():
            keep_seal(folder / SEAL_KEY, bytes.fromhex(seal))
    except (sqlite3.Error, OSError) as error:
        taken_away(fresh)
        why = getattr(error, "strerror", None) or error
        raise StorageFailed(data_dir, f"The copy cannot be put there: {why}.", "Nothing was changed. Look at the disk's room.") from error
    return Restored(made_at, str(former) if former.exists() else None, *counts)


def looked_at(copy: str, known: Callable[[str], bool]) -> tuple[int, str]:
    """Return when a copy was made, and the key in it. Raises StorageFailed for what is none, is damaged, or of a newer version."""
    if not Path(copy).is_file():
        raise StorageFailed(copy, "There is no such file.", "Name a file that `aisa backup` made.")
    try:
        with closing(sqlite3.connect(read_only(Path(copy)), uri=True)) as reader:
            ((sound,),) = reader.execute("PRAGMA quick_check(1)").fetchall()
            about = dict(reader.execute(f"SELECT name, value FROM {ABOUT}"))  # noqa: S608 - our own constant
            ((schema,),) = reader.execute("SELECT version_num FROM alembic_version").fetchall()
    except (sqlite3.Error, ValueError) as error:
        raise StorageFailed(copy, f"This is no copy that `aisa backup` made: {error}.", "Name another file.") from error
    if sound != "ok":
        raise StorageFailed(copy, f"The copy is damaged: {sound}.", "Take an older one.")
    if not known(str(schema)):
        what = f"The copy has schema {schema}, which this version of aisa does not know: a newer one, {about.get('version')}, made it."
        raise StorageFailed(copy, what, "Run that version.")
    return int(about["made_at"]), about.get(SEAL_KEY, "")


def brought_up(path: Path, migrate: Migrate) -> None:
    """Bring a copy to this version's schema, in a folder of its own."""
    aside = path.parent / f"{path.name}.folder"
    aside.mkdir(mode=0o700, exist_ok=True)
    os.replace(path, aside / DATABASE_NAME)
    try:
        open_database(str(aside), migrate).close()
    finally:
        os.replace(aside / DATABASE_NAME, path)
        for left in aside.iterdir():
            left.unlink()
        aside.rmdir()


def carried_over(former: Path, fresh: Path) -> tuple[int, int, int]:
    """Let what the former database has revoked, replaced and disabled be so in the fresh one; return how many of each."""
    with closing(sqlite3.connect(fresh)) as target:
        target.execute("ATTACH DATABASE ? AS former", (str(former),))
        with target:
            counts = carry_over(lambda statement: target.execute(statement).rowcount)
        target.execute("DETACH DATABASE former")
    return counts


def carry_over(execute: Callable[[str], int], former: str = "former") -> tuple[int, int, int]:
    """Let what a former schema's tables have revoked, replaced and disabled be so here; return how many of each.

    What administrators have changed stays on record. `execute` runs a statement, of any of our databases, and returns how many rows it
    changed.
    """
    ours = f"id IN (SELECT id FROM {former}.keys WHERE state = 'revoked')"  # noqa: S608 - our own words
    revoked = execute(f"UPDATE keys SET state = 'revoked' WHERE state != 'revoked' AND {ours}")  # noqa: S608 - our own words
    stopped = f"id IN (SELECT id FROM {former}.keys WHERE state = 'disabled')"  # noqa: S608 - our own words
    disabled = execute(f"UPDATE keys SET state = 'disabled' WHERE state = 'active' AND {stopped}")  # noqa: S608 - our own words
    whose = f"name IN (SELECT name FROM {former}.accounts WHERE state = 'disabled')"  # noqa: S608 - our own words
    disabled += execute(f"UPDATE accounts SET state = 'disabled' WHERE state != 'disabled' AND {whose}")  # noqa: S608 - our own words
    newer = f"(SELECT f.{{}} FROM {former}.keys AS f WHERE f.id = keys.id)"  # noqa: S608 - our own words
    differs = f"id IN (SELECT f.id FROM {former}.keys AS f JOIN keys AS k ON k.id = f.id AND k.digest != f.digest)"  # noqa: S608 - our own words
    replaced = execute(
        f"UPDATE keys SET digest = {newer.format('digest')}, hint = {newer.format('hint')} WHERE {differs}"  # noqa: S608 - our own words
    )
    known = f"SELECT * FROM {former}.replaced_secrets WHERE key_id IN (SELECT id FROM keys)"  # noqa: S608 - our own words
    execute(f"INSERT INTO replaced_secrets {known} ON CONFLICT DO NOTHING")
    gone = f"(SELECT f.revoked_at FROM {former}.admin_keys AS f WHERE f.id = admin_keys.id)"  # noqa: S608 - our own words
    revoked += execute(f"UPDATE admin_keys SET revoked_at = {gone} WHERE revoked_at IS NULL AND {gone} IS NOT NULL")  # noqa: S608 - our own words
    here = "SELECT 1 FROM admin_changes AS ours WHERE ours.id = f.id AND ours.at_ms = f.at_ms AND ours.what = f.what"
    later = f"SELECT {CHANGE} FROM {former}.admin_changes AS f WHERE NOT EXISTS ({here}) ORDER BY f.id"  # noqa: S608 - our own words
    execute(f"INSERT INTO admin_changes ({CHANGE}) {later}")
    return revoked, replaced, disabled


CHANGE = "at_ms, actor, address, action, what, before, after"  # a row of what was changed, but for its number


def note_restored(execute: Callable[[str], int], made_at: int, counts: tuple[int, int, int], *, now: float) -> None:
    """Leave a row of the restore among what was changed: of a copy that was made at this UNIX second, and what was carried over."""
    revoked, replaced, disabled = counts
    after = f'{{"made_at":{made_at},"revoked":{revoked},"replaced":{replaced},"disabled":{disabled}}}'
    values = f"{int(now * 1000)}, 'operator', NULL, 'aisa restore', 'restored', NULL, '{after}'"
    execute(f"INSERT INTO admin_changes ({CHANGE}) VALUES ({values})")  # noqa: S608 - numbers alone


def keep_seal(path: Path, key: bytes) -> None:
    """Write the key that states are sealed with. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)


def synced(path: Path) -> None:
    """Have a file on the disk, its name too. Raises OSError."""
    for place in (path, path.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
