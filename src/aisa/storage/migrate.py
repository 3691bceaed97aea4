"""Brings a database to the newest schema with Alembic. The only module besides the migrations that imports it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from aisa.clock import monotonic_micros
from aisa.storage.engine import DATABASE_NAME, version_of
from aisa.storage.failure import StorageFailed

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(connection: Connection, tell: Callable[[str], None] = lambda _text: None) -> None:
    """Run every migration that the database lacks, in the connection's transaction; `tell` what they do, unless it is a new database.

    Raises StorageFailed when the database is newer than this program.
    """
    config = alembic_config(connection)
    version = version_of(connection)
    if version is not None:
        scripts = ScriptDirectory.from_config(config)
        try:
            scripts.get_revision(version)
            tell(in_words(scripts, version, kept=connection.dialect.name == "sqlite"))
        except CommandError:
            what = f"The database has schema {version}, which this version of aisa does not know: a newer one made it."
            where = DATABASE_NAME if connection.dialect.name == "sqlite" else "stores.database"
            raise StorageFailed(where, what, "Run that newer version, or restore a backup from before the upgrade.") from None
    began = monotonic_micros()
    command.upgrade(config, "head")
    if version is not None:
        tell(f"The database is there after {(monotonic_micros() - began) // 1_000:,} ms.")


def in_words(scripts: ScriptDirectory, version: str, *, kept: bool) -> str:
    """Say what the migrations do that a database lacks."""
    lacking = [*scripts.iterate_revisions("head", version)][::-1]
    copy = f" As it was it is in {DATABASE_NAME}.schema-{version}." if kept else ""
    steps = "".join([f"\n  {script.revision}  {' '.join(script.doc.split()).partition(BOILERPLATE)[0]}." for script in lacking])
    return f"The database is brought from schema {version} to {lacking[-1].revision}, in one transaction.{copy}{steps}"


BOILERPLATE = ". Never edited"  # behind what a migration does, in its first sentence


def alembic_config(connection: Connection | None = None) -> Config:
    """Return what Alembic wants to know; there is no alembic.ini."""
    config = Config(attributes={} if connection is None else {"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
