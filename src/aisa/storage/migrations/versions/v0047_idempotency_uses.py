"""Makes the table of Idempotency-Keys that several servers share. Never edited once released: a change is a further migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"


def upgrade() -> None:
    """Make the table; SQLite, which one server has for itself, leaves it empty."""
    op.create_table(
        "idempotency_uses",
        sa.Column("mark", sa.String(32), nullable=False),
        sa.Column("body", sa.String(16), nullable=False),
        sa.Column("call_id", sa.String(32), nullable=False),
        sa.Column("server", sa.String(64), nullable=False),
        sa.Column("claimed_at", sa.BigInteger, nullable=False),
        sa.Column("told", sa.Boolean, nullable=False),
        sa.Column("content_type", sa.Text),
        sa.Column("answer", sa.LargeBinary),
        sa.PrimaryKeyConstraint("mark", name="pk_idempotency_uses"),
    )
    op.create_index("ix_idempotency_uses_claimed_at", "idempotency_uses", ["claimed_at"])
