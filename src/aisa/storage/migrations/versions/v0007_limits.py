"""Gives keys limits of their own, and accounts a tier and a state. Never edited once released: a change is a further migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns; what is there has no limits of its own, and is active."""
    for name in ("rpm", "tpm", "concurrency"):
        op.add_column("keys", sa.Column(name, sa.BigInteger))
    op.add_column("accounts", sa.Column("tier", sa.String(32)))
    op.add_column("accounts", sa.Column("state", sa.String(16), nullable=False, server_default="active"))
