"""Makes the ledger: accounts, wallets' entries, calls; gives keys a spend cap. Never edited once released: a change is a further migration."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables, and an unlimited account for every key that there is."""
    op.add_column("keys", sa.Column("spend_cap", sa.BigInteger))
    op.add_column("keys", sa.Column("spend_window", sa.String(8)))
    accounts = op.create_table(
        "accounts",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("balance", sa.BigInteger),
        sa.Column("charged", sa.BigInteger, nullable=False),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_accounts"),
    )
    op.create_table(
        "wallet_entries",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("reference", sa.String(100)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_wallet_entries"),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name="fk_wallet_entries_account"),
    )
    op.create_index("uq_wallet_entries_reference", "wallet_entries", ["account", "reference"], unique=True)
    op.create_table(
        "calls",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("stream", sa.Boolean, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("began_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger, nullable=False),
        sa.Column("delivered", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.BigInteger, nullable=False),
        sa.Column("price_source", sa.Text, nullable=False),
        sa.Column("prepaid", sa.Boolean, nullable=False),
        sa.Column("vendor_cost", sa.BigInteger),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("queue_ms", sa.BigInteger),
        sa.Column("first_token_ms", sa.BigInteger),
        sa.Column("total_ms", sa.BigInteger, nullable=False),
        sa.Column("bytes_sent", sa.BigInteger, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("client_request_id", sa.Text),
        sa.Column("idempotency", sa.Text),
        sa.Column("billed_input_tokens", sa.BigInteger, nullable=False),
        sa.Column("billed_output_tokens", sa.BigInteger, nullable=False),
        sa.Column("billed_cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("billed_cache_write_tokens", sa.BigInteger, nullable=False),
        sa.Column("billed_reasoning_tokens", sa.BigInteger, nullable=False),
        sa.Column("billed_source", sa.String(16), nullable=False),
        sa.Column("billed_input_source", sa.String(16), nullable=False),
        sa.Column("billed_input_audio_tokens", sa.BigInteger, nullable=False),
        sa.Column("billed_output_audio_tokens", sa.BigInteger, nullable=False),
        sa.Column("generated", sa.Text),
        sa.Column("prices", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
    )
    op.create_index("ix_calls_key_id", "calls", ["key_id", "ended_ms"])
    op.create_index("ix_calls_account", "calls", ["account", "ended_ms"])
    given = sa.text("idempotency IS NOT NULL")
    op.create_index("ix_calls_idempotency", "calls", ["ended_ms"], sqlite_where=given, postgresql_where=given)
    connection = op.get_bind()
    named = connection.execute(sa.text("SELECT DISTINCT account FROM keys")).scalars()
    new = {"balance": None, "charged": 0, "spent": 0, "calls": 0, "created_at": int(time.time())}
    connection.execute(accounts.insert(), [{"name": name, **new} for name in sorted({"default", *named})])
