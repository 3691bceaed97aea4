"""Gives calls the model that answered, its vendor's own cost, and marks. Never edited once released: a change is a further migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns; of calls before nobody knows it."""
    op.add_column("calls", sa.Column("answered_model", sa.Text))
    op.add_column("calls", sa.Column("reported_cost", sa.BigInteger))
    op.add_column("calls", sa.Column("marks", sa.Text))
