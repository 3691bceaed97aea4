"""Copies of a PostgreSQL database, by its own `pg_dump` and `pg_restore`, and put back so that nothing that was revoked comes back.

A copy is pg_dump's own custom format, which every `pg_restore` reads. What was there before a restore stays in a schema of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from aisa.clock import Pause, pause
from aisa.storage.backup import BackupMade, Restored, carry_over, note_restored, synced
from aisa.storage.engine import Migrate
from aisa.storage.failure import StorageFailed
from aisa.storage.postgres import CONNECT_SECONDS_MAX, SERVERS, open_postgres, shown, staying

COMMAND_AS = "aisa back-up"
WORDS_MAX = 500  # of what a program says, that are told: its last ones
FORMER = "before_restore_"
#: What was there before a restore, and what counts for a minute only.
LEFT_OUT = (f"--exclude-schema={FORMER}*", "--exclude-schema=aisa_limits")


def dump(url: str, target: str) -> BackupMade:
    """Copy a database, as it is at one moment, into a file that is not there yet, readable by its owner alone. Raises StorageFailed.

    The file appears whole or not at all. Servers go on: they wait for nothing.
    """
    path = Path(target)
    if path.exists():
        raise StorageFailed(target, "There is a file of this name already.", "Name another one; copies are never overwritten.")
    with connected(url) as connection:
        version = version_in(connection)
        if version is None:
            raise StorageFailed(shown(url), "There is no aisa data in this database.", "Name another one, in stores.database.")
        program = program_for(connection, "pg_dump")
    fresh = path.with_name(f"{path.name}.new")
    try:
        os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600))
        ran(program, url, "--format=custom", "--no-owner", "--no-privileges", *LEFT_OUT, f"--file={fresh}")
        synced(fresh)
        os.link(fresh, path)  # unlike a rename, it fails where a file has come to be
    except OSError as error:
        remedy = "Name a file in a folder that this user may write."
        raise StorageFailed(target, f"It cannot be written: {error.strerror}.", remedy) from error
    finally:
        fresh.unlink(missing_ok=True)
    return BackupMade(path.stat().st_size, version)


def put_back(url: str, copy: str, *, migrate: Migrate, now: float, known: Callable[[str], bool]) -> Restored:
    """Put a copy in the place of what the database has, while no server is connected. Raises StorageFailed, and has changed nothing then.

    What was there is kept in a schema beside it. Keys that it knows as revoked or disabled stay so, and secrets that were replaced stay
    replaced. `known` says whether this program knows a schema.
    """
    if not Path(copy).is_file():
        raise StorageFailed(copy, "There is no such file.", "Name a file that `aisa backup` made.")
    with connected(url) as connection:

        def execute(statement: str) -> int:
            return connection.execute(statement.encode()).rowcount

        refuse_if_served(connection, url)
        program, schema, there = program_for(connection, "pg_restore"), where_in(connection), version_in(connection) is not None
        made_at = made_of(ran(program, None, "--list", copy), copy)
        if there:
            open_postgres(url, migrate).close()  # it may be of an older version, and what it knows is read
        former = f"{FORMER}{int(now)}"
        connection.execute(f"ALTER SCHEMA {quoted(schema)} RENAME TO {former}".encode())
        connection.execute(f"CREATE SCHEMA {quoted(schema)}".encode())
        try:
            part = (f"--schema={schema}", "--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
            ran(program, url, *part, copy)
            version = version_in(connection)
            if version is None or not known(version):
                what = f"The copy has schema {version}, which this version of aisa does not know."
                raise StorageFailed(copy, what, "Run the version that made it.")
            open_postgres(url, migrate).close()
            with connection.transaction():
                counts = carry_over(execute, former) if there else (0, 0, 0)
                note_restored(execute, made_at, counts, now=now)
                connection.execute("DELETE FROM allotments")  # of servers that do not run
        except BaseException:
            connection.execute(f"DROP SCHEMA {quoted(schema)} CASCADE".encode())
            connection.execute(f"ALTER SCHEMA {former} RENAME TO {quoted(schema)}".encode())
            raise
        if not there:
            connection.execute(f"DROP SCHEMA {former} CASCADE".encode())
    return Restored(made_at, f"the schema {former}" if there else None, *counts)


@contextmanager
def connected(url: str) -> Generator[psycopg.Connection]:
    """Connect for a while. Raises StorageFailed."""
    try:
        with closing(
            psycopg.connect(
                conninfo_of(url), autocommit=True, connect_timeout=CONNECT_SECONDS_MAX, application_name=COMMAND_AS, prepare_threshold=None
            )
        ) as connection:
            yield connection
    except psycopg.Error as error:
        raise StorageFailed(shown(url), f"The database said: {error}.", "Look whether it runs, and whether this user owns it.") from error


def conninfo_of(url: str) -> str:
    """Return a URL without the driver's name."""
    return url.replace("postgres://", "postgresql://", 1)


