"""Copies of the data: made while a server writes, put back whole, and nothing that was revoked comes back with them."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import URL, create_engine, text

from aisa.storage.backup import ABOUT, back_up, refuse_small, restore, taken_away
from aisa.storage.engine import DATABASE_NAME, open_database
from aisa.storage.failure import StorageFailed
from aisa.storage.lock import own_folder
from aisa.storage.migrate import alembic_config, migrate
from aisa.storage.tables import HEAD
from server import Server, serving
from test_cli_keys import Run, run
from test_reload import asked

__all__ = ["run"]
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi."}]}


def known(_schema: str) -> bool:
    """Know every schema."""
    return True


def made(folder: Path) -> Path:
    """A data folder with an empty database."""
    folder.mkdir()
    open_database(str(folder), migrate).close()
    return folder


def test_a_copy_is_made_under_load_and_is_whole(tmp_path: Path) -> None:
    """[fault P10] While a server writes rows: the copy is sound and adds up, for its owner alone, and the server does not notice."""
    with serving(tmp_path) as server:
        stop = threading.Event()
        statuses: list[int] = []

        def load() -> None:
            while not stop.is_set():
                statuses.append(asked(server, "/v1/chat/completions", CALL).status)

        thread = threading.Thread(target=load)
        thread.start()
        for number in range(3):
            server.aisa("backup", str(tmp_path / f"copy-{number}"))
        stop.set()
        thread.join()
        assert set(statuses) == {200}
    for number in range(3):
        path = tmp_path / f"copy-{number}"
        assert path.stat().st_mode & 0o777 == 0o600
        with closing(sqlite3.connect(path)) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            ((calls,), (booked,)) = copy.execute("SELECT count(*) FROM calls UNION ALL SELECT sum(calls) FROM accounts").fetchall()
            assert calls == booked
    assert not list(tmp_path.glob("*.new"))


def test_what_was_copied_is_there_again_and_what_was_revoked_is_not(run: Run, tmp_path: Path) -> None:
    """[fault P10] A leaked key that was revoked, replaced or disabled after the copy stays so; the rest is as it was then."""
    secrets = {name: run("keys", "create", name, "--quiet").stdout.strip() for name in ("kept", "revoked", "rotated", "stopped")}
    assert run("accounts", "create", "acme").exit_code == 0
    admin = run("admin-keys", "create", "ops", "--scope", "write", "--quiet").stdout.strip()
    assert run("backup", "copy.db").exit_code == 0
    assert run("keys", "revoke", "revoked").exit_code == 0
    assert run("keys", "disable", "stopped").exit_code == 0
    assert run("accounts", "disable", "acme").exit_code == 0
    assert run("admin-keys", "revoke", "ops").exit_code == 0
    fresh = run("keys", "rotate", "rotated", "--grace", "0", "--quiet").stdout.strip()
    assert run("keys", "update", "kept", "--label", "changed").exit_code == 0
    assert run("keys", "create", "later").exit_code == 0
    said = run("restore", "copy.db")
    assert said.exit_code == 0, said.stderr
    assert "2 revoked, 1 with another secret, 2 disabled" in said.stdout
    states = {key["label"]: key["state"] for key in json.loads(run("keys", "list", "--json").stdout)}
    assert states == {"kept": "active", "revoked": "revoked", "rotated": "active", "stopped": "disabled"}
    for secret, exit_code in ((secrets["kept"], 0), (fresh, 0), (secrets["rotated"], 0)):
        assert run("keys", "show", "-", typed=f"{secret}\n").exit_code == exit_code
    with serving_on(tmp_path) as server:
        server.key = fresh
        assert asked(server, "/v1/models").status == 200
        for refused in ("rotated", "revoked", "stopped"):
            server.key = secrets[refused]
            assert asked(server, "/v1/models").status == 401, refused
    assert [key["revoked_at"] is None for key in json.loads(run("admin-keys", "list", "--json").stdout)] == [False]
    assert admin.startswith("sk-aisa-admin-")
    (former,) = (tmp_path / "aisa-data").glob(f"{DATABASE_NAME}.before-restore-*")
    with closing(sqlite3.connect(former)) as database:
        assert database.execute("SELECT count(*) FROM keys WHERE label = 'later'").fetchall() == [(1,)], "nothing is lost by a restore"
        known = database.execute("SELECT at_ms, actor, action, what, after FROM admin_changes ORDER BY id").fetchall()
    with closing(sqlite3.connect(tmp_path / "aisa-data" / DATABASE_NAME)) as database:
        rows = database.execute("SELECT at_ms, actor, action, what, after FROM admin_changes ORDER BY id").fetchall()
    assert rows[: len(known)] == known, "what administrators changed stays on record, though it is undone"
    _, *said_of_it, after = rows[len(known)]
    assert said_of_it == ["operator", "aisa restore", "restored"]
    assert {name: value for name, value in json.loads(after).items() if name != "made_at"} == {"revoked": 2, "replaced": 1, "disabled": 2}


@contextmanager
def serving_on(folder: Path) -> Generator[Server]:
    """Run a server on the data that the command line used, and will use again."""
    (folder / "aisa-data").rename(folder / "data")
    with serving(folder) as server:
        yield server
    (folder / "data").rename(folder / "aisa-data")


def test_a_copy_goes_into_an_empty_folder_with_the_key_of_its_seals(tmp_path: Path) -> None:
    """On another machine: what was sealed for vendors can be opened there."""
    folder = made(tmp_path / "a")
    (folder / "seal.key").write_bytes(b"k" * 32)
    back_up(str(folder), str(tmp_path / "copy"), now=1_000.0, version="1")
    restored = restore(str(made(tmp_path / "b")), str(tmp_path / "copy"), migrate=migrate, now=2_000.0, known=known)
    assert (restored.made_at, (tmp_path / "b" / "seal.key").read_bytes()) == (1_000, b"k" * 32)
    (tmp_path / "c").mkdir()
    empty = restore(str(tmp_path / "c"), str(tmp_path / "copy"), migrate=migrate, now=2_000.0, known=known)
    assert empty.former is None
    with closing(sqlite3.connect(tmp_path / "c" / DATABASE_NAME)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        assert database.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (ABOUT,)).fetchall() == [(0,)]
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == [DATABASE_NAME, "seal.key"]


def test_a_copy_of_an_older_version_is_brought_up_and_of_a_newer_one_refused(tmp_path: Path) -> None:
    """Nothing has changed where it is refused."""
    old = tmp_path / "old"
    old.mkdir()
    engine = create_engine(URL.create("sqlite+pysqlite", database=str(old / DATABASE_NAME)))
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0009")
        columns = "id, label, digest, hint, state, created_at, account"
        connection.execute(text(f"INSERT INTO keys ({columns}) VALUES ('a', 'a', x'01', '', 'active', 1, 'default')"))
    engine.dispose()
    back_up(str(old), str(tmp_path / "copy"), now=1.0, version="0")
    folder = made(tmp_path / "new")
    before = (folder / DATABASE_NAME).read_bytes()
    with pytest.raises(StorageFailed, match="0009, which this version of aisa does not know"):
        restore(str(folder), str(tmp_path / "copy"), migrate=migrate, now=2.0, known=lambda schema: schema != "0009")
    assert (folder / DATABASE_NAME).read_bytes() == before
    restore(str(folder), str(tmp_path / "copy"), migrate=migrate, now=2.0, known=known)
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as database:
        assert database.execute("SELECT id FROM keys").fetchall() == [("a",)]


def test_what_is_no_copy_is_refused_and_changes_nothing(run: Run, tmp_path: Path) -> None:
    """A database that was copied by hand, a damaged file, none at all; and no copy is overwritten."""
    assert run("keys", "create", "x").exit_code == 0
    assert run("backup", "good").exit_code == 0
    assert run("backup", "good").exit_code == 1
    (tmp_path / "by-hand").write_bytes((tmp_path / "aisa-data" / DATABASE_NAME).read_bytes())
    damaged = bytearray((tmp_path / "good").read_bytes())
    damaged[4096 * 2 : 4096 * 6] = b"\xff" * 4096 * 4
    (tmp_path / "damaged").write_bytes(damaged)
    (tmp_path / "text").write_text("hello" * 1000)
    for name in ("by-hand", "damaged", "text", "missing", "aisa-data"):
        refused = run("restore", name)
        assert (refused.exit_code, "nothing was restored" in refused.stderr) == (1, True), name
    assert len(json.loads(run("keys", "list", "--json").stdout)) == 1
    assert run("backup", "no/such/folder").exit_code == 1
    with own_folder("aisa-data"):
        held = run("restore", "good")
        assert (held.exit_code, "in use" in held.stderr) == (1, True)


def test_a_database_is_kept_as_it_was_before_its_schema_changes(tmp_path: Path) -> None:
    """[fault P10] An upgrade can be undone, and says what it does; a new database has nothing to keep and nothing to say."""
    engine = create_engine(URL.create("sqlite+pysqlite", database=str(tmp_path / DATABASE_NAME)))
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0009")
    engine.dispose()
    told: list[str] = []
    open_database(str(tmp_path), partial(migrate, tell=told.append)).close()
    open_database(str(tmp_path), partial(migrate, tell=told.append)).close()
    before, after = told
    assert f"from schema 0009 to {HEAD}, in one transaction. As it was it is in {DATABASE_NAME}.schema-0009." in before
    assert "\n  0044  Makes the sums of hours and days, and what is known of removed calls.\n" in before
    assert after.endswith(" ms.")
    kept = tmp_path / f"{DATABASE_NAME}.schema-0009"
    assert kept.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(kept)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("0009",)]
    made(tmp_path / "new")
    assert len(told) == 2
    assert not list((tmp_path / "new").glob("*.schema-*"))


def test_a_disk_without_room_is_told_before_anything_is_copied(run: Run, tmp_path: Path) -> None:
    """Both ways say how much is needed and how much is left; what was there stays, and nothing lies beside it."""
    assert run("keys", "create", "x").exit_code == 0
    assert run("backup", "copy").exit_code == 0
    os.truncate(tmp_path / "copy", 1 << 43)  # more than a disk of tests has; nothing is written for it
    with pytest.raises(StorageFailed, match=r"takes 8,796,093,022,208 bytes, and the disk has [0-9,]+ left"):
        refuse_small(made(tmp_path / "other"), tmp_path / "copy")
    small = tmp_path / "fresh"
    for rest in ("", "-journal"):
        (tmp_path / f"fresh{rest}").touch()
    taken_away(small)
    assert not list(tmp_path.glob("fresh*"))
