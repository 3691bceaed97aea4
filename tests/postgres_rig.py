"""A PostgreSQL server of the tests' own, on a Unix socket. Where there is none its tests are skipped by name."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

from aisa.storage.engine import Database, open_database
from aisa.storage.migrate import migrate
from aisa.storage.postgres import open_postgres

FOUND = shutil.which("initdb") or max(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), default="initdb")
PROGRAMS = Path(FOUND).resolve().parent  # Debian has them beside the path
USER = pwd.getpwnam("nobody") if os.geteuid() == 0 else None  # it refuses to run as root
CAN_RUN = (PROGRAMS / "initdb").exists()
needs_postgres = pytest.mark.skipif(not CAN_RUN, reason="PostgreSQL is not installed")
START_SECONDS_MAX = 60.0
STOPPED = "T"
STARTS_MAX = 50  # the processes of one that was killed take a moment to go, and another refuses to start beside them
#: A killed server loses nothing by these: the system still has what was written. Only a power failure would.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "listen_addresses": "", "max_connections": "60", "shared_buffers": "32MB"}


class Postgres:
    """A server that can be stopped, killed and started again."""

    def __init__(self, folder: Path, primary: Postgres | None = None) -> None:
        """Make one in an empty folder; with a primary, a standby that follows it."""
        self.folder = folder
        self._numbers = count()
        self._template: str | None = None
        if USER is not None:
            os.chown(folder, USER.pw_uid, USER.pw_gid)
        data = str(folder / "data")
        if primary is None:
            self._run("initdb", "-D", data, "-U", "aisa", "-A", "trust", "--no-sync", "--locale=C", "--encoding=UTF8")
        else:
            self._run("pg_basebackup", "-h", str(primary.folder), "-U", "aisa", "-D", data, "-R", "--checkpoint=fast", "--no-sync")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = " ".join(f"-c {name}={value or chr(39) * 2}" for name, value in SETTINGS.items())
        said = f"-k {self.folder} {options}"
        log = str(self.folder / "log")
        command = ("-D", str(self.folder / "data"), "-l", log, "-w", "-t", str(int(START_SECONDS_MAX)), "-o", said, "start")
        for _ in range(STARTS_MAX - 1):
            with suppress(AssertionError):
                self._run("pg_ctl", *command)
                return
        self._run("pg_ctl", *command)

    def kill(self) -> None:
        """End it at once, if it runs, with all that answer."""
        with suppress(OSError):
            for pid in self.pids:
                tell(pid, signal.SIGKILL)

    def pause(self) -> None:
        """Let it accept and say nothing: the process that accepts, and all that answer. It makes no other while its own are looked up."""
        os.kill(self.pid, signal.SIGSTOP)
        while (state := state_of(self.pid)) != STOPPED:
            assert state, "it has ended"
        for pid in self.pids[1:]:
            tell(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it speak again."""
        for pid in reversed(self.pids):
            tell(pid, signal.SIGCONT)

    def promote(self) -> None:
        """Let a standby be the primary from now on."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "promote")

    @property
    def pid(self) -> int:
        """The process that all others of it belong to."""
        return int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])

    @property
    def pids(self) -> list[int]:
        """That, and those that belong to it."""
        first = self.pid
        return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]

    def fresh(self) -> str:
        """Return the URL of a database with nothing in it."""
        name = f"aisa_{next(self._numbers)}"
        self._run("createdb", "-h", str(self.folder), "-U", "aisa", name)
        return f"postgresql://aisa@/{name}?host={self.folder}"

    def migrated(self) -> str:
        """Return the URL of a database with our tables, which are made once and copied."""
        if self._template is None:
            self._template = self.fresh()
            open_postgres(self._template, migrate).close()
        name = f"aisa_{next(self._numbers)}"
        template = self._template.partition("?")[0].rpartition("/")[2]
        self._run("createdb", "-h", str(self.folder), "-U", "aisa", "--template", template, name)
        return f"postgresql://aisa@/{name}?host={self.folder}"

    def sql(self, url: str, text: str) -> str:
        """Return what a statement gives, as text."""
        return self._run("psql", url, "-At", "-c", text)

    def end_sessions(self, database: str) -> None:
        """End all connections to a database, and return once they are gone: they are told to go, and do so a moment later."""
        waited = f"pg_terminate_backend(pid, {int(START_SECONDS_MAX * 1000)})"
        self.sql(f"postgresql://aisa@/postgres?host={self.folder}", f"SELECT {waited} FROM pg_stat_activity WHERE datname = '{database}'")

    def _run(self, program: str, *words: str) -> str:
        ids = {} if USER is None else {"user": USER.pw_uid, "group": USER.pw_gid, "extra_groups": []}
        done = subprocess.run(
            [str(PROGRAMS / program), *words],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **ids,
        )
        assert done.returncode == 0, f"{program}: {done.stdout}"
        return done.stdout


def tell(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process, which may have ended by itself."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def state_of(pid: int) -> str:
    """Return the letter that the system has for what a process does, nothing of one that is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


@contextmanager
def postgres_server(primary: Postgres | None = None) -> Iterator[Postgres]:
    """A server for a while; with a primary, a standby that follows it."""
    with tempfile.TemporaryDirectory(prefix="aisa-", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder), primary)
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all that only need a database."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs_postgres)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with nothing in it, of each kind that there is."""
    if request.param == "sqlite":
        database = open_database(str(tmp_path), migrate)
    else:
        server: Postgres = request.getfixturevalue("postgres")
        database = open_postgres(server.migrated(), migrate)
    yield database
    database.close()


#: For a test of what SQLite alone does.
sqlite_only = pytest.mark.parametrize("opened", ["sqlite"], indirect=True)
#: And for one of what PostgreSQL alone does.
postgres_only = pytest.mark.parametrize("opened", [pytest.param("postgres", marks=needs_postgres)], indirect=True)
