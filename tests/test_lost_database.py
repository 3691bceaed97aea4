"""A data folder that was in use and has lost its database is refused, and not begun anew without a word. Real processes where one died."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from aisa.storage.engine import DATABASE_NAME, open_database, open_readers
from aisa.storage.failure import StorageFailed
from aisa.storage.lost import lost_database
from aisa.storage.mark import Mark
from aisa.storage.migrate import migrate
from server import PROCESS_SECONDS_MAX, environment, serving
from test_cli_keys import Run, run
from test_folder_gone import called

__all__ = ["run"]
LOG_NAME = f"{DATABASE_NAME}-wal"
HEADER_BYTES, FRAME_BYTES = 32, 4096 + 24  # of SQLite's log


def emptied(data: Path) -> None:
    """As `truncate -s 0` leaves it; the log beside it has everything."""
    os.truncate(data / DATABASE_NAME, 0)


def removed(data: Path) -> None:
    """The file alone: SQLite would remove the log that is left."""
    (data / DATABASE_NAME).unlink()


def removed_whole(data: Path) -> None:
    """The file and what belongs to it."""
    for found in data.glob(f"{DATABASE_NAME}*"):
        found.unlink()


def without_log(data: Path) -> None:
    """As a server of before left it, when its log is removed: one page, and no table."""
    removed_whole(data)
    with closing(sqlite3.connect(data / DATABASE_NAME)) as database:
        database.execute("PRAGMA journal_mode=WAL")


def with_damaged_log(data: Path) -> None:
    """The same with a log of which no transaction is whole."""
    without_log(data)
    (data / LOG_NAME).write_bytes(b"\xff" * (HEADER_BYTES + 3 * FRAME_BYTES))


LOSSES: list[Callable[[Path], None]] = [emptied, removed, removed_whole, without_log, with_damaged_log]


def served(folder: Path, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Start a server that is to refuse."""
    command = [sys.executable, "-m", "aisa", "serve", "--port", "0", "--data-dir", str(data or folder / "data")]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=PROCESS_SECONDS_MAX)


def held_in(data: Path) -> dict[str, bytes]:
    """The files of a folder, but for the lock, SQLite's index of the log and an empty log, which have nothing to lose."""
    found = {
        path.name: path.read_bytes() for path in data.iterdir() if path.is_file() and path.name not in ("lock", f"{DATABASE_NAME}-shm")
    }
    return {name: content for name, content in found.items() if content or name != LOG_NAME}


def test_a_folder_that_lost_its_database_is_not_begun_anew(tmp_path: Path) -> None:
    """[fault P11] The server started with a new first key; old keys were 401, wallets were gone. Nothing is changed, and a copy helps."""
    with serving(tmp_path, status=-9) as server:
        assert called(server)[0] == 200
        server.aisa("backup", str(tmp_path / "copy"))
        server.process.kill()
    for lose in LOSSES:
        data = tmp_path / "data"
        shutil.copytree(data, tmp_path / "kept", ignore=shutil.ignore_patterns("*.sock"))
        lose(data)
        before = held_in(data)
        refused = served(tmp_path)
        assert (refused.returncode, refused.stdout) == (2, ""), lose.__name__
        told = " ".join(refused.stderr.split())
        assert "The folder was in use" in told
        assert "aisa restore FILE" in told
        assert held_in(data) == before, lose.__name__
        shutil.rmtree(data)
        (tmp_path / "kept").rename(data)
    removed_whole(tmp_path / "data")
    command = [sys.executable, "-m", "aisa", "restore", str(tmp_path / "copy"), "--data-dir", str(tmp_path / "data")]
    subprocess.run(command, cwd=tmp_path, env=environment(), check=True, timeout=PROCESS_SECONDS_MAX)
    with serving(tmp_path, label="again") as server:
        assert called(server)[0] == 200


