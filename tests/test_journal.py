"""The journal of calls in flight: each step of a call, its limits, and what is found after deaths, damage and full disks."""

from __future__ import annotations

import os
import random
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aisa.ledger import journal as journal_module
from aisa.ledger.journal import (
    ATTEMPTS,
    CLOSED_A,
    CLOSED_B,
    CLOSING_BYTES_MAX,
    FIRST_BYTES,
    FREE,
    GROWTH_SPARES_BYTES,
    NEAR_BYTES,
    OPEN,
    OPENING_BYTES_MAX,
    RECORD_AT,
    RECORD_BYTES_MAX,
    REOPENED,
    SECOND_AT,
    SECOND_BYTES,
    SEGMENT_BYTES,
    SEGMENT_SLOTS,
    STRIDE,
    THIRD_AT,
    THIRD_BYTES,
    Journal,
    JournalFull,
    Slot,
)
from aisa.ledger.journal_file import FORMAT, HEADER_BYTES, MAGIC, append_zeros, free_bytes, header_of
from aisa.storage.failure import StorageFailed
from journal_crash import REPORT_BYTES, STEPS, Call, found_in, model_of, perform, steps_of
from repeats import repeats

KILLS = 100
HEADER = header_of(FORMAT)
SMALL = HEADER_BYTES + SEGMENT_BYTES
PARTS = (FIRST_BYTES, SECOND_BYTES, THIRD_BYTES)
SLOT_BYTES = sum(PARTS)


def places(slot: int) -> list[tuple[int, int]]:
    """Where the parts of a slot of the first segment begin in the file, and how long they are."""
    return [(HEADER_BYTES + begin + slot * size, size) for begin, size in zip((0, SECOND_AT, THIRD_AT), PARTS, strict=True)]


def place_of(slot: int, offset: int) -> int:
    """Where a byte of a slot is in the file, its parts behind each other."""
    for begin, size in places(slot):
        if offset < size:
            return begin + offset
        offset -= size
    raise AssertionError("no slot is as long")


def slot_in(path: Path, slot: int = 0) -> bytes:
    """The parts of a slot behind each other."""
    with path.open("rb") as file:
        return b"".join([os.pread(file.fileno(), size, begin) for begin, size in places(slot)])


