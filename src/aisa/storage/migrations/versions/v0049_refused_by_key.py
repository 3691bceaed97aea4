"""Makes the index on whose refused calls there are. Never edited once released: a change is a further migration."""

from __future__ import annotations

from alembic import op

revision = "0049"
down_revision = "0048"


def upgrade() -> None:
    """Make the index: some seconds for a million of them."""
    op.create_index("ix_refused_calls_key_id", "refused_calls", ["key_id", "id"])
