"""A journal that an older server left: its calls are found, whatever happens while its file is made anew."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from zlib import crc32

import pytest

from aisa.ledger.journal import CLOSED_A, CLOSED_B, CLOSING_BYTES_MAX, FREE, OPEN, OPENING_BYTES_MAX, Journal
from aisa.ledger.journal_file import FORMAT, HEADER_BYTES, header_of
from aisa.storage.failure import StorageFailed
from journal_crash import Call, found_in
from test_journal import SMALL, files_no_longer_than

SLOT_BYTES, SLOTS = 8192, 1024


def old_slot(
    state: int, opening: bytes, *, progress: int = 0, a: bytes = b"", b: bytes = b"", anew: bytes = b"", attempts: int = 0
) -> bytes:
    """A slot of the first format: seven words, then the records at 64, 2064 and 5064."""

    def word(record: bytes, seed: int) -> int:
        return len(record) << 32 | crc32(record, seed) if record else 0

    first = word(opening, 1)
    words = struct.pack("=7Q", state, progress, first, word(a, first), word(b, first), word(anew, first), attempts)
    return (words.ljust(64, b"\0") + opening).ljust(2064, b"\0") + a.ljust(3000, b"\0") + (b or anew).ljust(3128, b"\0")


def old_journal(path: Path, slots: dict[int, bytes], segments: int = 1) -> None:
    """Write a journal of the first format with these slots, and nothing in the others."""
    path.write_bytes(header_of(1))
    os.truncate(path, HEADER_BYTES + segments * SLOTS * SLOT_BYTES)
    with path.open("r+b") as file:
        for number, slot in slots.items():
            assert len(slot) == SLOT_BYTES
            os.pwrite(file.fileno(), slot, HEADER_BYTES + number * SLOT_BYTES)


LONG, WHOLE_ROW = b"o" * OPENING_BYTES_MAX, b"r" * CLOSING_BYTES_MAX
LEFT = {
    0: old_slot(OPEN, b"in flight", progress=7, attempts=2),
    1: old_slot(OPEN, LONG, anew=b"n" * OPENING_BYTES_MAX, attempts=3),
    2: old_slot(FREE, b"gone", a=b"its row"),
    5: old_slot(CLOSED_A, LONG, progress=9, a=WHOLE_ROW),
    1023: old_slot(CLOSED_B, b"amended", a=b"first", b=WHOLE_ROW[:-1] + b"."),
    1024: old_slot(OPEN, b"of the second segment"),
}
CALLS = [
    Call(b"in flight", 7, None, 2),
    Call(b"n" * OPENING_BYTES_MAX, 0, None, 3),
    Call(LONG, 9, WHOLE_ROW),
    Call(b"amended", 0, WHOLE_ROW[:-1] + b"."),
    Call(b"of the second segment", 0, None),
]


def test_calls_that_an_older_server_left_are_found(tmp_path: Path) -> None:
    """Each in its state, with its records, its progress and its tries, and they go on from there as others do."""
    path = tmp_path / "board"
    old_journal(path, LEFT, segments=2)
    journal = Journal.open(path, slots_max=10_000)
    found = journal.found()
    assert sorted(Call(*call[1:]) for call in found) == sorted(CALLS, key=lambda call: call.opening)
    assert journal.damaged == 0
    by_opening = {call.opening: call.slot for call in found}
    by_opening[b"in flight"].close(b"closed here")
    by_opening[LONG].amend(b"amended here")
    journal.close()
    assert path.read_bytes()[:16].startswith(header_of(FORMAT))
    assert (path.stat().st_mode & 0o777, os.listdir(tmp_path)) == (0o600, ["board"])
    again = Journal.open(path, slots_max=10_000)
    closings = {call.opening: call.closing for call in found_in(again)}
    assert (closings[b"in flight"], closings[LONG]) == (b"closed here", b"amended here")
    again.close()


def test_an_empty_journal_of_an_older_server_is_one_of_todays(tmp_path: Path) -> None:
    """As most are that a server has left in order, also one whose first segment was never whole."""
    path = tmp_path / "board"
    for cut in (None, HEADER_BYTES + 5, 20):
        old_journal(path, {})
        if cut is not None:
            os.truncate(path, cut)
        journal = Journal.open(path, slots_max=10)
        assert (journal.taken, journal.damaged, path.stat().st_size) == (0, 0, SMALL)
        journal.close()


def test_a_journal_without_calls_needs_no_room_beside_it(tmp_path: Path) -> None:
    """A server that was stopped in order starts as the next version also where the disk is full; what a death left beside goes."""
    path = tmp_path / "board"
    for slots in ({}, {2: LEFT[2], 2047: old_slot(FREE, LONG, a=WHOLE_ROW)}):
        old_journal(path, slots, segments=2)
        (tmp_path / ".board.rewritten").write_bytes(b"cut short by a death")
        with files_no_longer_than(SMALL):
            journal = Journal.open(path, slots_max=10)
        assert (journal.found(), journal.taken, journal.damaged, path.stat().st_size) == ([], 0, 0, SMALL)
        journal.close()
        assert (path.read_bytes()[:12], os.listdir(tmp_path)) == (header_of(FORMAT)[:12], ["board"])


def test_a_disk_without_room_for_the_new_file_leaves_the_old_one(tmp_path: Path) -> None:
    """It is told, nothing stays beside, and the calls are found once there is room; so they are after a death in between."""
    path = tmp_path / "board"
    old_journal(path, LEFT, segments=2)
    with files_no_longer_than(SMALL), pytest.raises(StorageFailed, match="no room for the journal"):
        Journal.open(path, slots_max=10_000)
    assert os.listdir(tmp_path) == ["board"]
    (tmp_path / ".board.rewritten").write_bytes(b"cut short by a death")
    journal = Journal.open(path, slots_max=10_000)
    assert len(found_in(journal)) == len(CALLS)
    assert os.listdir(tmp_path) == ["board"]
    journal.close()