def reopened(journal: Journal, path: Path, slots_max: int = 10_000) -> Journal:
    """Close a journal and open it again."""
    journal.close()
    return Journal.open(path, slots_max=slots_max)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a journal can be made."""
    return tmp_path / "board"


@contextmanager
def limited(resource_kind: int, limit: int) -> Iterator[None]:
    """Let this process have no more of something for a while."""
    old, hard = resource.getrlimit(resource_kind)
    resource.setrlimit(resource_kind, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource_kind, (old, hard))


def files_no_longer_than(size: int) -> AbstractContextManager[None]:
    """Let this process make no file longer, which posix_fallocate meets as it meets the end of a disk."""
    return limited(resource.RLIMIT_FSIZE, size)


def test_a_new_board_is_empty_private_and_has_its_room_on_the_disk(path: Path) -> None:
    """It is for its owner only whatever the umask allows, and no page of it is a hole that a full disk would not fill."""
    old = os.umask(0)
    try:
        journal = Journal.open(path, slots_max=10)
    finally:
        os.umask(old)
    assert (journal.found(), journal.taken, journal.damaged) == ([], 0, 0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size == SMALL
    assert path.stat().st_blocks * 512 >= SEGMENT_BYTES
    journal.close()


def test_each_step_of_a_call_is_found_as_it_was_left(path: Path) -> None:
    """Taken, in progress, closed, amended once and twice: after each step the next process finds its last words."""
    journal = Journal.open(path, slots_max=10)
    slot = journal.take(b"opening")
    for step, expected, state in [
        (lambda slot: None, Call(b"opening", 0, None), OPEN),
        (lambda slot: slot.words.__setitem__(slot.at + ATTEMPTS, 1), Call(b"opening", 0, None, 1), OPEN),
        (lambda slot: slot.reopen(b"of another target"), Call(b"of another target", 0, None, 1), OPEN),
        (lambda slot: slot.reopen(b"of a third"), Call(b"of a third", 0, None, 1), OPEN),
        (lambda slot: slot.words.__setitem__(slot.at, 2**64 - 1), Call(b"of a third", 2**64 - 1, None, 1), OPEN),
        (lambda slot: slot.close(b"first"), Call(b"opening", 2**64 - 1, b"first", 1), CLOSED_A),
        (lambda slot: slot.amend(b"the second"), Call(b"opening", 2**64 - 1, b"the second", 1), CLOSED_B),
        (lambda slot: slot.amend(b"3"), Call(b"opening", 2**64 - 1, b"3", 1), CLOSED_A),
    ]:
        step(slot)
        journal = reopened(journal, path)
        ((slot, *found),) = journal.found()
        assert Call(*found) == expected
        assert slot.words[slot.at - 1] == state
        assert journal.taken == 1
    slot.free()
    assert (slot.words[slot.at - 1], journal.taken) == (FREE, 0)
    assert reopened(journal, path).found() == []


def test_what_was_left_is_handed_over_once(path: Path) -> None:
    """A second look does not find a call that was settled meanwhile, nor one of this process in its slot."""
    journal = Journal.open(path, slots_max=10)
    journal.take(b"a call")
    journal = reopened(journal, path)
    assert [found.opening for found in journal.found()] == [b"a call"]
    assert journal.found() == []
    assert journal.taken == 1
    journal.close()


def test_a_slot_is_used_again_with_nothing_of_its_last_call(path: Path) -> None:
    """The slot freed last is the one taken next, and its progress begins at zero."""
    journal = Journal.open(path, slots_max=10)
    journal.take(b"stays")
    first = journal.take(b"a long opening")
    first.words[first.at + ATTEMPTS] = 2
    first.reopen(b"another opening")
    first.words[first.at] = 7
    first.close(b"closing")
    first.free()
    again = journal.take(b"short")
    assert (again.words is first.words, again.at) == (True, first.at)
    assert found_in(reopened(journal, path)) == [Call(b"short", 0, None), Call(b"stays", 0, None)]


def test_records_may_be_empty_and_as_long_as_the_limits(path: Path) -> None:
    """Full records do not touch each other, nor the slots before and after."""
    journal = Journal.open(path, slots_max=10)
    expected = [Call(b"", 0, b"")]
    slots = [journal.take(bytes([number]) * OPENING_BYTES_MAX) for number in (1, 2, 3)]
    journal.take(b"").close(b"")
    for number, slot in enumerate(slots, 1):
        slot.close(b"\xff" * CLOSING_BYTES_MAX)
        slot.amend(b"\xfe" * CLOSING_BYTES_MAX)
        slot.words[slot.at] = 2**64 - 1
        expected.append(Call(bytes([number]) * OPENING_BYTES_MAX, 2**64 - 1, b"\xfe" * CLOSING_BYTES_MAX))
    assert found_in(reopened(journal, path)) == expected


def test_the_parts_of_a_slot_lie_side_by_side(path: Path) -> None:
    """Seven words in one sector, then each record at its longest, none of them in another, all of them within their part and aligned."""
    assert 7 * 8 <= RECORD_AT[OPEN] == FIRST_BYTES - NEAR_BYTES
    assert all(number * FIRST_BYTES % 512 <= 512 - 7 * 8 for number in range(SEGMENT_SLOTS))
    assert (RECORD_AT[CLOSED_A], RECORD_BYTES_MAX[CLOSED_A] <= SECOND_BYTES) == (SECOND_AT, True)
    assert THIRD_AT + OPENING_BYTES_MAX - NEAR_BYTES <= RECORD_AT[CLOSED_B] <= THIRD_AT + THIRD_BYTES - RECORD_BYTES_MAX[CLOSED_B]
    assert (RECORD_AT[REOPENED], RECORD_BYTES_MAX[REOPENED] <= RECORD_BYTES_MAX[CLOSED_B]) == (RECORD_AT[CLOSED_B], True)
    assert [STRIDE[state] * FIRST_BYTES // 8 for state in (OPEN, CLOSED_A, CLOSED_B)] == list(PARTS)
    assert STRIDE[REOPENED] == STRIDE[CLOSED_B]
    assert tuple(SEGMENT_SLOTS * sum(PARTS[: number + 1]) for number in range(3)) == (SECOND_AT, THIRD_AT, SEGMENT_BYTES)
    assert [begin % 8 for begin in RECORD_AT] == [0] * 5


@pytest.mark.parametrize("size", [NEAR_BYTES - 1, NEAR_BYTES, NEAR_BYTES + 1, OPENING_BYTES_MAX])
def test_an_opening_that_does_not_fit_near_its_words_has_its_rest_elsewhere(path: Path, size: int) -> None:
    """It is found whole, beside neighbours of the same size, also once its call is closed and amended."""
    journal = Journal.open(path, slots_max=10)
    openings = [random.Random(seed).randbytes(size) for seed in range(3)]
    slots = [journal.take(opening) for opening in openings]
    slots[1].close(b"1" * CLOSING_BYTES_MAX)
    slots[2].close(b"2" * CLOSING_BYTES_MAX)
    slots[2].amend(b"3" * CLOSING_BYTES_MAX)
    closings = [None, b"1" * CLOSING_BYTES_MAX, b"3" * CLOSING_BYTES_MAX]
    expected = [Call(opening, 0, closing) for opening, closing in zip(openings, closings, strict=True)]
    assert sorted(found_in(reopened(journal, path))) == sorted(expected)


def test_a_record_that_is_too_long_is_refused_and_changes_nothing(path: Path) -> None:
    """No slot is lost to it, and what was there before stays."""
    journal = Journal.open(path, slots_max=10)
    with pytest.raises(ValueError, match=f"{OPENING_BYTES_MAX} at most"):
        journal.take(bytes(OPENING_BYTES_MAX + 1))
    assert journal.taken == 0
    slot = journal.take(b"opening")
    with pytest.raises(ValueError, match=f"{OPENING_BYTES_MAX} at most"):
        slot.reopen(bytes(OPENING_BYTES_MAX + 1))
    with pytest.raises(ValueError, match=f"{CLOSING_BYTES_MAX} at most"):
        slot.close(bytes(CLOSING_BYTES_MAX + 1))
    slot.close(b"closing")
    with pytest.raises(ValueError, match=f"{CLOSING_BYTES_MAX} at most"):
        slot.amend(bytes(CLOSING_BYTES_MAX + 1))
    assert found_in(reopened(journal, path)) == [Call(b"opening", 0, b"closing")]


def test_a_step_that_the_state_forbids_is_a_bug_that_says_so(path: Path) -> None:
    """A slot freed twice would be two calls' at once, and a call closed twice would have two bills."""
    journal = Journal.open(path, slots_max=10)
    slot = journal.take(b"opening")
    forbidden: list[Callable[[], None]] = [lambda: slot.amend(b"c")]
    for step, then in [
        (lambda: None, forbidden),
        (lambda: slot.close(b"c"), [lambda: slot.close(b"c"), lambda: slot.reopen(b"c")]),
        (lambda: slot.amend(b"c"), [lambda: slot.close(b"c"), lambda: slot.reopen(b"c")]),
        (slot.free, [lambda: slot.close(b"c"), lambda: slot.amend(b"c"), lambda: slot.reopen(b"c"), slot.free]),
    ]:
        step()
        for wrong in then:
            with pytest.raises(AssertionError):
                wrong()
    assert journal.taken == 0
    journal.close()


