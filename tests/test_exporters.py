"""Old calls of several servers on one database: none is removed that no file has, while one of them writes such files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import func, select

from aisa.config.ledger_settings import Ledger
from aisa.facts import Fact, ServerWarning
from aisa.ledger.exporters import GONE_MS, check_no_exporter, note_exporter
from aisa.ledger.port_usage import DAY_MS
from aisa.ledger.retention import LOOK_SECONDS, REMOVE_AFTER_LOOKS, Retention
from aisa.ledger.sums import roll_up
from aisa.ledger.writer import Errand, insert_rows
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.tables import calls, removed_files
from aisa.testing.clock import run_virtual
from test_retention import MIDNIGHT, row

OLD = [row(number, MIDNIGHT + number * DAY_MS, MIDNIGHT + number * DAY_MS + 5) for number in range(20)]
NOW_MS = MIDNIGHT + 60 * DAY_MS


def left(database: Database) -> int:
    """Count the calls that the database has."""
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(calls)).scalar_one())


def posting(database: Database) -> Callable[[Errand], None]:
    """Return what does an errand at once, as often as it wants, and hears of no failure: as a writer does."""

    def post(errand: Errand) -> None:
        more = True
        while more:
            try:
                with database.transaction() as connection:
                    more = errand.run(connection)
            except StorageFailed:
                return

    return post


def test_a_server_without_a_folder_leaves_old_calls_to_the_one_that_has_one(opened: Database, tmp_path: Path) -> None:
    """[issue 13] Whichever came first removed them: the one without `export_dir` for good, though the other was to write them down."""
    insert_rows(opened, OLD)
    with opened.transaction() as connection:
        while roll_up(connection, NOW_MS):
            pass
    facts: list[Fact] = []
    settings = {"with": Ledger(keep_days=45, export_dir=str(tmp_path / "old")), "without": Ledger(keep_days=40)}

    async def scene() -> None:
        time = asyncio.get_running_loop().time

        def look(server: str) -> None:
            Retention(
                posting(opened),
                lambda: settings[server],
                wall_clock=lambda: NOW_MS / 1000 + time(),
                report=facts.append,
                server=server,
            ).look()

        look("without")
        look("with")
        await asyncio.sleep((REMOVE_AFTER_LOOKS + 3) * LOOK_SECONDS + 1)
        assert left(opened) == 5, "the one with a folder has removed what is older than 45 days"
        with opened.reading() as connection:
            assert connection.execute(select(func.sum(removed_files.c.calls))).scalar() == 15
        assert len(b"".join(path.read_bytes() for path in (tmp_path / "old").iterdir()).splitlines()) == 15
        told = [fact.message for fact in facts if isinstance(fact, ServerWarning)]
        assert ["so it removes none" in text and "(with)" in text for text in told] == [True]
        settings["with"] = msgspec.structs.replace(settings["with"], export_dir=None)  # a reload
        await asyncio.sleep(2 * LOOK_SECONDS)
        assert left(opened) == 0

    run_virtual(scene())


def test_a_server_that_was_not_there_for_a_month_keeps_nobody_from_it(opened: Database) -> None:
    """Until then it counts, as a restart or a week of repairs is no reason to remove what it was to write down."""
    with opened.transaction() as connection:
        note_exporter(connection, server="a", exports=True, now_ms=NOW_MS)
        check_no_exporter(connection, "a", NOW_MS)
        with pytest.raises(StorageFailed, match=r"Another server on this database \(a\)"):
            check_no_exporter(connection, "b", NOW_MS + GONE_MS - 1)
        check_no_exporter(connection, "b", NOW_MS + GONE_MS)
        note_exporter(connection, server="a", exports=True, now_ms=NOW_MS + DAY_MS)
        with pytest.raises(StorageFailed):
            check_no_exporter(connection, "b", NOW_MS + GONE_MS)
        note_exporter(connection, server="a", exports=False, now_ms=NOW_MS)
        check_no_exporter(connection, "b", NOW_MS)