def where_in(connection: psycopg.Connection) -> str:
    """Return the schema that our tables are in, or would be."""
    found = connection.execute("SELECT current_schema()").fetchone()
    assert found is not None, "a SELECT has a row"
    return str(found[0])


def version_in(connection: psycopg.Connection) -> str | None:
    """Return the version of our tables, None if there are none."""
    found = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
    if found is None or found[0] is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def refuse_if_served(connection: psycopg.Connection, url: str, pause: Pause = pause) -> None:
    """Raise StorageFailed if a server uses the database, and still does after the time in which connections of one that has ended go."""

    def servers() -> int:
        found = connection.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {SERVERS}".encode()).fetchone()  # noqa: S608 - our own words
        assert found is not None, "a count has a row"
        return int(found[0])

    if used := staying(servers, pause):
        raise StorageFailed(shown(url), f"Servers use this database, with {used} connections.", "Stop all of them first.")


def program_for(connection: psycopg.Connection, name: str) -> str:
    """Return the path of a program of PostgreSQL's that is at least as new as the server. Raises StorageFailed."""
    path, server = shutil.which(name), connection.info.server_version // 10_000
    if path is None:
        remedy = f"Install the client programs of PostgreSQL {server} or later (Debian: postgresql-client)."
        raise StorageFailed(name, "This program is not installed here, which copies are made and put back with.", remedy)
    found = re.search(r"\(PostgreSQL\) (\d+)", ran(path, None, "--version"))
    if found is None or int(found[1]) < server:
        what = f"This program is of PostgreSQL {found[1] if found else 'an unknown version'}, and the server is {server}."
        raise StorageFailed(path, what, f"Install the client programs of PostgreSQL {server} or later, first in PATH.")
    return path


def ran(program: str, url: str | None, *words: str) -> str:
    """Run a program, on a database if one is given, and return what it says. Raises StorageFailed.

    The password goes by its environment: everybody can see a command's words.
    """
    environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    if url is not None:
        parts = {name: str(value) for name, value in conninfo_to_dict(conninfo_of(url)).items() if value is not None}
        environment["PGPASSWORD"] = parts.pop("password", environment.get("PGPASSWORD", ""))
        words = (f"--dbname={make_conninfo(**parts)}", "--no-password", *words)
    done = subprocess.run([program, *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603 - by its own path
    if done.returncode:
        said = " ".join(done.stderr.split())[-WORDS_MAX:]
        remedy = "Look at the room on the disk and at the database; nothing was changed."
        raise StorageFailed(Path(program).name, f"It failed: {said or f'status {done.returncode}'}.", remedy)
    return done.stdout


def made_of(listed: str, copy: str) -> int:
    """Return when a copy was made, in UNIX seconds, by what `pg_restore --list` says. Raises StorageFailed for what is none of ours."""
    if "alembic_version" not in listed:
        raise StorageFailed(copy, "This is no copy of aisa's data.", "Name a file that `aisa backup` made.")
    found = re.search(r"Archive created at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", listed)
    return int(datetime.fromisoformat(f"{found[1]}Z").timestamp()) if found else int(Path(copy).stat().st_mtime)


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
