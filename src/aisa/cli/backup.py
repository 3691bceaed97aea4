"""`aisa backup` and `aisa restore`: a copy of the data while a server runs, and back. What they do is in `storage.backup`."""

from __future__ import annotations

import click

from aisa.cli.keys import located, text

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
    from aisa.storage.backup import back_up
    from aisa.storage.failure import StorageFailed

    folder = settings(config, data_dir).server.data_dir
    try:
        made = back_up(folder, file, now=wall_clock(), version=__version__)
    except StorageFailed as failure:
        raise Stop("nothing was copied", [(failure.where, failure.what, failure.remedy)]) from None
    say(f"{file} has a copy of the data: {made.size:,} bytes, schema {made.schema}. Put it back: aisa restore {file}")


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

    folder, now = settings(config, data_dir).server.data_dir, wall_clock()
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    try:
        with own_folder(folder):
            restored = put_back(folder, file, migrate=migrate, now=now, known=known.__contains__)
    except StorageFailed as failure:
        raise Stop("nothing was restored", [(failure.where, failure.what, failure.remedy)]) from None
    say(f"The data of {ago(now - restored.made_at)} is in {folder} again.")
    if restored.former is not None:
        carried = f"{restored.revoked} revoked, {restored.replaced} with another secret, {restored.disabled} disabled"
        say(f"Kept from the data that was there: {carried}. All of it is in {restored.former}.")
