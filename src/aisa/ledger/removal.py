"""Removes calls that are old from the database, a few at a time, once they are in the sums; writes them to files first if asked.

A removed call is in the sums of its hour and day, in what its account's removed calls come to, and in a file if there is one. Which it is
follows from one transaction: a server that dies in the middle writes the same lines to the same place of the file again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import msgspec
from sqlalchemy import Connection, Row, case, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from aisa.ids import first_id
from aisa.ledger.export import shown
from aisa.ledger.pieces import RolledUp, down, file_of, moment_of
from aisa.ledger.port_usage import DAY_MS
from aisa.ledger.record import row_of
from aisa.ledger.row import CallRow
from aisa.ledger.sums import known_of
from aisa.ledger.usage import IDS_MAX, known_ids
from aisa.ledger.writer import insert_rows
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.tables import calls, removed_calls, removed_files, rolled_up

STEP_ROWS = 500  # that one transaction removes: some milliseconds, in which other writers wait


def remove_old(connection: Connection, before_ms: int, folder: Path | None = None) -> bool:
    """Remove some of the calls that began and ended before the day of a moment. True if there may be more.

    Those that are not in the sums yet stay. With a folder they are written to its files first. Raises StorageFailed when that fails.
    """
    known = known_of(connection)
    midnight = border(before_ms, known)
    old = (calls.c.id < first_id(midnight)) & (calls.c.ended_ms < midnight)
    records = connection.execute(select(calls).where(old).order_by(calls.c.id).limit(STEP_ROWS)).all()
    if not records:
        return False
    if folder is not None:
        write_out(connection, folder, [read(record) for record in records])
    gone = calls.c.id.in_([record.id for record in records])
    add_removed(connection, gone)
    connection.execute(delete(calls).where(gone))
    note_removed(connection, midnight)
    return len(records) == STEP_ROWS


def read(record: Row[tuple[object, ...]]) -> CallRow:
    """Return a record as a row. Raises StorageFailed if somebody changed it."""
    try:
        return row_of(record)
    except msgspec.MsgspecError as error:
        what = f"The call {record[0]} is not as it was written, and no call is removed: {error}."
        raise StorageFailed("calls", what, "Find out with `aisa ledger audit` what was changed.") from error


def insert_left(database: Database, rows: Sequence[CallRow]) -> int:
    """Write rows that a journal had at a start, as `insert_rows` does. Raises StorageFailed where some may have been written and removed.

    That takes a server on a shared database which was away for longer than calls are kept; where the database is its own, it was as well.
    """
    with database.reading() as connection:
        removed_ms = 0 if connection.dialect.name == "sqlite" else known_of(connection).removed_ms
        old = [row.id for row in rows if row.id < first_id(removed_ms)]
        doubtful = set(old) - set(connection.execute(select(calls.c.id).where(calls.c.id.in_(old))).scalars())
    if doubtful:
        what = f"The journal has {len(doubtful)} calls, the first {min(doubtful)}, that began before {moment_of(removed_ms)}:"
        what += " of that time single calls are not kept any more (ledger.keep_days), and these may have been billed."
        remedy = "Move the journal away (`board*` in the data folder), and book by hand what was not: aisa wallet adjust."
        raise StorageFailed("journal", what, remedy)
    return insert_rows(database, rows)


def border(before_ms: int, known: RolledUp) -> int:
    """Return the midnight before which calls may go: all of them are in the sums."""
    return down(min(before_ms, known.rolled_ms), DAY_MS)


def add_removed(connection: Connection, gone: object) -> None:
    """Add what calls come to that go to what the removed ones of their accounts come to."""
    totals = (func.count(), func.sum(calls.c.cost), func.sum(case((calls.c.prepaid, calls.c.cost), else_=0)))
    found = select(calls.c.account, *totals).where(gone).group_by(calls.c.account)  # type: ignore[arg-type]  # a condition
    statement = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(removed_calls)
    statement = statement.from_select(["account", "calls", "spent", "charged"], found)
    more = {name: removed_calls.c[name] + statement.excluded[name] for name in ("calls", "spent", "charged")}
    connection.execute(statement.on_conflict_do_update(index_elements=["account"], set_=more))


def note_removed(connection: Connection, midnight: int) -> None:
    """Note that calls that ended before a moment may be gone."""
    connection.execute(update(rolled_up).where(rolled_up.c.removed_ms < midnight).values(removed_ms=midnight))


def write_out(connection: Connection, folder: Path, rows: Sequence[CallRow]) -> None:
    """Write rows behind what the files of their months have for good, and note how much that is then. Raises StorageFailed."""
    by_file: dict[str, list[CallRow]] = {}
    for row in rows:
        by_file.setdefault(file_of(row.ended_ms), []).append(row)
    for name, part in by_file.items():
        ours = removed_files.c.name == name
        known = connection.execute(select(removed_files.c.bytes).where(ours)).scalar()
        lines = b"".join([msgspec.json.encode(shown(row)) + b"\n" for row in part])
        try:
            check_rest(connection, folder.joinpath(name), known or 0)
            size = append(folder.joinpath(name), known or 0, lines)
        except OSError as error:
            what = f"Old calls cannot be written there, and are kept: {error.strerror}."
            raise StorageFailed(str(folder.joinpath(name)), what, "Look at ledger.export_dir, and at the disk's room.") from error
        if known is None:
            connection.execute(removed_files.insert().values(name=name, bytes=size, calls=len(part)))
        else:
            connection.execute(update(removed_files).where(ours).values(bytes=size, calls=removed_files.c.calls + len(part)))


def check_rest(connection: Connection, path: Path, known: int) -> None:
    """Raise StorageFailed where a file has, behind so many bytes, anything but calls that the database has. Raises OSError.

    Those are of a transaction that was not committed, or of the time after a back-up that was restored. Other lines, of another server or
    of a data folder that is no more, may stand nowhere else. The last may be torn.
    """
    with suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(known)
        while lines := [line for line in islice(file, IDS_MAX) if line.endswith(b"\n")]:
            try:
                ids = {msgspec.json.decode(line, type=_Line).id for line in lines}
            except msgspec.MsgspecError:
                ids = {""}
            if known_ids(connection, ids) != ids:
                what = "It has calls that this server's database does not have, so none is written there, and none is removed."
                raise StorageFailed(str(path), what, "Move it away, or name a folder of this server's own: ledger.export_dir.")


class _Line(msgspec.Struct):
    """What of a line of a file is read."""

    id: str


def append(path: Path, known: int, lines: bytes) -> int:
    """Write lines behind so many bytes of a file, or behind all of it where it is shorter, as one that was moved away. Returns its size.

    What stands there beyond is cut off: see `check_rest`. On disk when it returns, for its owner alone. Raises OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        place = min(known, os.fstat(file.fileno()).st_size)
        file.truncate(place)
        file.seek(place)
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return place + len(lines)
