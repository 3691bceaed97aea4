"""Gives calls and refused calls what is kept of their client's address. Never edited once released: a change is a further migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the columns; where earlier calls came from is not known."""
    for table in ("calls", "refused_calls"):
        op.add_column(table, sa.Column("address", sa.String(64)))
