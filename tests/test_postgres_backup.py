"""Copies of a PostgreSQL database: made while a server writes, put back whole or not at all, and nothing that was revoked comes back."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from aisa.keys.changes import ChangeStore
from aisa.keys.store import KeyStore
from aisa.ledger.store import LedgerStore
from aisa.ledger.writer import insert_rows
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.migrate import migrate
from aisa.storage.months import make_ahead
from aisa.storage.postgres import LOOKS, open_postgres
from aisa.storage.postgres_backup import connected, dump, put_back, refuse_if_served
from aisa.storage.tables import HEAD, calls
from postgres_rig import Postgres, needs_postgres
from rows import NOON, priced
from test_cli_keys import Run, run
from test_retention import audited

__all__ = ["run"]
pytestmark = needs_postgres


@contextmanager
def used(url: str) -> Generator[tuple[Database, KeyStore]]:
    """Open a database as a server does."""
    database = open_postgres(url, migrate)
    try:
        yield database, KeyStore(database, lambda: 1, random.Random(1))
    finally:
        database.close()


def put(url: str, copy: Path) -> tuple[str | None, int, int, int]:
    """Put a copy back, and return what is told of it."""
    restored = put_back(url, str(copy), migrate=migrate, now=77, known={HEAD}.__contains__)
    assert abs(restored.made_at - copy.stat().st_mtime) <= 600  # whatever the zone of this machine
    return restored.former, restored.revoked, restored.replaced, restored.disabled


def test_a_copy_is_put_back_and_what_was_revoked_since_stays_so(postgres: Postgres, tmp_path: Path) -> None:
    """[fault P10] Rows, accounts and keys are as they were; keys that were revoked, disabled or replaced since are not; and again."""
    url = postgres.fresh()
    with used(url) as (database, keys):
        made = {name: keys.create(name) for name in ("revoked", "disabled", "replaced", "left")}
        with database.transaction() as connection:
            make_ahead(connection, NOON)
        insert_rows(database, [priced(1), priced(2)])
        stop = threading.Event()
        writing = threading.Thread(
            target=lambda: [insert_rows(database, [priced(number)]) for number in range(10, 200) if not stop.is_set()]
        )
        writing.start()
        changes = ChangeStore(database, lambda: 7)
        changes.keep("boss (adm_1)", "192.0.2.1", "POST /keys", changes=[("created", None, {"label": "left"})])
        copied = dump(url, str(tmp_path / "copy"))
        stop.set()
        writing.join()
        assert copied.schema == HEAD
        assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
        with pytest.raises(StorageFailed, match="never overwritten"):
            dump(url, str(tmp_path / "copy"))
        keys.revoke("revoked")
        keys.set_state("disabled", "disabled")
        keys.rotate("replaced", 0)
        changes.keep("boss (adm_1)", None, "POST /keys/revoked/revoke", changes=[("revoked", 1, 2), ("said", None, "it's gone")])
        with pytest.raises(StorageFailed, match=r"Servers use this database.*Stop all of them"):
            put(url, tmp_path / "copy")
    assert put(url, tmp_path / "copy") == ("the schema before_restore_77", 1, 1, 1)
    with used(url) as (database, keys):
        states = {key.label: key.state for key in keys.list()}
        assert states == {"revoked": "revoked", "disabled": "disabled", "replaced": "active", "left": "active"}
        assert keys.verify(made["left"][1]).label == "left"
        changes = ChangeStore(database, lambda: 8)
        changes.keep("boss (adm_1)", None, "POST /reload", changes=[("reloaded", None, None)])
        assert [change.what for change in changes.newest(10)] == ["reloaded", "restored", "said", "revoked", "created"]
        report = audited(LedgerStore(database, lambda: 1))
        assert report.counts == {}
        assert report.calls >= 2
        with database.transaction() as connection:
            make_ahead(connection, NOON)
        dump(url, str(tmp_path / "second"))
    postgres.sql(url, "DROP SCHEMA before_restore_77 CASCADE")
    assert put(url, tmp_path / "second") == ("the schema before_restore_77", 0, 0, 0)


def test_a_connection_of_a_server_that_has_just_ended_is_waited_for(postgres: Postgres) -> None:
    """PostgreSQL lists it for a moment more: who stops the server and restores at once is not told to stop it. One that stays is told."""
    url, waits = postgres.fresh(), list[float]()
    with ExitStack() as server, connected(url) as connection:
        server.enter_context(used(url))

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) >= LOOKS + 2:
                server.close()
                threading.Event().wait(seconds)

        with pytest.raises(StorageFailed, match="Servers use this database"):
            refuse_if_served(connection, url, wait)
        refuse_if_served(connection, url, wait)
    assert LOOKS + 2 <= len(waits) < 2 * LOOKS


def test_a_copy_goes_into_an_empty_database(postgres: Postgres, tmp_path: Path) -> None:
    """On another machine: there is nothing before it, and nothing is kept."""
    url, other = postgres.fresh(), postgres.fresh()
    with used(url) as (database, _):
        insert_rows(database, [priced(1)])
    dump(url, str(tmp_path / "copy"))
    assert put(other, tmp_path / "copy") == (None, 0, 0, 0)
    with used(other) as (database, _), database.reading() as connection:
        assert connection.execute(select(calls.c.id)).scalars().all() == [priced(1).id]


def test_what_is_no_copy_changes_nothing(postgres: Postgres, tmp_path: Path) -> None:
    """Another file, another program's dump, one that breaks off, and one of a newer version are refused, and the database is as it was."""
    url, other = postgres.fresh(), postgres.fresh()
    with used(url) as (database, _):
        insert_rows(database, [priced(1)])
    postgres.sql(other, "CREATE TABLE alembic_version AS SELECT '9999'::text AS version_num")
    dump(other, str(tmp_path / "newer"))
    dump(url, str(tmp_path / "copy"))
    whole = (tmp_path / "copy").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) * 2 // 3])
    (tmp_path / "text").write_text("hello" * 1_000)
    for name in ("newer", "cut", "text", "missing"):
        with pytest.raises(StorageFailed):
            put(url, tmp_path / name)
        with used(url) as (database, _), database.reading() as connection:
            assert connection.execute(select(calls.c.id)).scalars().all() == [priced(1).id]
    with pytest.raises(StorageFailed, match="no aisa data"):
        dump(postgres.fresh(), str(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()


def test_the_commands_take_the_database_that_the_server_has(
    run: Run, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`aisa backup` and `restore` with DATABASE_URL, and without it on such a server's folder; a program that is too old or not there."""
    url = postgres.migrated()
    monkeypatch.setenv("DATABASE_URL", url)
    said = run("backup", "copy")
    assert (said.exit_code, "schema" in said.stdout) == (0, True), said.output
    said = run("restore", "copy")
    assert (said.exit_code, "before_restore_" in said.stdout) == (0, True), said.output
    database = open_postgres(url, migrate)
    insert_rows(database, [priced(1), priced(2)])
    database.close()
    said = run("ledger", "export", "--since", "always")
    assert [json.loads(line)["id"] for line in said.stdout.splitlines()] == [priced(1).id, priced(2).id]
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n")
    (programs / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}")
    assert "of PostgreSQL 9, and the server is" in run("backup", "other").stderr
    (programs / "pg_dump").unlink()
    assert "not installed" in run("backup", "other").stderr
    monkeypatch.setenv("DATABASE_URL", "postgresql://aisa:secret@127.0.0.1:9/aisa")
    said = run("backup", "other")
    assert (said.exit_code, "secret" in said.output) == (1, False)
    monkeypatch.delenv("DATABASE_URL")
    (tmp_path / "aisa-data").mkdir(mode=0o700)
    (tmp_path / "aisa-data" / "server.id").touch()
    for command in ("backup", "restore"):
        assert "DATABASE_URL" in run(command, "third").stderr