def test_the_first_key_needs_no_log(tmp_path: Path) -> None:
    """[fault P11] All that a young server had was in SQLite's log. Its first key is in the database's file before it is told."""
    with serving(tmp_path, status=-9) as server:
        server.process.kill()
    for rest in ("-wal", "-shm"):
        (tmp_path / "data" / f"{DATABASE_NAME}{rest}").unlink()
    with closing(sqlite3.connect(tmp_path / "data" / DATABASE_NAME)) as database:
        assert database.execute("SELECT label FROM keys").fetchall() == [("first",)]


@pytest.mark.parametrize("lose", LOSSES)
def test_no_way_into_a_folder_makes_a_database_in_place_of_a_lost_one(run: Run, tmp_path: Path, lose: Callable[[Path], None]) -> None:
    """[fault P11] Neither commands nor those who only read: SQLite removes a log beside an empty file. A backup copies nothing."""
    data = tmp_path / "aisa-data"
    assert run("keys", "create", "x").exit_code == 0
    (data / LOG_NAME).write_bytes(b"what was not copied yet")
    (data / "board").write_bytes(b"")
    lose(data)
    before = held_in(data)
    for words in (["keys", "create", "y"], ["keys", "list"], ["ledger", "audit"], ["ledger", "export"], ["status"], ["backup", "copy"]):
        refused = run(*words)
        assert refused.exit_code == 1, words
        assert "The folder was in use" in " ".join(refused.stderr.split()), words
    for way in (lambda: open_database(str(data), migrate), lambda: open_readers(str(data))):
        with pytest.raises(StorageFailed, match="The folder was in use"):
            way()
    assert held_in(data) == before
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("lose", LOSSES)
def test_a_copy_is_put_in_the_place_of_a_lost_database(run: Run, tmp_path: Path, lose: Callable[[Path], None]) -> None:
    """The remedy works, and what was left of the database lies beside it."""
    data = tmp_path / "aisa-data"
    assert run("keys", "create", "x").exit_code == 0
    assert run("backup", "copy").exit_code == 0
    (data / "board").write_bytes(b"")
    (data / LOG_NAME).write_bytes(b"what was not copied yet")
    lose(data)
    left = held_in(data).get(LOG_NAME)
    restored = run("restore", "copy")
    assert restored.exit_code == 0, restored.stderr
    assert [key["label"] for key in json.loads(run("keys", "list", "--json").stdout)] == ["x"]
    kept = [path.read_bytes() for path in data.glob("*.before-restore-*-wal")]
    assert kept == ([] if left is None else [left])


def test_what_never_had_a_database_is_no_loss(tmp_path: Path) -> None:
    """A new folder, one of a start that died in its first moment, and one whose database cannot be read, of which opening tells more."""
    path = tmp_path / DATABASE_NAME
    assert lost_database(path) is None
    (tmp_path / "lock").write_bytes(b"1\n")
    path.write_bytes(b"")
    assert lost_database(path) is None
    without_log(tmp_path)
    (tmp_path / LOG_NAME).write_bytes(b"\xff" * FRAME_BYTES)
    assert lost_database(path) is None
    (tmp_path / "board").write_bytes(b"")
    assert lost_database(path) is not None
    path.write_bytes(b"no database at all" * 100)
    assert lost_database(path) is None


def changed_without_copying(run: Run, data: Path) -> None:
    """Make keys whose rows are in SQLite's log alone, as a server that was killed leaves them; `x` is in the database's file."""
    assert run("keys", "create", "x").exit_code == 0
    with closing(sqlite3.connect(data / DATABASE_NAME)) as holding:  # while somebody has it open, nothing is copied at a close
        holding.execute("SELECT count(*) FROM keys").fetchall()
        for label in ("y", "z"):
            assert run("keys", "create", label).exit_code == 0
        kept = (data / LOG_NAME).read_bytes(), (data / DATABASE_NAME).read_bytes()
    (data / LOG_NAME).write_bytes(kept[0])
    (data / DATABASE_NAME).write_bytes(kept[1])


