"""Divides PostgreSQL's table of calls by months, so that the room of old ones comes back at once. Never edited once released: a change is
a further migration.

The table that there is becomes its first part, for all calls up to the end of this month, as it is: it is read through once, to prove that
nothing of it belongs elsewhere (some ten seconds for ten million calls), and nothing of it is copied. SQLite stays as it is. The way back is
in `docs/stores.md`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
INDEXES = ("ix_calls_key_id", "ix_calls_account", "ix_calls_idempotency")
DAY_SECONDS = 86_400


def upgrade() -> None:
    """Put the table into one that is divided."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    op.execute("SET LOCAL statement_timeout = 0")
    op.execute("ALTER TABLE calls RENAME TO calls_before")
    for name in ("pk_calls", *INDEXES):
        op.execute(f"ALTER INDEX {name} RENAME TO {name}_before")
    op.execute("CREATE TABLE calls (LIKE calls_before INCLUDING DEFAULTS) PARTITION BY RANGE (id)")
    op.execute("ALTER TABLE calls ADD CONSTRAINT pk_calls PRIMARY KEY (id)")
    op.create_index("ix_calls_key_id", "calls", ["key_id", "ended_ms"])
    op.create_index("ix_calls_account", "calls", ["account", "ended_ms"])
    op.create_index("ix_calls_idempotency", "calls", ["ended_ms"], postgresql_where=sa.text("idempotency IS NOT NULL"))
    newest = connection.execute(sa.text("SELECT max(id) FROM calls_before")).scalar()
    if newest is None:
        op.execute("DROP TABLE calls_before")
    else:
        border = first_id_after(max(time.time(), seconds_of(newest)))
        op.execute(f"ALTER TABLE calls ATTACH PARTITION calls_before FOR VALUES FROM (MINVALUE) TO ('{border}')")
    op.execute("CREATE TABLE calls_other PARTITION OF calls DEFAULT")


def first_id_after(seconds: float) -> str:
    """Return the first id of the month after a moment in UNIX seconds."""
    day = datetime.fromtimestamp(seconds, UTC)
    milliseconds = int(datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC).timestamp()) * 1000
    text = ""
    for _ in range(10):
        milliseconds, place = divmod(milliseconds, len(ALPHABET))
        text = ALPHABET[place] + text
    return f"req_{text}"


def seconds_of(id_: str) -> float:
    """Return the moment in an id, in UNIX seconds; 0 for one that has none, which comes before all others anyway."""
    value = 0
    for character in id_.removeprefix("req_")[:10]:
        value = value * len(ALPHABET) + max(0, ALPHABET.find(character))
    return min(value / 1000, 250_000 * DAY_SECONDS)
