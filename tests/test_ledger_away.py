"""What says that a ledger cannot be written: each part that fails for itself, for as long as it does, and in whichever process."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from aisa.facts import DATABASE, FOLDER, JOURNAL, BugFound, Fact, FolderGone, LedgerAway, LedgerBack
from aisa.ledger.sync import GroupSync
from aisa.observe.counters import COUNTERS_BYTES, Counters
from aisa.observe.metrics import Metrics, counted
from aisa.observe.words import in_words
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.shared_memory import SharedLock, SharedMemory, new_memory
from aisa.workers.serving import forget_dead, metrics_of
from postgres_rig import sqlite_only
from rows import priced
from test_ledger_writer import Desk, database, play
from test_metrics import read

__all__ = ["database", "play"]  # fixtures


def away(metrics: Metrics) -> float:
    """Return what an operator's alert reads."""
    return read(asyncio.run(metrics.text()))["aisa_ledger_away"]


def test_a_disk_that_takes_the_journal_again_is_told_as_back() -> None:
    """[issue 13] The metric stayed at 1, and its alert called somebody, until the server was restarted: another fact told of the end."""
    failing = [True]
    facts: list[Fact] = []
    metrics = Metrics()

    def sync() -> None:
        if failing[0]:
            raise OSError(errno.EIO, "Input/output error")

    async def scene() -> None:
        group = GroupSync(sync, "/data", counted(metrics, facts.append))
        for _ in range(2):
            with pytest.raises(StorageFailed):
                await group()
        assert read(await metrics.text())["aisa_ledger_away"] == 1
        failing[0] = False
        await group()
        assert read(await metrics.text())["aisa_ledger_away"] == 0

    asyncio.run(scene())
    told = LedgerAway("The journal cannot be written to disk: [Errno 5] Input/output error.", REMEDY, JOURNAL)
    assert facts == [told, LedgerBack(0, JOURNAL)]
    assert "Calls go on" not in in_words(told), "they are refused"
    assert in_words(facts[1]) == "the journal can be written to disk again"


REMEDY = "Look at the system's log; new calls are refused until the disk works again."


def test_one_part_that_is_back_hides_no_other_that_is_away() -> None:
    """[issue 13] A data folder that was put back set the metric to 0 while the database was away, and the other way round."""
    gone: dict[str, Fact] = {
        DATABASE: LedgerAway("full", "free space"),
        JOURNAL: LedgerAway("EIO", "look", JOURNAL),
        FOLDER: FolderGone("gone", "put it back"),
    }
    for order, back in itertools.product(itertools.permutations(gone), itertools.permutations(gone)):
        metrics = Metrics()
        for part in order:
            metrics.note(gone[part])
        found = [away(metrics)]
        for part in back:
            metrics.note(LedgerBack(0, part))
            found.append(away(metrics))
        assert found == [1, 1, 1, 0]
    assert in_words(LedgerBack(0, FOLDER)) == "the data folder is back"
    assert in_words(LedgerBack(3)) == "the ledger is written again, 3 calls at once"


def test_what_fails_in_one_process_is_read_in_another_until_that_is_over_or_it_has_died() -> None:
    """[issue 13] A worker's journal that no disk took was told by its log alone: whoever reads the metrics asks the office."""
    memory = memoryview(bytearray(COUNTERS_BYTES))
    worker = Metrics(counters=Counters(memory))
    office = Counters()
    metrics = Metrics(counters=office, all_counters=lambda: (office, Counters(memory)))
    assert away(metrics) == 0
    worker.note(LedgerAway("EIO", "look", JOURNAL))
    assert away(metrics) == 1
    worker.note(LedgerBack(0, JOURNAL))
    assert away(metrics) == 0
    worker.note(LedgerAway("EIO", "look", JOURNAL))
    successor = Metrics(counters=Counters(memory))
    assert away(metrics) == 0, "it opens a journal of its own"
    successor.note(LedgerAway("EIO", "look", JOURNAL))
    assert away(metrics) == 1


def test_what_failed_for_a_worker_that_died_is_over_though_its_number_is_nobodys(tmp_path: Path) -> None:
    """[issue 13] Its successor begins before it is settled, so under another number: the alert went on until some other worker died."""
    descriptor = new_memory(tmp_path, random.Random(1))
    office, worker = (SharedMemory(descriptor, SharedLock(tmp_path / "shared.lock"), worker=number) for number in range(2))
    metrics = metrics_of(office)
    Metrics(counters=Counters(worker.counters(1))).note(LedgerAway("EIO", "look", JOURNAL))
    Metrics(counters=Counters(worker.counters(2)))
    assert away(metrics) == 1
    forget_dead(office, 1)
    assert away(metrics) == 0
    os.close(descriptor)


@sqlite_only
def test_a_database_that_answers_is_back_though_it_refuses_the_row(
    play: Callable[[Callable[[Desk], Awaitable[None]]], None], database: Database
) -> None:
    """[issue 13] If the only row that waited was one that no database takes, the ledger was said to be away until the next call's end."""
    bad = msgspec.structs.replace(priced(5), bytes_sent=2**70)

    async def scene(desk: Desk) -> None:
        with database.transaction() as connection:
            connection.execute(text("ALTER TABLE calls RENAME TO elsewhere"))
        desk.post(bad)
        await desk.until_away()
        with database.transaction() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO calls"))
        await desk.until(lambda: len(desk.facts) == 3)
        assert [type(fact) for fact in desk.facts] == [LedgerAway, LedgerBack, BugFound]
        assert not desk.writer.is_away()

    play(scene)