def test_a_board_that_is_full_grows_by_a_segment_whose_room_is_on_the_disk(path: Path) -> None:
    """The call after the last slot of a segment gets the first one of another, and all are found."""
    journal = Journal.open(path, slots_max=SEGMENT_SLOTS + 1)
    openings = [b"%d" % number for number in range(SEGMENT_SLOTS + 1)]
    slots = [journal.take(opening) for opening in openings]
    assert (slots[0].at, slots[-1].at, slots[0].words is slots[-1].words) == (1, 1, False)
    assert journal.taken == SEGMENT_SLOTS + 1
    assert path.stat().st_size == SMALL + SEGMENT_BYTES
    assert path.stat().st_blocks * 512 >= 2 * SEGMENT_BYTES
    assert sorted(call.opening for call in found_in(reopened(journal, path))) == sorted(openings)


def test_no_more_slots_are_taken_than_allowed(path: Path) -> None:
    """At the limit a call is refused until another is freed, also when those who hold the slots were found."""
    journal = Journal.open(path, slots_max=3)
    slots = [journal.take(b"%d" % number) for number in range(3)]
    with pytest.raises(JournalFull, match="all 3 slots"):
        journal.take(b"too many")
    slots[1].free()
    journal.take(b"in its place")
    journal = reopened(journal, path, slots_max=2)
    first, second, _ = journal.found()
    first.slot.free()
    with pytest.raises(JournalFull, match="all 2 slots"):
        journal.take(b"too many")
    second.slot.free()
    journal.take(b"fits")
    journal.close()


def test_an_empty_board_begins_again_with_one_segment(path: Path) -> None:
    """A crowd's journal is cut back when it is opened empty, and only then."""
    journal = Journal.open(path, slots_max=10_000)
    slots = [journal.take(b"%d" % number) for number in range(2 * SEGMENT_SLOTS + 1)]
    for slot in slots[:-1]:
        slot.free()
    journal = reopened(journal, path)
    assert path.stat().st_size == SMALL + 2 * SEGMENT_BYTES
    (left,) = journal.found()
    assert left.opening == b"%d" % (2 * SEGMENT_SLOTS)
    left.slot.free()
    journal = reopened(journal, path)
    assert path.stat().st_size == SMALL
    assert journal.taken == 0
    journal.close()


