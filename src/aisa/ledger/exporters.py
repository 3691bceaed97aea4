"""Which servers on a shared database write old calls to files before they remove them: the others may remove none. Opens no file."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select

from aisa.ledger.port_usage import DAY_MS
from aisa.storage.failure import StorageFailed
from aisa.storage.tables import exporters

#: After a server's last word, before it counts for gone: a month, in which somebody reads the log of those that remove nothing meanwhile.
GONE_MS = 30 * DAY_MS


def note_exporter(connection: Connection, *, server: str, exports: bool, now_ms: int) -> bool:
    """Note whether a server writes old calls to files as it is set up now. False: that is all."""
    connection.execute(delete(exporters).where(exporters.c.server == server))
    if exports:
        connection.execute(exporters.insert().values(server=server, seen_ms=now_ms))
    return False


def check_no_exporter(connection: Connection, server: str, now_ms: int) -> None:
    """Raise StorageFailed where another server writes old calls to files, and has said so within GONE_MS."""
    others = select(func.min(exporters.c.server)).where(exporters.c.server != server, exporters.c.seen_ms > now_ms - GONE_MS)
    other = connection.execute(others).scalar()
    if other is not None:
        what = f"Another server on this database ({other}) writes old calls to files, and this one does not: so it removes none."
        remedy = "Leave ledger.keep_days to that one, or set ledger.export_dir here and not there. One that is gone counts for 30 days."
        raise StorageFailed("ledger.keep_days", what, remedy)
