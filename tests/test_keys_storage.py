"""The data folder and its database: owned by one process, private, brought up to date, and clear about what is wrong."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, create_engine, insert, select, text

from aisa.storage.engine import Database, open_database, version_of
from aisa.storage.failure import FolderHeld, StorageFailed
from aisa.storage.lock import SOCKET_PATH_BYTES_MAX, check_folder, control_path, exposure, own_folder, unusable, user_name
from aisa.storage.migrate import alembic_config, migrate
from aisa.storage.tables import HEAD, accounts, keys, metadata

ROW = {"hint": "", "state": "active", "created_at": 1, "account": "default"}


def mode(path: Path) -> int:
    """Return a file's permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_and_all_in_it_are_for_the_owner_only(tmp_path: Path) -> None:
    """Whatever the umask allows, nobody else may read keys' digests."""
    folder = tmp_path / "new" / "data"
    old = os.umask(0)
    try:
        with own_folder(str(folder)):
            database = open_database(str(folder), migrate)
            with database.transaction() as connection:
                connection.execute(insert(keys).values(id="a", label="a", digest=b"a", **ROW))
            modes = {path.name: mode(path) for path in folder.iterdir()}
            database.close()
    finally:
        os.umask(old)
    assert mode(folder) == 0o700
    assert modes == dict.fromkeys(("lock", "aisa.db", "aisa.db-wal", "aisa.db-shm", "aisa.db-mark"), 0o600)


def test_a_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    """A second owner is refused by the number of the first, until that one lets go."""
    with own_folder(str(tmp_path)), pytest.raises(FolderHeld, match=f"process {os.getpid()}") as caught:
        own_folder(str(tmp_path))
    assert "--data-dir" in caught.value.remedy
    with own_folder(str(tmp_path)):
        pass


def test_a_killed_owner_leaves_the_folder_free(tmp_path: Path) -> None:
    """The lock ends with its process, however that ends."""
    code = (
        "import os; from aisa.storage.lock import own_folder\n"
        f"lock = own_folder({str(tmp_path)!r}); print('ready', flush=True); os.kill(os.getpid(), 9)"
    )
    source = Path(__file__).parent.parent / "src"
    ended = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(source)}, capture_output=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout) == (-9, b"ready\n")
    own_folder(str(tmp_path)).release()


@pytest.mark.parametrize("place", ["file", "file/below", "link"])
def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path, place: str) -> None:
    """A file in the way, or a lock that is somebody's link, is a failure that says which setting to change."""
    (tmp_path / "file").touch()
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageFailed, match="cannot be used") as caught:
        own_folder(str(tmp_path / place))
    assert "server.data_dir" in caught.value.remedy
    assert ("a file is there" in caught.value.what) == (place != "link")
    found = check_folder(str(tmp_path / place))
    assert found is not None
    assert found.where == str(tmp_path / place)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_of_another_user_says_whose_it_is(tmp_path: Path) -> None:
    """[issue 13] After a command of root's in a unit's folder the unit was told `Permission denied` of a folder that was its own."""
    mine, stranger, denied = user_name(os.geteuid()), os.geteuid() + 1_234_567, PermissionError(errno.EACCES, "Permission denied")
    failure = unusable(str(tmp_path), denied, stranger)
    assert f"{tmp_path} belongs to {mine}, and this process runs as {stranger}." in failure.what
    assert failure.remedy == f"Run this as {mine}."
    (tmp_path / "lock").touch()
    assert unusable(str(tmp_path), denied, os.geteuid()).what == "The data folder cannot be used: Permission denied."


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of another user")
def test_a_file_of_another_user_in_a_folder_of_ones_own_is_told(tmp_path: Path) -> None:
    """[issue 13] The same, the other way round: the folder is given to another, what root left in it is not."""
    other = os.geteuid() + 1_234_567
    own_folder(str(tmp_path)).release()
    os.chown(tmp_path, other, -1)
    failure = unusable(str(tmp_path), PermissionError(errno.EACCES, "Permission denied"), other)
    assert f"{tmp_path / 'lock'} belongs to {user_name(0)}," in failure.what
    assert failure.remedy == f"Give it what another user left in the folder: chown -R {user_name(other)} {tmp_path}"


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_a_folder_that_everybody_may_change_is_refused(tmp_path: Path, mode: int) -> None:
    """[fault S18] Whoever may write in it may put other keys there. The remedy is a command; nothing is written before."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    for look in (lambda: own_folder(str(folder)), lambda: raised(check_folder(str(folder)))):
        with pytest.raises(StorageFailed, match=f"mode {mode:04o}.*chmod 700 {folder}"):
            look()
    assert list(folder.iterdir()) == []


def raised(failure: StorageFailed | None) -> None:
    """Raise what was found."""
    assert failure is not None
    raise failure


@pytest.mark.parametrize(("mode", "words"), [(0o700, None), (0o750, "may look into"), (0o755, "may look into"), (0o2770, "may change")])
def test_a_folder_that_others_may_look_into_is_told(tmp_path: Path, mode: int, words: str | None) -> None:
    """[fault S18] It is used, as some systems give no other, and the operator is told how to close it."""
    tmp_path.chmod(mode)
    own_folder(str(tmp_path)).release()
    told = exposure(str(tmp_path))
    assert told is None if words is None else words in str(told)


def test_checking_a_folder_changes_nothing(tmp_path: Path) -> None:
    """A folder that is not there is not made, one that is there stays free, and one that is owned is reported."""
    assert check_folder(str(tmp_path / "a" / "b")) is None
    assert list(tmp_path.iterdir()) == []
    assert check_folder(str(tmp_path)) is None
    with own_folder(str(tmp_path)):
        assert isinstance(check_folder(str(tmp_path)), FolderHeld)
    assert check_folder(str(tmp_path)) is None


def test_a_folder_whose_socket_could_not_be_named_is_refused(tmp_path: Path) -> None:
    """A unix socket's path is short, and a server that cannot be administered should not start."""
    longest = "/" + "x" * (SOCKET_PATH_BYTES_MAX - len("//control.sock"))
    assert control_path(longest) == f"{longest}/control.sock"
    with pytest.raises(StorageFailed, match="too long"):
        control_path(longest + "x")
    assert control_path(str(tmp_path / "d")) == str(tmp_path / "d" / "control.sock")