def log_removed(data: Path) -> None:
    """As somebody does who takes it for a log."""
    for rest in ("-wal", "-shm"):
        (data / f"{DATABASE_NAME}{rest}").unlink(missing_ok=True)


def log_emptied(data: Path) -> None:
    """As a repair of a file system may leave it."""
    os.truncate(data / LOG_NAME, 0)


def log_cut(data: Path) -> None:
    """The same with its end."""
    os.truncate(data / LOG_NAME, HEADER_BYTES + FRAME_BYTES)


@pytest.mark.parametrize("lose", [log_removed, log_emptied, log_cut])
def test_a_log_that_is_lost_is_told_as_what_it_had_is(run: Run, tmp_path: Path, lose: Callable[[Path], None]) -> None:
    """[fault P11] A database with tables is sound without its log, and older: keys and bills that were written last were gone, unsaid."""
    data = tmp_path / "aisa-data"
    assert run("keys", "create", "w").exit_code == 0
    assert run("backup", "copy").exit_code == 0
    changed_without_copying(run, data)
    shutil.copytree(data, tmp_path / "kept")
    lose(data)
    before = held_in(data)
    for words in (["keys", "create", "v"], ["keys", "list"], ["ledger", "audit"], ["status"], ["backup", "later"]):
        refused = run(*words)
        told = " ".join(refused.stderr.split())
        assert (refused.exit_code, "not in the database (keys, wallets, bills)" in told) == (1, True), (words, told)
        assert "aisa restore FILE" in told
    told = " ".join(served(tmp_path, data).stderr.split())
    assert "not in the database" in told
    assert held_in(data) == before

    assert run("restore", "copy").exit_code == 0  # one way out
    assert labels(run) == ["w"]
    shutil.rmtree(data)
    (tmp_path / "kept").rename(data)  # another: what was there
    assert labels(run) == ["w", "x", "y", "z"]
    lose(data) if (data / LOG_NAME).exists() else None
    assert labels(run) == ["w", "x", "y", "z"], "it was copied when the last command ended"


def test_who_knows_that_some_is_lost_may_go_on_without_it(run: Run, tmp_path: Path) -> None:
    """The third way out that is told: remove the mark. A copy from an upgrade is put back in this way."""
    data = tmp_path / "aisa-data"
    changed_without_copying(run, data)
    log_removed(data)
    assert run("keys", "list").exit_code == 1
    (data / f"{DATABASE_NAME}-mark").unlink()
    assert labels(run) == ["x"]
    assert run("keys", "create", "v").exit_code == 0
    assert labels(run) == ["v", "x"]


def test_a_database_that_was_made_anew_from_a_dump_is_told_as_that(run: Run, tmp_path: Path) -> None:
    """[fault P11] A dump has no number of changes: all that were ever made were said to be missing. The way out that is told works."""
    data = tmp_path / "aisa-data"
    for label in ("x", "y"):
        assert run("keys", "create", label).exit_code == 0
    with closing(sqlite3.connect(data / DATABASE_NAME)) as before:
        dump = "\n".join(before.iterdump())
    for rest in ("", "-wal", "-shm"):
        (data / f"{DATABASE_NAME}{rest}").unlink(missing_ok=True)
    with closing(sqlite3.connect(data / DATABASE_NAME)) as after:
        after.executescript(dump)
    refused = run("keys", "list")
    told = " ".join(refused.stderr.split())
    assert (refused.exit_code, "made anew, as from an SQL dump" in told, "changes that were written last" in told) == (1, True, False), told
    (data / f"{DATABASE_NAME}-mark").unlink()
    assert labels(run) == ["x", "y"]
    assert run("keys", "create", "z").exit_code == 0
    assert labels(run) == ["x", "y", "z"]


