"""Makes the table of servers that write old calls to files. Never edited once released: a change is a further migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"


def upgrade() -> None:
    """Make the table: each server that does so says it at its next start."""
    op.create_table("exporters", sa.Column("server", sa.String(64), primary_key=True), sa.Column("seen_ms", sa.BigInteger, nullable=False))