def test_the_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    """A database made by migrating differs in nothing from the tables in the code, and HEAD is the newest migration."""
    database = open_database(str(tmp_path), migrate)
    with database.transaction() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []
        assert version_of(connection) == HEAD
    database.close()
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [HEAD]


def test_an_older_database_gets_an_account_for_every_key(tmp_path: Path) -> None:
    """The keys of the first version stay as they were, and whoever they name is there, without a limit, beside the default."""
    engine = create_engine(URL.create("sqlite+pysqlite", database=str(tmp_path / "aisa.db")))
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
        old = "INSERT INTO keys (id, label, digest, hint, state, created_at, account) VALUES (:id, :id, :digest, '', 'active', 7, :account)"
        for name, account in (("a", "acme"), ("b", "default"), ("c", "acme")):
            connection.execute(text(old), {"id": name, "digest": name.encode(), "account": account})
    engine.dispose()
    database = open_database(str(tmp_path), migrate)
    with database.reading() as connection:
        found = connection.execute(select(accounts.c.name, accounts.c.balance, accounts.c.calls).order_by(accounts.c.name)).all()
        assert found == [("acme", None, 0), ("default", None, 0)]
        assert connection.execute(select(keys.c.id, keys.c.account, keys.c.spend_cap).order_by(keys.c.id)).all() == [
            ("a", "acme", None),
            ("b", "default", None),
            ("c", "acme", None),
        ]
    database.close()


def test_a_transaction_waits_as_long_as_it_is_told(tmp_path: Path) -> None:
    """Whoever must not wait says so for one transaction; the next one on the same connection has the usual patience again."""
    database = open_database(str(tmp_path), migrate)
    with database.transaction(busy_milliseconds=0) as connection:
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 0
    with database.transaction() as connection:
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 5000
    database.close()


def test_readers_need_no_turn(tmp_path: Path) -> None:
    """Reading goes on inside a transaction of another thread and sees nothing of it, and a folder of any name is found."""
    folder = tmp_path / "a %20?b#c"
    folder.mkdir()
    database = open_database(str(folder), migrate)
    with database.transaction() as connection:
        connection.execute(insert(keys).values(id="a", label="a", digest=b"a", **ROW))
        with database.reading() as reading:
            assert reading.execute(select(keys)).all() == []
    with database.reading() as reading:
        assert len(reading.execute(select(keys)).all()) == 1
    with pytest.raises(StorageFailed, match="cannot be written"), database.reading() as reading:
        reading.execute(text("DELETE FROM keys"))
    database.close()


def test_the_database_survives_a_power_cut_and_waits_for_a_backup(tmp_path: Path) -> None:
    """Write-ahead log, full synchronisation and five seconds of patience are what its connection has."""
    database = open_database(str(tmp_path), migrate)
    pragmas = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
    with database.transaction() as connection:
        assert [connection.execute(text(f"PRAGMA {pragma}")).scalar() for pragma in pragmas] == ["wal", 2, 5000, 1]
    database.close()


def test_a_current_database_needs_no_alembic(tmp_path: Path) -> None:
    """The second start is not slowed by the tool of the first."""
    open_database(str(tmp_path), migrate).close()
    code = (
        "import sys; from aisa.storage.engine import open_database\n"
        f"open_database({str(tmp_path)!r}, lambda connection: sys.exit('migrated')).close()\n"
        "print('alembic' in sys.modules)"
    )
    source = Path(__file__).parent.parent / "src"
    ended = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(source)}, capture_output=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"False\n", b"")


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """An older program must not guess what a newer one's tables mean."""
    database = open_database(str(tmp_path), migrate)
    with database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(StorageFailed, match=r"schema 9999.+newer.+Run that newer version"):
        open_database(str(tmp_path), migrate)
    assert not list(tmp_path.glob("*.schema-*")), "what is not migrated needs no copy, which is as large"