def test_a_server_that_was_killed_finds_its_log_lost(tmp_path: Path) -> None:
    """[fault P11] Of a real server that dies with bills in the log."""
    with serving(tmp_path, status=-9) as server:
        assert called(server)[0] == 200
        assert json.loads(server.aisa("ledger", "audit", "--json"))["calls"] == 1
        server.process.kill()
    data = tmp_path / "data"
    shutil.copytree(data, tmp_path / "kept", ignore=shutil.ignore_patterns("*.sock"))
    log_removed(data)
    refused = served(tmp_path)
    assert (refused.returncode, "not in the database" in " ".join(refused.stderr.split())) == (2, True)
    shutil.rmtree(data)
    (tmp_path / "kept").rename(data)
    with serving(tmp_path, label="again") as server:
        assert json.loads(server.aisa("ledger", "audit", "--json"))["calls"] == 1


def labels(run: Run) -> list[str]:
    """The labels of all keys."""
    listed = run("keys", "list", "--json")
    assert listed.exit_code == 0, listed.stderr
    return sorted(key["label"] for key in json.loads(listed.stdout))


def test_a_key_of_seals_that_was_copied_to_a_new_server_is_no_trace_of_one(run: Run, tmp_path: Path) -> None:
    """[fault P11] docs/deploying.md says to copy it before the first start, which was refused: as if a database had been lost."""
    data = tmp_path / "aisa-data"
    data.mkdir(0o700)
    (data / "seal.key").write_text("5" * 64)
    assert lost_database(data / DATABASE_NAME) is None
    made = run("keys", "create", "x")
    assert made.exit_code == 0, made.stderr
    assert (data / "seal.key").read_text() == "5" * 64
    (data / DATABASE_NAME).unlink()
    (data / LOG_NAME).write_bytes(b"what was not copied yet")
    assert lost_database(data / DATABASE_NAME) is not None


def test_a_folder_of_a_shared_database_is_told_where_its_data_are(tmp_path: Path) -> None:
    """Whoever forgets to name PostgreSQL had an empty server of its own."""
    (tmp_path / "server.id").write_text("s")
    (tmp_path / "seal.key").write_bytes(b"")
    lost = lost_database(tmp_path / DATABASE_NAME)
    assert lost is not None
    assert lost.remedy.startswith("If its data are in a database that servers share, name that: stores.database or DATABASE_URL.")


def test_an_audit_names_calls_of_keys_that_are_not_there(tmp_path: Path) -> None:
    """[fault P11] A database that was begun anew had calls of keys that it never knew, and everything added up."""
    with serving(tmp_path) as server:
        assert called(server)[0] == 200
        sound = server.aisa("ledger", "audit")
        assert "Everything adds up." in sound
        with closing(sqlite3.connect(tmp_path / "data" / DATABASE_NAME)) as database, database:
            database.execute("DELETE FROM keys WHERE label = 't'")
            ((call, key),) = database.execute("SELECT id, key_id FROM calls").fetchall()
        audited = server.aisa("ledger", "audit")
        assert f"1 call is of a key that is not in the database: {call} of {key}." in " ".join(audited.split())
        assert "Everything" not in audited
        report = json.loads(server.aisa("ledger", "audit", "--json"))
        assert (report["keyless"], report["keyless_calls"], report["counts"]) == (1, [f"{call} of {key}"], {})


def test_a_commit_while_a_server_ends_writes_into_no_other_file(tmp_path: Path) -> None:
    """A descriptor that was closed is soon another file's: the mark of a commit that was under way went to the beginning of that."""
    mark, other, ended, before = Mark(tmp_path / DATABASE_NAME), tmp_path / "other", threading.Event(), sys.getswitchinterval()

    def commit() -> None:
        while not ended.is_set():
            mark.keep(7)

    other.write_bytes(b"x" * 20)
    committing = threading.Thread(target=commit)
    sys.setswitchinterval(1e-6)
    committing.start()
    try:
        for _ in range(100_000):
            mark.close()
            os.close(os.open(other, os.O_RDWR))
    finally:
        ended.set()
        committing.join()
        sys.setswitchinterval(before)
    assert other.read_bytes() == b"x" * 20
