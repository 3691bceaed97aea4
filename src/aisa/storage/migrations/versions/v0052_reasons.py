"""Gives calls why they failed: what their caller was told, and what the log says. Never edited once released: a change is a further migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"


def upgrade() -> None:
    """Add the columns, which takes no time however many calls there are; of calls before nobody knows it."""
    for name in ("error_message", "error_detail"):
        op.add_column("calls", sa.Column(name, sa.Text))
