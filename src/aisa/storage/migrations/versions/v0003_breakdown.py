"""Gives calls the rarer kinds of their tokens. Never edited once released: a change is a further migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; what was billed before has none of these kinds."""
    op.add_column("calls", sa.Column("billed_breakdown", sa.Text))
