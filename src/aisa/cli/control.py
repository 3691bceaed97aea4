"""Takes an administrator's request to the server that owns the data folder or, if none runs, answers it here. Prints nothing."""

from __future__ import annotations

import http.client
import os
import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from aisa.cli.problems import Problem, Stop
from aisa.cli.terminal import say
from aisa.config.schema import Config
from aisa.storage.failure import DiskFull, FolderHeld, NoData, StorageFailed
from aisa.storage.lock import SERVER_ID_NAME, control_path, own_folder

if TYPE_CHECKING:
    from aisa.storage.engine import Database

CONTROL_SECONDS_MAX = 10.0  # most requests are one small transaction; a server that takes longer is stuck
OF_CALLS = ("/calls", "/usage", "/ledger", "/accounts")  # what is answered by the calls that the database has
#: What shows the changes below a path.
SHOWN_BY = (
    ("/admin-keys", "aisa admin-keys list"),
    ("/keys", "aisa keys list"),
    ("/teams", "aisa teams list"),
    ("/accounts", "aisa wallet show"),
    ("/calls", "aisa board"),
)
QUESTIONS = ("/ledger/audit", "/ledger/made")  # that are asked with POST and change nothing
ANSWER_BYTES_MAX = 1 << 27  # the largest list of keys that a server keeps


class Asking(NamedTuple):
    """A request to the administrator's routes."""

    method: str
    path: str
    body: bytes


Expected = TypeVar("Expected")


class ErrorShown(msgspec.Struct):
    """An error as the administrator's routes write it."""

    message: str


class ErrorAnswer(msgspec.Struct):
    """The body of an answer that is an error."""

    error: ErrorShown


def ask(
    data_dir: str,
    method: str,
    path: str,
    *,
    expect: type[Expected],
    asked: object = None,
    seconds: float = CONTROL_SECONDS_MAX,
    config: Config | None = None,
) -> Expected:
    """Make a request and return its answer, decoded. Creating a key makes the data folder if it is not there.

    A server has so many seconds for the answer. Of `config` the limits count for what is answered here, and whether the keys are here at
    all. Raises Stop when it is refused or cannot be made.
    """
    asking = Asking(method, path, b"" if asked is None else msgspec.json.encode(asked))
    try:
        return decoded(data_dir, _over_socket(data_dir, asking, seconds) or _directly(data_dir, asking, config), expect)
    except FolderHeld as failure:
        remedy = "If a server is starting or stopping there, try again in a moment; else stop that process."
        raise Stop("the server does not answer", [(failure.where, failure.what, remedy)]) from None
    except StorageFailed as failure:
        raise Stop("the data cannot be used", [(failure.where, failure.what, failure.remedy)]) from None


def ask_server(data_dir: str, path: str, *, expect: type[Expected], seconds: float = CONTROL_SECONDS_MAX) -> Expected | None:
    """Look at something of the server that owns the data folder; None if none runs. Raises Stop when it is refused or cannot be told."""
    try:
        answer = _over_socket(data_dir, Asking("GET", path, b""), seconds)
    except StorageFailed as failure:
        raise Stop("the server does not answer", [(failure.where, failure.what, failure.remedy)]) from None
    return None if answer is None else decoded(data_dir, answer, expect)


def decoded(data_dir: str, answered: tuple[int, bytes], expect: type[Expected]) -> Expected:
    """Return an answer as what it should be. Raises Stop if it is an error, or something else."""
    status, answer = answered
    try:
        if status >= http.client.BAD_REQUEST:
            said, *problems = msgspec.json.decode(answer, type=ErrorAnswer).error.message.splitlines()
            raise Stop(said, [problem_of(line) for line in problems])
        return msgspec.json.decode(answer, type=expect)
    except msgspec.MsgspecError as error:
        remedy = "Use the command of the version that runs there."
        problem = (data_dir, f"It is not what this version expects: {error}.", remedy)
        raise Stop("the server's answer cannot be understood", [problem]) from error


def problem_of(line: str) -> Problem:
    """Return a problem as `process.swapped` has written it."""
    where, _, said = line.partition(": ")
    what, _, remedy = said.rpartition(" → ")
    return where, what, remedy


