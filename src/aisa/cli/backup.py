"""`aisa backup` and `aisa restore`: a copy of the data while a server runs, and back. What they do is in `storage.backup`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import click

from aisa.cli.keys import located
from aisa.cli.terminal import is_dumb
from aisa.cli.written import text

PROGRESS_SECONDS = 1.0  # between two looks at how much is copied; a small copy shows none

EXAMPLES = """\b
Examples:
  aisa backup /backups/aisa-$(date +%F).db
  aisa restore /backups/aisa-2026-11-27.db
"""


@click.command(epilog=EXAMPLES)
@click.argument("file", callback=text)
@located
def backup(file: str, config: str | None, data_dir: str | None) -> None:
    """Copy keys, accounts, wallets and the ledger into FILE, as they are at one moment.

    A server that runs goes on. FILE must not be there yet; it is readable by its owner alone.
    """
    from aisa import __version__
    from aisa.cli.data_folder import settings
    from aisa.cli.problems import Stop
    from aisa.cli.terminal import say
    from aisa.clock import wall_clock
    from aisa.edge.statement import left_in_words
    from aisa.ledger.left_behind import ended_behind, left_behind
    from aisa.storage.backup import back_up
    from aisa.storage.failure import StorageFailed
    from aisa.storage.running import is_held

    found = settings(config, data_dir)
    folder, url = found.server.data_dir, found.stores.database
    try:
        if url is not None:
            from aisa.storage.postgres_backup import dump

            with showing_progress(file, None):
                made = dump(url, file)
        else:
            refuse_shared(folder)
            with showing_progress(file, folder):
                made = back_up(folder, file, now=wall_clock(), version=__version__)
    except StorageFailed as failure:
        raise Stop("nothing was copied", [(failure.where, failure.what, failure.remedy)]) from None
    say(f"{file} has a copy of the data: {made.size:,} bytes, schema {made.schema}. Put it back: aisa restore {file}")
    if not is_held(Path(folder)) and (left := left_behind(Path(folder))):
        say(left_in_words(left, ended_behind(Path(folder))), err=True)


@click.command(epilog=EXAMPLES)
@click.argument("file", callback=text)
@located
def restore(file: str, config: str | None, data_dir: str | None) -> None:
    """Put the copy in FILE in the place of the data, while no server runs on it.

    The data that was there is kept beside it. What it knows as revoked, disabled or replaced stays so, whatever the copy says.
    """
    from alembic.script import ScriptDirectory

    from aisa.cli.data_folder import settings
    from aisa.cli.problems import Stop
    from aisa.cli.terminal import ago, say
    from aisa.clock import wall_clock
    from aisa.storage.backup import restore as put_back
    from aisa.storage.failure import StorageFailed
    from aisa.storage.lock import own_folder
    from aisa.storage.migrate import alembic_config, migrate

    found, now = settings(config, data_dir), wall_clock()
    folder, url = found.server.data_dir, found.stores.database
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    try:
        if url is not None:
            from aisa.storage.postgres import shown
            from aisa.storage.postgres_backup import put_back as put_into

            where = shown(url)
            restored = put_into(url, file, migrate=migrate, now=now, known=known.__contains__)
        else:
            refuse_shared(folder)
            where = folder
            with own_folder(folder):
                restored = put_back(folder, file, migrate=migrate, now=now, known=known.__contains__)
    except StorageFailed as failure:
        raise Stop("nothing was restored", [(failure.where, failure.what, failure.remedy)]) from None
    say(f"The data of {ago(now - restored.made_at)} is in {where} again.")
    if restored.former is not None:
        carried = f"{restored.revoked} revoked, {restored.replaced} with another secret, {restored.disabled} disabled"
        say(f"Kept from the data that was there: {carried}. All of it is in {restored.former}.")


@contextmanager
def showing_progress(file: str, folder: str | None) -> Generator[None]:
    """Show on a terminal how much of a copy is there, of a folder's database by its size."""
    if not sys.stderr.isatty() or is_dumb():
        yield
        return
    fresh, done = Path(f"{file}.new"), threading.Event()
    from aisa.storage.engine import DATABASE_NAME

    source = None if folder is None else Path(folder) / DATABASE_NAME
    whole = f" of {source.stat().st_size / 1e9:.1f}" if source is not None and source.exists() else ""

    def show() -> None:
        while not done.wait(PROGRESS_SECONDS):
            if fresh.exists():
                click.echo(f"\r{fresh.stat().st_size / 1e9:.1f}{whole} GB", err=True, nl=False)

    shower = threading.Thread(target=show, daemon=True)
    shower.start()
    try:
        yield
    finally:
        done.set()
        shower.join()
        click.echo("\r\033[K", err=True, nl=False)


def refuse_shared(folder: str) -> None:
    """Raise StorageFailed for the folder of a server whose data are elsewhere, in a database that was not named."""
    from aisa.storage.failure import StorageFailed
    from aisa.storage.lock import SERVER_ID_NAME

    if (Path(folder) / SERVER_ID_NAME).exists():
        what = "The data of this folder's server are in a database that several servers share."
        raise StorageFailed(folder, what, "Name it as the server does: in stores.database of the configuration, or DATABASE_URL.")
