"""What `aisa ledger export` does: reads the database beside a server that goes on writing, and writes lines. Changes nothing of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TextIO
from urllib.parse import quote

from aisa.cli.control import ask
from aisa.cli.data_folder import settings
from aisa.cli.keyring import KeyShown
from aisa.cli.moments import beginning_or_always, ending
from aisa.cli.problems import Misuse, Stop
from aisa.cli.terminal import say
from aisa.clock import wall_clock
from aisa.keys.accounts import unknown
from aisa.ledger.export import Asked, has_account, lines
from aisa.ledger.pieces import moment_of
from aisa.ledger.sums import known_of
from aisa.storage.engine import DATABASE_NAME, Database, open_readers, version_of
from aisa.storage.failure import NoData, StorageFailed
from aisa.storage.lost import lost_database
from aisa.storage.tables import HEAD

ENDLESS_MS = 2**63 - 1  # beyond every row, also those of a server whose clock was years ahead


class Wanted(NamedTuple):
    """What the command line asks for. `output` is a file's name, `-` for standard output."""

    since: str
    until: str | None
    key: str | None
    account: str | None
    form: str
    output: str


def export(wanted: Wanted, config: str | None, data_dir: str | None) -> None:
    """Write the rows that can be read. Raises Misuse; Stop also for what is not in it: ids of rows that somebody changed."""
    now = wall_clock()
    found = settings(config, data_dir)
    folder = found.server.data_dir
    start_ms = beginning_or_always(wanted.since, now)
    end_ms = ENDLESS_MS if wanted.until is None else ending(wanted.until, now)
    if end_ms <= start_ms:
        raise Misuse("no time lies between", [("--until", "The end is not after the beginning.", "Write a later one, or none.")])
    key_id = None if wanted.key is None else ask(folder, "GET", f"/keys/{quote(wanted.key, safe='')}", expect=KeyShown).id
    damaged: list[str] = []
    try:
        database = opened(folder, found.stores.database)
        try:
            with database.reading() as connection:
                if version_of(connection) != HEAD:
                    remedy = "Start a server of this version on it."
                    raise StorageFailed(folder, f"Its schema is not {HEAD}, which this version reads.", remedy)
                if wanted.account is not None and not has_account(connection, wanted.account):
                    raise Stop(unknown(wanted.account).message, [])
                removed_ms = known_of(connection).removed_ms
                each = lines(connection, Asked(start_ms, end_ms, wanted.account, key_id), wanted.form, damaged=damaged.append)
                count = write_out(each, wanted.output) - (wanted.form == "csv")
        finally:
            database.close()
    except StorageFailed as failure:
        raise Stop("the ledger cannot be read", [(failure.where, failure.what, failure.remedy)]) from None
    if start_ms < removed_ms:
        what = f"Calls that ended before {moment_of(removed_ms)} have been removed (ledger.keep_days), and are not in it."
        say(f"{what} Those that were exported first are in ledger.export_dir.", err=True)
    if wanted.output != "-":
        say(f"{count:,} calls are in {wanted.output}.")
    if damaged:
        raise not_whole(damaged)


def not_whole(damaged: list[str]) -> Stop:
    """Return what is told of rows that are not in an export: all that can be read are, and an auditor has to hear of each of the others."""
    number = "1 call is" if len(damaged) == 1 else f"{len(damaged):,} calls are"
    what = f"{number} not in it, as what the ledger has of {'it' if len(damaged) == 1 else 'them'} was changed and cannot be read."
    remedy = "Find out with `aisa ledger audit` what was changed. All others are in it."
    return Stop("the export is not whole", [("calls", what, remedy)], "\n".join(damaged))


def opened(folder: str, url: str | None) -> Database:
    """Open what the server has its calls in, for reading. Raises StorageFailed."""
    if url is not None:
        from aisa.storage.postgres import open_postgres_readers

        return open_postgres_readers(url)
    if not (Path(folder) / DATABASE_NAME).exists():
        raise lost_database(Path(folder) / DATABASE_NAME) or NoData(folder)
    return open_readers(folder)


def write_out(found: Iterable[str], output: str) -> int:
    """Write lines to a file that is not there yet, which only its owner may read, or to standard output. Returns how many. Raises Stop."""
    if output == "-":
        try:
            return write_lines(found, sys.stdout)
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to flush
            if isinstance(error, BrokenPipeError):  # whoever read it has seen enough
                return 0
            what = f"It cannot be written: {error.strerror}."
            raise Stop("the export is not whole", [("standard output", what, "Make room, and try again.")]) from None
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Stop("nothing was exported", [(output, "It is there already.", "Name a new file, or remove that one.")]) from None
    except OSError as error:
        problem = (output, f"It cannot be made: {error.strerror}.", "Name a file in a folder that is there and that you may write to.")
        raise Stop("nothing was exported", [problem]) from None
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            return write_lines(found, file)
    except OSError as error:
        raise Stop("the export is not whole", [(output, f"It cannot be written: {error.strerror}.", "Remove it, and try again.")]) from None


def write_lines(found: Iterable[str], file: TextIO) -> int:
    """Write lines and return how many."""
    count = 0
    for line in found:
        file.write(line)
        count += 1
    file.flush()
    return count
