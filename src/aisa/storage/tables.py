"""The tables as they are after the newest migration. Creates none; `migrations/` does, and a test holds both to be the same."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, LargeBinary, MetaData, String, Table

#: The newest migration. Kept here so that Alembic is not imported to find a database current.
HEAD = "0001"

# Names for constraints, so that later migrations can refer to them on every database.
metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s", "uq": "uq_%(table_name)s_%(column_0_name)s"})

#: Credentials. `digest` is the secret's SHA-256; times are UNIX seconds; `models` is a list of public names, NULL for all.
keys = Table(
    "keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("label", String(100), nullable=False, unique=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("hint", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("models", JSON(none_as_null=True)),
    Column("account", String(64), nullable=False),
)
