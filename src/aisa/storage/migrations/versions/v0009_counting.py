"""Has calls say how their output was counted, and keeps of what that is learned. Never edited once released: a change is a further migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns and the table; how older calls were counted is not known."""
    op.add_column("calls", sa.Column("billed_counted_by", sa.Text, nullable=False, server_default=""))
    op.add_column("calls", sa.Column("billed_counted_answers", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "learned_answers",
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("answers", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("target", name="pk_learned_answers"),
    )