def test_a_disk_that_is_full_refuses_calls_and_the_process_lives(path: Path) -> None:
    """A journal that cannot grow keeps its length and its calls, and grows once there is room."""
    journal = Journal.open(path, slots_max=10_000)
    slots = [journal.take(b"%d" % number) for number in range(SEGMENT_SLOTS)]
    with files_no_longer_than(SMALL + SEGMENT_BYTES // 2):
        for _ in range(2):
            with pytest.raises(JournalFull, match="cannot grow: File too large"):
                journal.take(b"no room")
    assert path.stat().st_size == SMALL
    assert journal.taken == SEGMENT_SLOTS
    slots[5].free()
    journal.take(b"in the old room")
    journal.take(b"in new room")
    assert len(reopened(journal, path).found()) == SEGMENT_SLOTS + 1


def test_room_that_cannot_be_mapped_is_given_back(path: Path) -> None:
    """A growth that fails halfway, here for want of a descriptor, leaves the file as it was."""
    journal = Journal.open(path, slots_max=10_000)
    for number in range(SEGMENT_SLOTS):
        journal.take(b"%d" % number)
    with limited(resource.RLIMIT_NOFILE, 3), pytest.raises(JournalFull, match="cannot grow: Too many open files"):
        journal.take(b"no room")
    assert path.stat().st_size == SMALL
    journal.take(b"in new room")
    journal.close()


def test_the_last_of_a_disk_is_left_to_the_database(path: Path) -> None:
    """The journal grows into room that it need not share, down to the byte, and not into less."""
    room = [SEGMENT_BYTES + GROWTH_SPARES_BYTES - 1]
    journal = Journal.open(path, slots_max=10_000, room=lambda descriptor: room[0])
    for number in range(SEGMENT_SLOTS):
        journal.take(b"%d" % number)
    with pytest.raises(JournalFull, match="nearly full"):
        journal.take(b"no room")
    assert path.stat().st_size == SMALL
    room[0] += 1
    journal.take(b"in new room")
    assert path.stat().st_size == SMALL + SEGMENT_BYTES
    journal.close()


def test_a_file_system_that_does_not_tell_its_room_is_taken_to_have_some(tmp_path: Path) -> None:
    """Zero blocks in all is no answer; any other figure is what the system says."""
    with (tmp_path / "file").open("wb") as file, open("/proc/self/stat", "rb") as untold:
        disk = os.statvfs(tmp_path)
        assert 0 < free_bytes(file.fileno()) <= disk.f_blocks * disk.f_frsize
        assert free_bytes(untold.fileno()) == sys.maxsize


def test_a_disk_without_room_for_the_first_segment_keeps_the_server_from_starting(path: Path) -> None:
    """It says so, and what was made meanwhile is a journal once there is room."""
    with files_no_longer_than(SMALL - 1), pytest.raises(StorageFailed, match="no room for the journal") as caught:
        Journal.open(path, slots_max=10)
    assert "Free some space" in caught.value.remedy
    journal = Journal.open(path, slots_max=10)
    journal.take(b"a call")
    assert found_in(reopened(journal, path)) == [Call(b"a call", 0, None)]


def test_a_copy_with_holes_gets_its_room_back(path: Path) -> None:
    """A restored journal whose empty pages have no blocks has them again before the first call is taken."""
    journal = Journal.open(path, slots_max=10)
    journal.take(b"a call")
    journal.close()
    kept = path.read_bytes()[: HEADER_BYTES + FIRST_BYTES]
    path.write_bytes(kept)
    os.truncate(path, SMALL)
    journal = Journal.open(path, slots_max=10)
    assert path.stat().st_blocks * 512 >= SEGMENT_BYTES
    assert found_in(journal) == [Call(b"a call", 0, None)]
    journal.close()


def test_zeros_are_appended_without_touching_what_is_there(tmp_path: Path) -> None:
    """Where the system cannot reserve room, writing does, and a full disk is told."""
    file = tmp_path / "file"
    file.write_bytes(b"kept")
    with file.open("r+b") as opened, files_no_longer_than(30):
        append_zeros(opened.fileno(), 2, 8)
        assert file.read_bytes() == b"kept" + bytes(6)
        append_zeros(opened.fileno(), 0, 10)
        assert file.read_bytes() == b"kept" + bytes(6)
        with pytest.raises(OSError, match="File too large"):
            append_zeros(opened.fileno(), 0, 31)


@pytest.mark.parametrize("length", [SMALL + 1, SMALL + SEGMENT_BYTES - 1, HEADER_BYTES + 5, len(HEADER)])
def test_a_growth_that_a_death_cut_short_is_dropped(path: Path, length: int) -> None:
    """A file that ends within a segment has the calls of its whole segments."""
    journal = Journal.open(path, slots_max=10)
    if length > SMALL:
        journal.take(b"a call")
    journal.close()
    os.truncate(path, length)
    journal = Journal.open(path, slots_max=10)
    assert [call.opening for call in found_in(journal)] == ([b"a call"] if length > SMALL else [])
    assert path.stat().st_size == SMALL
    journal.close()


@pytest.mark.parametrize("place", ["folder", "missing/board", "link", "pipe"])
def test_a_board_that_cannot_be_used_is_told(tmp_path: Path, place: str) -> None:
    """A folder or a pipe in the way, no folder, or somebody's link is a failure that says what to do."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageFailed, match="cannot be used") as caught:
        Journal.open(tmp_path / place, slots_max=10)
    assert caught.value.where == str(tmp_path / place)
    assert "local disk" in caught.value.remedy
    assert not (tmp_path / "elsewhere").exists()


def test_a_board_of_a_newer_format_is_left_alone(path: Path) -> None:
    """An older program does not guess at what a newer one wrote."""
    content = header_of(FORMAT + 1) + b"unknown"
    path.write_bytes(content)
    with pytest.raises(StorageFailed, match="newer aisa"):
        Journal.open(path, slots_max=10)
    assert path.read_bytes() == content


@pytest.mark.parametrize("place", range(len(HEADER)))
def test_a_header_with_any_byte_changed_is_refused_and_left_alone(path: Path, place: int) -> None:
    """Neither is a damaged journal used, nor is it overwritten; no descriptor is left behind."""
    Journal.open(path, slots_max=10).close()
    descriptors = len(os.listdir("/proc/self/fd"))
    sound = path.read_bytes()[:HEADER_BYTES]
    for bit in range(8):
        content = bytearray(sound)
        content[place] ^= 1 << bit
        path.write_bytes(content)
        with pytest.raises(StorageFailed, match="damaged") as caught:
            Journal.open(path, slots_max=10)
        assert "move it away" in caught.value.remedy
        assert path.read_bytes() == content
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_file_that_was_never_a_board_is_refused_and_left_alone(path: Path) -> None:
    """However short it is, unless it is empty."""
    for content in (b"\0", b"hello", MAGIC, bytes(SMALL)):
        path.write_bytes(content)
        with pytest.raises(StorageFailed, match="no journal"):
            Journal.open(path, slots_max=10)
        assert path.read_bytes() == content
    path.write_bytes(b"")
    Journal.open(path, slots_max=10).close()


#: Every call with its closings that was ever in a journal of a few slots.
WRITTEN = {
    Call(b"%d opening" % number, 0, closing)
    for number in range(5)
    for closing in (None, b"%d first" % number, b"%d second" % number, b"%d third" % number)
}


def lively_board(path: Path) -> bytes:
    """Make a journal with a call in each state, the last of them in a slot of an earlier call, and return its bytes."""
    journal = Journal.open(path, slots_max=10)
    slots = [journal.take(b"%d opening" % number) for number in range(4)]
    for number, slot in enumerate(slots[1:], 1):
        slot.close(b"%d first" % number)
    for slot in slots[2:]:
        slot.amend(slot.read().closing.replace(b"first", b"second"))
    slots[3].amend(b"3 third")
    slots[3].free()
    journal.take(b"4 opening")
    journal.take(b"0 opening").free()
    journal.close()
    return path.read_bytes()


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A path, and the bytes of a lively journal."""
    path = tmp_path_factory.mktemp("lively") / "board"
    return path, lively_board(path)


def opened_with(path: Path, content: bytes | bytearray) -> Journal:
    """Open a journal of one segment that holds these bytes."""
    path.write_bytes(content)
    return Journal.open(path, slots_max=10)


def opened_at(path: Path, image: bytes) -> Journal:
    """Open a journal whose first slot is as in an image, and whose others are empty."""
    path.write_bytes(HEADER)
    os.truncate(path, SMALL)
    with path.open("r+b") as file:
        for begin, size in places(0):
            os.pwrite(file.fileno(), image[:size], begin)
            image = image[size:]
    return Journal.open(path, slots_max=10)


def test_a_lively_board_holds_what_was_written(lively: tuple[Path, bytes]) -> None:
    """The journal that the next tests damage is sound."""
    journal = opened_with(*lively)
    calls = [(0, None), (1, b"1 first"), (2, b"2 second"), (4, None)]
    assert found_in(journal) == [Call(b"%d opening" % number, 0, closing) for number, closing in calls]
    assert journal.damaged == 0
    journal.close()


#: Where bytes are changed: the header and the words of a slot, or anywhere in a slot.
PLACES = st.integers(0, len(HEADER) - 1) | st.builds(place_of, st.integers(0, 5), st.integers(0, 39) | st.integers(0, SLOT_BYTES - 1))


@pytest.mark.parametrize("state", range(6))
@pytest.mark.parametrize("slot", range(6))
def test_a_garbled_state_gives_no_call_the_bill_of_another(lively: tuple[Path, bytes], slot: int, state: int) -> None:
    """Nor does it make a call of a slot that was never used."""
    path, sound = lively
    content = bytearray(sound)
    content[place_of(slot, 0)] = state
    journal = opened_with(path, content)
    assert {Call(found.opening, 0, found.closing) for found in journal.found()} <= WRITTEN
    journal.close()


@settings(max_examples=repeats(300), deadline=None)
@given(changes=st.lists(st.tuples(PLACES, st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_board_never_shows_a_record_that_was_not_written(lively: tuple[Path, bytes], changes: list[tuple[int, int]]) -> None:
    """Any bytes anywhere: the journal is refused, or each call found is one that was there once, with a closing of its own."""
    path, sound = lively
    content = bytearray(sound)
    for place, value in changes:
        content[place] = value
    try:
        journal = opened_with(path, content)
    except StorageFailed:
        assert content[: len(HEADER)] != sound[: len(HEADER)]
        return
    calls = [Call(found.opening, 0, found.closing) for found in journal.found()]
    assert set(calls) <= WRITTEN
    assert journal.taken == len(calls)
    again = reopened(journal, path)
    assert ([Call(found.opening, 0, found.closing) for found in again.found()], again.damaged) == (calls, 0)
    again.close()


@settings(max_examples=repeats(50), deadline=None)
@given(size=st.integers(0, 6 * FIRST_BYTES) | st.integers(SMALL - 6 * THIRD_BYTES, SMALL), zeros=st.integers(0, 6 * SLOT_BYTES))
def test_a_board_of_any_length_is_opened_or_refused(lively: tuple[Path, bytes], size: int, zeros: int) -> None:
    """A file that was cut, with zeros in place of the rest or without, shows only what was written, and never ends the process."""
    path, sound = lively
    path.write_bytes(sound[:size] + bytes(zeros))
    try:
        journal = Journal.open(path, slots_max=10)
    except StorageFailed:
        assert size < len(HEADER)
        return
    assert {Call(found.opening, 0, found.closing) for found in journal.found()} <= WRITTEN
    journal.close()


def images_of(path: Path, act: Callable[[], object]) -> list[bytes]:
    """The first slot of a journal as it was before `act`, before each instruction of the journal's code during it, and after it."""
    images = [slot_in(path)]

    def look(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != journal_module.__file__:
            return None
        frame.f_trace_opcodes = True
        images.append(slot_in(path))
        return look

    tracer = sys.gettrace()
    sys.settrace(look)
    try:
        act()
    finally:
        sys.settrace(tracer)
    images.append(slot_in(path))
    return [image for place, image in enumerate(images) if not place or image != images[place - 1]]


def shown_by(path: Path, image: bytes) -> list[Call]:
    """What a journal whose first slot is as in an image has, none of it damaged."""
    journal = opened_at(path, image)
    found = found_in(journal)
    assert journal.damaged == 0
    journal.close()
    return found


def torn(before: bytes, after: bytes) -> Iterator[bytes]:
    """Every image between two: a store done up to some 64-bit word, from the front or from the back."""
    for cut in range(0, SLOT_BYTES, 8):
        if before[cut : cut + 8] != after[cut : cut + 8]:
            yield after[:cut] + before[cut:]
            yield before[:cut] + after[cut:]


STORIES: list[tuple[Callable[[Journal, list[Slot]], object], Call | None]] = [
    (lambda journal, slots: slots.append(journal.take(b"first call" * 9)), Call(b"first call" * 9, 0, None)),
    (lambda journal, slots: slots[-1].close(b"closing" * 9), Call(b"first call" * 9, 0, b"closing" * 9)),
    (lambda journal, slots: slots[-1].amend(b"amended" * 8), Call(b"first call" * 9, 0, b"amended" * 8)),
    (lambda journal, slots: slots[-1].free(), None),
    (lambda journal, slots: slots.append(journal.take(b"another" * 9)), Call(b"another" * 9, 0, None)),
    (lambda journal, slots: slots[-1].words.__setitem__(slots[-1].at + ATTEMPTS, 2), Call(b"another" * 9, 0, None, 2)),
    (lambda journal, slots: slots[-1].reopen(b"elsewhere" * 9), Call(b"elsewhere" * 9, 0, None, 2)),
    (lambda journal, slots: slots[-1].words.__setitem__(slots[-1].at, 5), Call(b"elsewhere" * 9, 5, None, 2)),
    (lambda journal, slots: slots[-1].close(b"CLOSING" * 7), Call(b"another" * 9, 5, b"CLOSING" * 7, 2)),
    (lambda journal, slots: slots[-1].amend(b"AMENDED" * 9), Call(b"another" * 9, 5, b"AMENDED" * 9, 2)),
    (lambda journal, slots: slots[-1].amend(b"again" * 9), Call(b"another" * 9, 5, b"again" * 9, 2)),
    (lambda journal, slots: slots[-1].free(), None),
    (lambda journal, slots: slots.append(journal.take(b"third" * 9)), Call(b"third" * 9, 0, None)),
    (lambda journal, slots: slots[-1].free(), None),
    (lambda journal, slots: slots.append(journal.take(b"a long one" * 60)), Call(b"a long one" * 60, 0, None)),
    (lambda journal, slots: slots[-1].free(), None),
]


def test_a_death_at_any_instruction_finds_the_call_before_or_after_the_step(path: Path, tmp_path: Path) -> None:
    """Each step happens at one store: before it nothing shows, after it everything; a record half written never shows."""
    journal, slots = Journal.open(path, slots_max=10), list[Slot]()
    before: Call | None = None
    for step, after in STORIES:
        images = images_of(path, lambda step=step: step(journal, slots))
        old, new = [before] if before else [], [after] if after else []
        shown = [shown_by(tmp_path / "dead", image) for image in images]
        assert (shown[0], shown[-1]) == (old, new)
        assert [calls == new for calls in shown] == sorted(calls == new for calls in shown)
        between = [image for place in range(1, len(images)) for image in torn(images[place - 1], images[place])]
        shown += [shown_by(tmp_path / "dead", image) for image in between]
        assert [calls for calls in shown if calls not in (old, new)] == []
        before = after
    journal.close()


def test_a_death_while_a_call_is_opened_anew_for_the_second_time_finds_one_of_its_openings(path: Path, tmp_path: Path) -> None:
    """Nothing of it had left, so its price does not count; it is not lost, and not taken for another call."""
    journal = Journal.open(path, slots_max=10)
    slot = journal.take(b"first" * 9)
    slot.reopen(b"second" * 9)
    images = images_of(path, lambda: slot.reopen(b"third" * 9))
    images += [image for place in range(1, len(images)) for image in torn(images[place - 1], images[place])]
    shown = [call.opening for image in images for call in shown_by(tmp_path / "dead", image)]
    assert (len(shown), set(shown)) == (len(images), {b"first" * 9, b"second" * 9, b"third" * 9})
    journal.close()


@pytest.fixture(scope="module")
def ages(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The first slot of a journal before the stories and after each of their steps."""
    path = tmp_path_factory.mktemp("ages") / "board"
    journal, slots, images = Journal.open(path, slots_max=10), list[Slot](), [bytes(SLOT_BYTES)]
    for step, _ in STORIES:
        step(journal, slots)
        images.append(slot_in(path))
    journal.close()
    return images


@settings(max_examples=repeats(300), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.sampled_from([2, 13, 65]).flatmap(lambda count: st.lists(st.integers(0, len(STORIES)), min_size=count, max_size=count)))
def test_a_slot_whose_parts_are_of_different_ages_shows_a_whole_call_or_none(ages: list[bytes], path: Path, parts: list[int]) -> None:
    """After a power failure each page or sector may be as old as it likes: no call gets another's records or progress."""
    size = SLOT_BYTES // len(parts)
    journal = opened_at(path, b"".join(ages[age][place * size :][:size] for place, age in enumerate(parts)))
    found = found_in(journal)
    assert [call for call in found if call not in [after for _, after in STORIES]] == []
    assert len(found) + journal.damaged == (ages[parts[0]][0] != FREE)
    journal.close()


def test_a_slot_of_two_ages_is_counted_once_and_used_again(ages: list[bytes], path: Path) -> None:
    """A call whose second closing did not reach the disk is reported as damaged, and its slot is not lost."""
    amended, newer = ages[10], ages[2]
    journal = opened_at(path, amended[:4096] + newer[4096:])
    assert (journal.found(), journal.damaged, journal.taken) == ([], 1, 0)
    journal = reopened(journal, path, slots_max=SEGMENT_SLOTS)
    assert journal.damaged == 0
    for number in range(SEGMENT_SLOTS):
        journal.take(b"%d" % number)
    assert path.stat().st_size == SMALL
    journal.close()


def test_whatever_happens_to_calls_the_board_agrees_with_a_model(path: Path) -> None:
    """Thousands of random steps on up to 1,500 calls leave exactly the calls that they should."""
    for seed in range(8):
        path.unlink(missing_ok=True)
        journal, slots, steps = Journal.open(path, slots_max=10_000), dict[int, Slot](), steps_of(seed)
        for step in steps:
            perform(journal, slots, step)
        expected = model_of(steps)
        assert journal.taken == len(expected) == len(slots)
        journal = reopened(journal, path)
        assert (found_in(journal), journal.damaged) == (expected, 0)
        journal.close()


def killed_after(path: Path, seed: int, reports: int) -> int:
    """Let a process work in a journal, kill it once it has told of `reports` operations, and return how many it told of in all."""
    program = [sys.executable, "-S", str(Path(__file__).parent / "journal_crash.py"), str(path), str(seed)]
    environment = {"PYTHONPATH": str(Path(__file__).parent.parent / "src")}
    with subprocess.Popen(program, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        told = b""
        while len(told) < reports * REPORT_BYTES and (piece := os.read(child.stdout.fileno(), 65536)):
            told += piece
        os.kill(child.pid, 9)
        told += child.stdout.read()
    assert child.returncode == -9
    return int.from_bytes(told[-REPORT_BYTES:], "big")


def test_a_killed_process_leaves_what_it_had_done_and_at_most_one_step_more(path: Path) -> None:
    """A hundred processes killed at random instants lose nothing that they told of, and invent nothing."""
    ahead = 0
    for seed in range(KILLS):
        path.unlink(missing_ok=True)
        reports = random.Random(seed).randrange(1, STEPS * 3 // 4)
        done = killed_after(path, seed, reports)
        print(f"seed={seed} killed after {reports} reports, {done} steps were told of")
        journal, steps = Journal.open(path, slots_max=10_000), steps_of(seed)
        found = found_in(journal)
        journal.close()
        assert done >= reports
        assert journal.damaged == 0
        assert found in (model_of(steps[:done]), model_of(steps[: done + 1]))
        ahead += found != model_of(steps[:done])
    print(f"{ahead} of {KILLS} had done one step more than they told of")


def test_the_board_is_synced_in_another_thread_while_calls_go_on(path: Path) -> None:
    """What sync waits for is on the disk, and calls are neither stopped nor lost meanwhile."""
    journal = Journal.open(path, slots_max=10_000)
    with ThreadPoolExecutor() as pool:
        syncs = [pool.submit(journal.sync) for _ in range(20)]
        slots = [journal.take(b"%d" % number) for number in range(2 * SEGMENT_SLOTS)]
        frees = [pool.submit(slot.free) for slot in slots[1:]]
        taken = [journal.take(b"more") for _ in range(SEGMENT_SLOTS)]
        for task in [*syncs, *frees]:
            task.result()
    assert journal.taken == 1 + len(taken)
    assert len({(id(slot.words), slot.at) for slot in [slots[0], *taken]}) == 1 + len(taken)
    journal.close()


def test_a_closed_board_holds_nothing_open_and_refuses_further_use(path: Path) -> None:
    """A store into a closed journal is an error and not a crash, and closing again does nothing."""
    descriptors = len(os.listdir("/proc/self/fd"))
    journal = Journal.open(path, slots_max=10_000)
    slots = [journal.take(b"%d" % number) for number in range(SEGMENT_SLOTS + 1)]
    journal.close()
    journal.close()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    for use in (slots[0].free, lambda: slots[0].close(b""), lambda: slots[0].words.__setitem__(slots[0].at, 1)):
        with pytest.raises(ValueError, match="released memoryview"):
            use()
    with pytest.raises(ValueError, match="negative"):
        journal.sync()
    with pytest.raises(JournalFull):
        journal.take(b"too late")


def resident_kib(path: Path) -> int:
    """How much of a mapped file is in this process's memory."""
    maps = Path("/proc/self/smaps").read_text().split(f"{path}\n")[1]
    return int(next(line for line in maps.splitlines() if line.startswith("Rss:")).split()[1])


def test_calls_in_flight_take_less_of_the_process_than_a_page_each(path: Path) -> None:
    """A thousand that are open, with openings as they are, touch what lies close together."""
    journal = Journal.open(path, slots_max=1_000)
    for _ in range(1_000):
        slot = journal.take(b"{" + b"x" * 400 + b"}")
        slot.words[slot.at] = 1
    assert resident_kib(path) <= 1_024 * FIRST_BYTES // 1024
    journal.close()


def test_the_board_is_not_read_into_the_memory_of_the_process(path: Path) -> None:
    """Opening a journal of eight megabytes, and thousands of calls one after the other in it, touch a few pages only."""
    Journal.open(path, slots_max=10).close()
    journal = Journal.open(path, slots_max=10)
    for number in range(5_000):
        slot = journal.take(b"%d" % number)
        slot.close(b"closing")
        slot.free()
    assert resident_kib(path) < SEGMENT_BYTES // 1024 // 8  # the kernel may map neighbours of a touched page
    journal.close()
