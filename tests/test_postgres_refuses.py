"""A PostgreSQL that cannot be used, at a start: what is the matter and what to do, in words, and never a trace."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from aisa.storage.failure import StorageFailed
from aisa.storage.migrate import migrate
from aisa.storage.postgres import failure_of, open_postgres
from postgres_rig import Postgres, needs_postgres

pytestmark = needs_postgres


def other(url: str, **parts: str) -> str:
    """Return the URL of another database, or for another user, on the same server."""
    name = url.partition("?")[0].rpartition("/")[2]
    return url.replace(f"/{name}?", f"/{parts.get('database', name)}?").replace("//aisa@", f"//{parts.get('user', 'aisa')}@")


def made(*statements: str) -> Callable[[Postgres], str]:
    """Make a database of its own by statements in which its name is `{}`."""

    def make(postgres: Postgres) -> str:
        url = postgres.migrated()
        database = url.partition("?")[0].rpartition("/")[2]
        for statement in statements:
            postgres.sql(other(url, database="postgres"), statement.format(database))
        return url

    return make


def foreign(postgres: Postgres) -> str:
    """Make one that another program uses."""
    url = postgres.fresh()
    postgres.sql(url, "CREATE TABLE calls (a int)")
    return url


def newer(postgres: Postgres) -> str:
    """Make one that a newer version has changed."""
    url = postgres.migrated()
    postgres.sql(url, "UPDATE alembic_version SET version_num = '9999'")
    return url


ANEW = "CREATE DATABASE {} TEMPLATE template0 LOCALE 'C' ENCODING"
TROUBLES: dict[str, tuple[Callable[[Postgres], str], str]] = {
    "read-only": (made("ALTER DATABASE {} SET default_transaction_read_only = on"), "standby, or read-only. Name the primary"),
    "ascii": (made("DROP DATABASE {}", f"{ANEW} 'SQL_ASCII'"), "as SQL_ASCII.*createdb --encoding UTF8"),
    "latin": (made("DROP DATABASE {}", f"{ANEW} 'LATIN1'"), "as LATIN1.*createdb --encoding UTF8"),
    "no database": (
        lambda postgres: other(postgres.fresh(), database="nowhere"),
        r'connected to: database "nowhere" does not exist\. Look at stores',
    ),
    "no user": (lambda postgres: other(postgres.fresh(), user="ghost"), r'connected to: role "ghost" does not exist\. Look at stores'),
    "no address": (lambda postgres: f"{postgres.fresh()}&sslmode=nope", r'connected to: invalid sslmode value: "nope"\. Look at stores'),
    "no host": (lambda _: "postgresql://aisa@nowhere.invalid/aisa", r"connected to: failed to resolve host .*\. Look at stores"),
    "no option": (lambda postgres: f"{postgres.fresh()}&ssl=yes", r'connected to: invalid connection option "ssl"\. Look at stores'),
    "nobody there": (lambda _: "postgresql://aisa@127.0.0.1:1/aisa", "does not answer. Look whether it runs"),
    "another program's": (foreign, "tables of another program. Name an empty database"),
    "newer": (newer, "^stores.database: The database has schema 9999"),
}


@pytest.mark.parametrize("code", ["25P03", "40001", "40P01", "57P01", "58030", "58P01", "XX000", "XX001", "53100"])
def test_a_trouble_of_the_databases_own_is_no_bug_to_report(code: str) -> None:
    """[issue 13] One that was stopped for some seconds ended transactions of ours that had stood still, and "please report it" was said."""
    error = psycopg.errors.lookup(code)("as it says")
    told = failure_of("database", DBAPIError(None, None, error))
    assert "bug" not in told.remedy
    assert "as it says" not in told.what, "it has words of ours"


@contextlib.contextmanager
def answering(word: bytes) -> Iterator[int]:
    """Answer with one letter whoever asks for encryption, at a port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    accepted, _ = listener.accept()
                    with accepted:
                        accepted.recv(64)
                        accepted.sendall(word)
                        accepted.recv(4_096)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("word", "said"),
    [(b"S", r'connected to: root certificate file "/nowhere" does not exist\. Look'), (b"N", "connected to: server does not support SSL")],
)
def test_a_database_that_cannot_be_proven_says_so(word: bytes, said: str) -> None:
    """[issue 13] "The database does not answer" was said of one that did, to whom the certificate of its authority was missing."""
    with answering(word) as port:
        url = f"postgresql://aisa@localhost:{port}/aisa?sslmode=verify-full&sslrootcert=/nowhere"
        with pytest.raises(StorageFailed, match=said), contextlib.closing(open_postgres(url, migrate)):
            pass


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_database_that_cannot_be_used_says_why_and_what_to_do(trouble: str, postgres: Postgres) -> None:
    """[issue 13] A server that starts on a standby after a failover, with a wrong name, user or encoding: one known error each."""
    make, said = TROUBLES[trouble]
    with pytest.raises(StorageFailed, match=said), contextlib.closing(open_postgres(make(postgres), migrate)):
        pass
