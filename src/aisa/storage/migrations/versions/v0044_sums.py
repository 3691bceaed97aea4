"""Makes the sums of hours and days, and what is known of removed calls. Never edited once released: a change is a further migration.

Takes no time for the calls that there are: they are summed up beside the server's work, and counted row by row until then.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0031"


def counted(*names: str) -> list[sa.Column[int]]:
    """Return columns of whole numbers."""
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "usage_sums",
        sa.Column("hours", sa.Integer, nullable=False),
        sa.Column("start_ms", sa.BigInteger, nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        *counted("requests", "failed", "otherwise", "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens"),
        *counted("cost", "charged", "broken", "first_tokens", "first_token_ms", "last_ms"),
        sa.PrimaryKeyConstraint("hours", "start_ms", "account", "key_id", "model", "target", name="pk_usage_sums"),
    )
    op.create_index("ix_usage_sums_key_id", "usage_sums", ["key_id", "hours", "start_ms"])
    op.create_index("ix_usage_sums_account", "usage_sums", ["account", "hours", "start_ms"])
    op.create_table(
        "made_sums",
        sa.Column("start_ms", sa.BigInteger, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("answered_model", sa.Text, nullable=False),
        *counted("requests", "input_tokens", "output_tokens", "vendor_cost", "reported_cost", "reported"),
        sa.PrimaryKeyConstraint("start_ms", "target", "answered_model", name="pk_made_sums"),
    )
    state = op.create_table(
        "rolled_up",
        sa.Column("id", sa.Integer, nullable=False),
        *counted("rolled_ms", "removed_ms"),
        sa.PrimaryKeyConstraint("id", name="pk_rolled_up"),
    )
    op.bulk_insert(state, [{"id": 1, "rolled_ms": 0, "removed_ms": 0}])
    op.create_table(
        "removed_calls",
        sa.Column("account", sa.String(64), nullable=False),
        *counted("calls", "spent", "charged"),
        sa.PrimaryKeyConstraint("account", name="pk_removed_calls"),
    )
    op.create_table(
        "removed_files",
        sa.Column("name", sa.Text, nullable=False),
        *counted("bytes", "calls"),
        sa.PrimaryKeyConstraint("name", name="pk_removed_files"),
    )
