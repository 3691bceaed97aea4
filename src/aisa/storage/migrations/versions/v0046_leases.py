"""Notes which servers are there, in a table of its own. Never edited once released: a change is a further migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"


def upgrade() -> None:
    """Make `servers` and `allotments` anew: what was allotted is asked for again by every server that starts."""
    op.drop_table("allotments")
    op.create_table(
        "allotments",
        sa.Column("purse", sa.Text, nullable=False),
        sa.Column("server", sa.String(64), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("purse", "server", name="pk_allotments"),
    )
    op.create_table(
        "servers",
        sa.Column("server", sa.String(64), nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("server", name="pk_servers"),
    )
