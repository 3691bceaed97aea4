"""What Alembic runs to migrate: hands it the open connection. Opens nothing itself, so the caller's transaction holds for all of it."""

from __future__ import annotations

from alembic import context

from aisa.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
