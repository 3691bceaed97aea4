"""Brings a database to the newest schema with Alembic. The only module besides the migrations that imports it."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from aisa.storage.engine import DATABASE_NAME, version_of
from aisa.storage.failure import StorageFailed

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(connection: Connection) -> None:
    """Run every migration that the database lacks, in the connection's transaction.

    Raises StorageFailed when the database is newer than this program.
    """
    config = alembic_config(connection)
    version = version_of(connection)
    if version is not None:
        try:
            ScriptDirectory.from_config(config).get_revision(version)
        except CommandError:
            what = f"The database has schema {version}, which this version of aisa does not know: a newer one made it."
            raise StorageFailed(DATABASE_NAME, what, "Run that newer version, or restore a backup from before the upgrade.") from None
    command.upgrade(config, "head")


def alembic_config(connection: Connection | None = None) -> Config:
    """Return what Alembic wants to know; there is no alembic.ini."""
    config = Config(attributes={} if connection is None else {"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