def _over_socket(data_dir: str, asking: Asking, seconds: float) -> tuple[int, bytes] | None:
    """Ask the server that listens in the folder; None if there is none."""
    path = control_path(data_dir)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.settimeout(seconds)
        try:
            control.connect(path)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return None
        except OSError as error:
            remedy = "Run the command as the user that the server runs as."
            raise StorageFailed(path, f"The server's socket cannot be reached: {error.strerror}.", remedy) from error
        connection = http.client.HTTPConnection("aisa")
        connection.sock = control
        try:
            connection.request(*asking, {"content-type": "application/json"})
            with connection.getresponse() as answer:
                if answer.length is None or answer.length > ANSWER_BYTES_MAX:
                    raise http.client.HTTPException("the answer has no length or too much of it")
                return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            remedy = f"Look at the server's log.{whether_made(asking)}"
            raise StorageFailed(path, f"The server broke off: {str(error) or type(error).__name__}.", remedy) from error


def whether_made(asking: Asking) -> str:
    """Say how to find out whether a change was made whose answer was lost; nothing for a question."""
    if asking.method == "GET":
        return ""
    shows = next((command for path, command in SHOWN_BY if asking.path.startswith(path)), None)
    found = f" `{shows}` shows whether the change was made: look before you repeat it." if shows else ""
    return f"{found} What has a --reference is booked once, however often it is asked for." if asking.path.endswith("/top-up") else found


def _directly(data_dir: str, asking: Asking, config: Config | None) -> tuple[int, bytes]:
    """Own the folder for a moment, and answer as the server would."""
    from sqlalchemy import Connection

    from aisa.clock import system_chance, wall_clock
    from aisa.edge.admin import Admin, Records
    from aisa.edge.admin_calls import CallRoutes
    from aisa.edge.admin_reload import reload_route
    from aisa.edge.admin_usage import usage_routes
    from aisa.edge.admin_wallets import LedgerRoutes
    from aisa.edge.key_usings import KeyUsings
    from aisa.edge.statement import Statement, left_in_words
    from aisa.keys.admin_keys import AdminKeyStore
    from aisa.keys.changes import ChangeStore
    from aisa.keys.store import KeyStore
    from aisa.ledger.find import CallFinder
    from aisa.ledger.left_behind import ended_behind, left_behind
    from aisa.ledger.store import LedgerStore
    from aisa.ledger.usage import UsageStore
    from aisa.storage.engine import DATABASE_NAME, open_database
    from aisa.storage.lost import lost_database

    def migrate(connection: Connection) -> None:
        from aisa.storage.migrate import migrate as run

        run(connection, partial(say, err=True))

    shared = config is not None and config.stores.database is not None
    if shared or (Path(data_dir) / SERVER_ID_NAME).exists() or os.environ.get("DATABASE_URL"):
        what = "What this command asks is in the database that several servers share (stores.database)."
        raise StorageFailed(data_dir, what, "Start this folder's server, which answers it, or name the folder of one that runs.")
    makes = asking.method == "POST" and asking.path in ("/keys", "/keys/import", "/accounts", "/teams")
    if not makes and not (Path(data_dir) / DATABASE_NAME).exists():
        # Listing in the wrong working directory must not leave a data folder behind.
        raise lost_database(Path(data_dir) / DATABASE_NAME) or NoData(data_dir)
    with own_folder(data_dir):
        try:
            database = open_database(data_dir, migrate)
        except DiskFull as full:
            database = looked_at(data_dir, asking, full)
        try:
            keys, ledger = KeyStore(database, wall_clock, system_chance()), LedgerStore(database, wall_clock)
            statement = Statement(
                None, UsageStore(database), left=(left := left_behind(Path(data_dir))), left_ended=(ended := ended_behind(Path(data_dir)))
            )
            calls = CallRoutes(statement, keys, CallFinder(database)).routes()
            more = (*LedgerRoutes(ledger).routes(), *usage_routes(statement, keys, wall_clock), *calls, reload_route(None))
            admin_keys = AdminKeyStore(database, wall_clock, system_chance())
            records = Records(KeyUsings(statement, CallFinder(database), wall_clock), ChangeStore(database, wall_clock), admin_keys)
            admin = Admin(keys, wall_clock, wallets=ledger, limits=None if config is None else config.limits, more=more, records=records)
            answered = admin.answer(*asking)
            if left and answered[0] < http.client.BAD_REQUEST and asking.path.startswith(OF_CALLS):
                say(left_in_words(left, ended), err=True)
            return answered
        finally:
            database.close()


def looked_at(data_dir: str, asking: Asking, full: DiskFull) -> Database:
    """Return the database for a question on a full disk. Raises `full` for a change, or where it cannot be read so."""
    from aisa.storage.engine import open_at_rest, schema_of
    from aisa.storage.tables import HEAD

    if (asking.method != "GET" and asking.path not in QUESTIONS) or schema_of(data_dir) != HEAD:
        raise full
    return open_at_rest(data_dir, full)
