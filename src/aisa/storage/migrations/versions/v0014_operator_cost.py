"""Gives calls what failed tries may have cost. Never edited once released: a change is a further migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0009"


def upgrade() -> None:
    """Add the column; of calls before nobody knows it."""
    op.add_column("calls", sa.Column("operator_cost", sa.BigInteger))
