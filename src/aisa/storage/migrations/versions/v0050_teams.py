"""Makes the teams, which keys of one account may belong to and which have a cap. Never edited once released: a change is a further migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"


def upgrade() -> None:
    """Make the table, and let every key be in none."""
    op.create_table(
        "teams",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("spend_cap", sa.BigInteger),
        sa.Column("spend_window", sa.String(8)),
    )
    op.create_index("uq_teams_account_name", "teams", ["account", "name"], unique=True)
    op.add_column("keys", sa.Column("team", sa.String(32)))
    op.create_index("ix_keys_team", "keys", ["team"])
    op.add_column("key_changes", sa.Column("team", sa.String(32)))
