"""Makes the tables that servers on one database need of each other. Never edited once released: a change is a further migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0021"


def upgrade() -> None:
    """Make the tables; SQLite, which one server has for itself, leaves them empty but for `key_changes`."""
    op.create_table(
        "key_changes",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("key_id", sa.String(32)),
        sa.Column("account", sa.String(64)),
        sa.PrimaryKeyConstraint("number", name="pk_key_changes"),
    )
    op.create_table(
        "allotments",
        sa.Column("purse", sa.Text, nullable=False),
        sa.Column("server", sa.String(64), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("purse", "server", name="pk_allotments"),
    )
    op.create_table(
        "cap_spent",
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("began", sa.BigInteger, nullable=False),
        sa.Column("ends", sa.BigInteger, nullable=False),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "began", name="pk_cap_spent"),
    )
