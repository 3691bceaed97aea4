"""Lets a revoked key's label be used again, and keeps secrets that were replaced. Never edited once released: a change is a further migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0014"


def upgrade() -> None:
    """Make labels unique among keys that are not revoked, and make the table of replaced secrets."""
    with op.batch_alter_table("keys", naming_convention={"uq": "uq_%(table_name)s_%(column_0_name)s"}) as keys:
        keys.drop_constraint("uq_keys_label", type_="unique")
    live = sa.text("state != 'revoked'")
    op.create_index("uq_keys_live_label", "keys", ["label"], unique=True, sqlite_where=live, postgresql_where=live)
    op.create_table(
        "replaced_secrets",
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_replaced_secrets"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="fk_replaced_secrets_key_id"),
    )
