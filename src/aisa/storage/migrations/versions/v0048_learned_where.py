"""Notes which server has learned what of a target's answers. Never edited once released: a change is a further migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"


def upgrade() -> None:
    """Add the column."""
    op.add_column("learned_answers", sa.Column("server", sa.String(64)))