def test_a_migration_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    """Migrating is one transaction: a crash in the middle is a database as before."""

    def half(connection: Connection) -> None:
        migrate(connection)
        raise StorageFailed("here", "Stopped in the middle.", "Go on.")

    with pytest.raises(StorageFailed, match="in the middle"):
        open_database(str(tmp_path), half)
    database = open_database(str(tmp_path), lambda _connection: None)
    with database.transaction() as connection:
        assert version_of(connection) is None
        assert connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar() == 0
    database.close()


@pytest.mark.parametrize("content", [b"this is no database, but a text that is long enough", b"SQLite format 3\x00" + b"\xff" * 8192])
def test_a_file_that_is_no_database_is_told(tmp_path: Path, content: bytes) -> None:
    """A damaged or foreign file is neither used nor overwritten."""
    (tmp_path / "aisa.db").write_bytes(content)
    with pytest.raises(StorageFailed, match=r"no SQLite database|damaged") as caught:
        open_database(str(tmp_path), migrate)
    assert "backup" in caught.value.remedy
    assert (tmp_path / "aisa.db").read_bytes() == content


def test_a_database_that_is_a_folder_or_a_link_is_told(tmp_path: Path) -> None:
    """What cannot be opened as a file of ours is not opened."""
    (tmp_path / "a" / "aisa.db").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "aisa.db").symlink_to(tmp_path / "elsewhere")
    for name in ("a", "b"):
        with pytest.raises(StorageFailed, match="cannot be opened"):
            open_database(str(tmp_path / name), migrate)
    assert not (tmp_path / "elsewhere").exists()


def test_a_read_only_database_is_told(tmp_path: Path) -> None:
    """Writing to a file that may only be read fails in words, and names the file."""
    open_database(str(tmp_path), migrate).close()
    url = URL.create("sqlite+pysqlite", database=f"file:{tmp_path}/aisa.db", query={"mode": "ro", "uri": "true"})
    database = Database(create_engine(url), "the file")
    with pytest.raises(StorageFailed, match="cannot be written") as caught, database.transaction() as connection:
        connection.execute(insert(keys).values(id="a", label="a", digest=b"a", **ROW))
    assert caught.value.where == "the file"
    database.close()


def test_a_full_disk_is_told_and_changes_nothing(tmp_path: Path) -> None:
    """The transaction that met the end of the disk is undone, the next that fits goes on."""
    database = open_database(str(tmp_path), migrate)
    with database.transaction() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar()
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))
    rows = [{"id": str(number), "label": str(number), "digest": b"%d" % number, **ROW} for number in range(1000)]
    with pytest.raises(StorageFailed, match="disk is full"), database.transaction() as connection:
        connection.execute(insert(keys), rows)
    with database.transaction() as connection:
        assert connection.execute(select(keys)).all() == []
    database.close()


def test_a_missing_table_is_told_with_what_the_database_said(tmp_path: Path) -> None:
    """A file that was changed by hand is no traceback."""
    database = open_database(str(tmp_path), migrate)
    with database.transaction() as connection:
        connection.execute(text("DROP TABLE keys"))
    with pytest.raises(StorageFailed, match="no such table: keys"), database.transaction() as connection:
        connection.execute(select(keys))
    database.close()


def test_a_transaction_takes_the_write_lock_before_its_first_statement(tmp_path: Path) -> None:
    """Whoever has read cannot be refused the write that follows, because nobody else can have written meanwhile."""
    database = open_database(str(tmp_path), migrate)
    other = sqlite3.connect(tmp_path / "aisa.db", timeout=0)
    with database.transaction(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()
    database.close()


def test_a_transaction_that_raises_is_undone(tmp_path: Path) -> None:
    """Half of a change is never kept, and the exception arrives as it was."""
    database = open_database(str(tmp_path), migrate)

    def insert_and_fail() -> None:
        with database.transaction() as connection:
            connection.execute(insert(keys).values(id="a", label="a", digest=b"a", **ROW))
            raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        insert_and_fail()
    with database.transaction() as connection:
        assert connection.execute(select(keys)).all() == []
    database.close()


def test_threads_take_turns(tmp_path: Path) -> None:
    """Four threads that write at the same time lose nothing and see no lock."""
    database = open_database(str(tmp_path), migrate)

    def write(thread: int) -> None:
        for number in range(25):
            name = f"{thread}-{number}"
            with database.transaction() as connection:
                connection.execute(insert(keys).values(id=name, label=name, digest=name.encode(), **ROW))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))
    with database.transaction() as connection:
        assert len(connection.execute(select(keys)).all()) == 100
    database.close()
