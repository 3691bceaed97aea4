"""A ledger for tests of the path: on a real journal, with the rows in a list instead of a database. Not a test."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from aisa.clock import wall_clock
from aisa.ledger.caps import Cap
from aisa.ledger.journal import Journal
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet


@cache
def shared_journal() -> Journal:
    """One journal for all tests of a process: making one takes 8 MiB of disk, and its slots are free between calls."""
    folder = tempfile.TemporaryDirectory(prefix="aisa-board-")
    FOLDERS.append(folder)
    return Journal.open(Path(folder.name) / "board", slots_max=65_536)


FOLDERS: list[tempfile.TemporaryDirectory[str]] = []  # kept until the process ends, which removes them


def ledger_into(rows: list[CallRow], *wallets: Wallet, caps: tuple[tuple[str, Cap], ...] = ()) -> LiveLedger:
    """Return a ledger whose rows are committed at once, to a list."""

    def post(row: CallRow, committed: Callable[[], None]) -> None:
        rows.append(row)
        committed()

    return LiveLedger(shared_journal(), post, wallets=wallets, caps=caps, wall_clock=wall_clock)
