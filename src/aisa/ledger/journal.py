"""The journal: a mapped file of the calls in flight and of those whose row is not committed. Knows neither their fields nor a database.

It survives the death of the process at any instant, because whatever was stored is the kernel's; after a power failure, what was
synced is there. Whoever opens it owns the data folder (`aisa.storage.lock`), so the file needs no lock of its own.

A header, then segments of equal slots. A slot has three parts, and a segment first those of all its slots, then all second, then all third
ones: what calls in flight touch lies close together, so that thousands of them take little of the process's memory. The first part is
seven aligned 64-bit words (state, progress, length and checksum of each of the records: the opening, the closings A and B, the opening said
anew; and how often a vendor was asked), and the opening; the second closing A; the third closing B, and before it what an opening has more
than fits into the first. The words' stores cannot be torn, and the last of each step decides:

    step   what is stored, in order               a death before the last store finds    after it
    take   opening, its word, others 0, OPEN      nothing                                an open call that delivered nothing
    reopen its word 0, new opening, its word      the open call with its first opening   the open call with the new one
    close  closing A, its word, CLOSED_A          an open call at its progress           a closed call
    amend  the other closing, its word, its state the closed call as it was              the closed call as amended
    free   FREE                                   the call as it was                     nothing

The new opening lies where closing B does, which no open call has. It is said while nothing of the call has left, so that a death
meanwhile costs nobody anything.

The same holds for a death within a store: of a word, which is old or new; of a record, which no state tells of yet. After a power
failure the sectors of a slot may be of different ages. Its words are in one sector, so of one age; a record of another age does not
have the checksum in its word, and the slot is counted as damaged. The checksum of every other record begins with its opening's, so that
not even a garbled state gives a call another's bill. A call may be found again that was freed: who settles them must know calls by id.
"""

from __future__ import annotations

import os
import struct
from contextlib import ExitStack, suppress
from mmap import mmap
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from aisa.ledger.journal_file import FORMAT, HEADER_BYTES, Room, allocate, check_header, flush, free_bytes, unusable
from aisa.ledger.journal_formats import rewrite

FIRST_BYTES, SECOND_BYTES, THIRD_BYTES = 640, 3200, 4480  # of a slot; multiples of the first, so that a slot's words tell where it lies
SEGMENT_SLOTS = 1024  # 8 MiB: more calls than most servers ever have in flight, and little enough to be found on a crowded disk
SECOND_AT, THIRD_AT = FIRST_BYTES * SEGMENT_SLOTS, (FIRST_BYTES + SECOND_BYTES) * SEGMENT_SLOTS
SEGMENT_BYTES = (FIRST_BYTES + SECOND_BYTES + THIRD_BYTES) * SEGMENT_SLOTS
OPENING_BYTES_MAX = 2000  # who calls what at which prices: these take 200 bytes and 220 more a tier, the rest is names
CLOSING_BYTES_MAX = 3000  # a row of the ledger: the opening again and what came of it; two of them still fit into a slot
GROWTH_SPARES_BYTES = SEGMENT_BYTES  # left to the database when the journal grows: only its commits free slots

FREE, OPEN, CLOSED_A, CLOSED_B = 0, 1, 2, 3
CLOSED = frozenset({CLOSED_A, CLOSED_B})
REOPENED = 4  # no state: an opening said anew
OPENING_AT, NEAR_BYTES = 64, FIRST_BYTES - 64  # of an opening few have more
#: State -> where in a segment the record of its first slot lies that it tells of, and how far from it, for each word between them, others'.
RECORD_AT = (0, OPENING_AT, SECOND_AT, *(THIRD_AT + THIRD_BYTES - CLOSING_BYTES_MAX,) * 2)
STRIDE = (0, 8, SECOND_BYTES // FIRST_BYTES * 8, *(THIRD_BYTES // FIRST_BYTES * 8,) * 2)
RECORD_BYTES_MAX = (0, OPENING_BYTES_MAX, CLOSING_BYTES_MAX, CLOSING_BYTES_MAX, OPENING_BYTES_MAX)
WHOLE = 1 << 40  # a progress: the answer has left, and there is no token in it
ATTEMPTS = 5  # the word, counted from progress as the records' are
BEGUN = struct.Struct("@6Q")  # of a call that begins: all words but its state
SEED = 1  # of an opening's checksum: zeros are not an empty record


class JournalFull(Exception):
    """No slot is left, and there can be no more."""


class Slot:
    """The place of one call.

    Two words are the caller's to store: `words[at]`, its progress in tokens, and `words[at + ATTEMPTS]`, how often a vendor was asked.

    Used by one thread at a time. A step that the call's state does not allow is a bug of ours and raises AssertionError.
    """

    __slots__ = ("_free", "_memory", "at", "words")

    def __init__(self, memory: mmap, words: memoryview, at: int, *, free: list[Slot]) -> None:
        self.words = words
        self.at = at
        self._memory = memory
        self._free = free

    def open(self, opening: bytes) -> None:
        """Begin a call; `Journal.take` does. Raises ValueError when the record is longer than OPENING_BYTES_MAX."""
        size, begin = len(opening), (self.at - 1) * 8
        near = opening if size <= NEAR_BYTES else self._near(opening)
        self._memory[begin + OPENING_AT : begin + OPENING_AT + len(near)] = near
        BEGUN.pack_into(self._memory, begin + 8, 0, size << 32 | crc32(opening, SEED), 0, 0, 0, 0)
        self.words[self.at - 1] = OPEN

    def reopen(self, opening: bytes) -> None:
        """Say anew how an open call began, of which nothing has left. Raises ValueError as `open` does."""
        words, at = self.words, self.at
        assert words[at - 1] == OPEN
        words[at + REOPENED] = 0
        self._store(REOPENED, opening, words[at + OPEN])

    def close(self, closing: bytes) -> None:
        """Say how an open call ended. Raises ValueError when the record is longer than CLOSING_BYTES_MAX."""
        words, at = self.words, self.at
        assert words[at - 1] == OPEN
        self._store(CLOSED_A, closing, words[at + OPEN])
        words[at - 1] = CLOSED_A

    def amend(self, closing: bytes) -> None:
        """Say anew how a closed call ended, any number of times. Raises ValueError when the record is longer than CLOSING_BYTES_MAX."""
        words, at = self.words, self.at
        state = words[at - 1]
        assert state in CLOSED
        other = CLOSED_A + CLOSED_B - state
        self._store(other, closing, words[at + OPEN])
        words[at - 1] = other

    def free(self) -> None:
        """Forget the call, open or closed. May be called in another thread than `Journal.take`: appending to a list is atomic."""
        state_at = self.at - 1
        assert self.words[state_at] != FREE
        self.words[state_at] = FREE
        self._free.append(self)

    def read(self) -> Found | None:
        """Return what a taken slot holds, or None when nobody wrote it so."""
        words, at = self.words, self.at
        state = words[at - 1]
        opening = self._load(OPEN, SEED)
        closing = self._load(state, words[at + OPEN]) if state in CLOSED else None
        if state == OPEN and words[at + REOPENED]:
            opening = None if opening is None else self._load(REOPENED, words[at + OPEN])
        if opening is None or (state != OPEN and closing is None):
            return None
        return Found(self, opening, words[at], closing, words[at + ATTEMPTS])

    def _near(self, opening: bytes) -> bytes:
        """Store what a long opening has more than fits near the words, and return what fits. Raises ValueError."""
        size, begin = len(opening), self._rest_at()
        if size > OPENING_BYTES_MAX:
            raise ValueError(f"a record of {size} bytes, {OPENING_BYTES_MAX} at most")
        self._memory[begin : begin + size - NEAR_BYTES] = opening[NEAR_BYTES:]
        return opening[:NEAR_BYTES]

    def _store(self, state: int, record: bytes, seed: int) -> None:
        size = len(record)
        if size > RECORD_BYTES_MAX[state]:
            raise ValueError(f"a record of {size} bytes, {RECORD_BYTES_MAX[state]} at most")
        words, at = self.words, self.at
        begin = RECORD_AT[state] + (at - 1) * STRIDE[state]
        self._memory[begin : begin + size] = record
        words[at + state] = size << 32 | crc32(record, seed)

    def _load(self, state: int, seed: int) -> bytes | None:
        size, checksum = divmod(self.words[self.at + state], 1 << 32)
        begin, known = RECORD_AT[state] + (self.at - 1) * STRIDE[state], min(size, RECORD_BYTES_MAX[state])
        near = min(known, NEAR_BYTES) if state == OPEN else known
        record = self._memory[begin : begin + near] + self._memory[(rest := self._rest_at()) : rest + known - near]
        return record if len(record) == size and crc32(record, seed) == checksum else None

    def _rest_at(self) -> int:
        return THIRD_AT + (self.at - 1) * STRIDE[CLOSED_B]


class Found(NamedTuple):
    """A call that a dead process left: its opening as said last, its progress in tokens, and how often a vendor was asked.

    `closing` is None when it was still open. The records are as they were written; for the two numbers there is no checksum.
    """

    slot: Slot
    opening: bytes
    progress: int
    closing: bytes | None
    attempts: int


class Journal:
    """An open journal. `damaged` counts the slots that were found unreadable, and freed, when it was opened.

    One thread takes; `sync` may run in another meanwhile.
    """

    def __init__(self, descriptor: int, slots_max: int, room: Room) -> None:
        self.damaged = 0
        self._descriptor = descriptor
        self._slots_max = self._slots = slots_max
        self._refusing: str | None = None
        self._room = room
        self._segments: list[tuple[mmap, memoryview]] = []
        self._free: list[Slot] = []  # the last one freed is the next one taken, so few pages are in memory
        self._found: list[Found] = []
        segments = max(0, os.fstat(descriptor).st_size - HEADER_BYTES) // SEGMENT_BYTES
        # Read rather than mapped: a look at every slot would leave every page of first parts in this process's memory.
        begins = [self._end(number) + FIRST_BYTES * index for number in range(segments) for index in range(SEGMENT_SLOTS)]
        states = [os.pread(descriptor, 8, begin) for begin in begins]
        taken = {index for index, state in enumerate(states) if any(state)}
        segments = segments if taken else 1
        os.ftruncate(descriptor, self._end(segments))  # what is behind is empty, or a segment that a death cut short
        allocate(descriptor, 0, HEADER_BYTES)
        slots = [slot for _ in range(segments) for slot in self._map()]
        self._free.extend(slots[index] for index in reversed(range(len(slots))) if index not in taken)
        for index in sorted(taken):
            found = slots[index].read()
            if found is None:
                self.damaged += 1
                slots[index].free()
            else:
                self._found.append(found)

    @classmethod
    def open(cls, path: Path, *, slots_max: int, room: Room = free_bytes) -> Journal:
        """Open the journal, making it (mode 0600) if it is not there. Up to `slots_max` slots can be taken at a time.

        `room` says what the disk has left. Raises StorageFailed when the file cannot be used, is damaged or of a newer format, or
        the disk is full.
        """
        try:
            with ExitStack() as undo:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
                undo.callback(os.close, descriptor)
                if check_header(descriptor, path) < FORMAT:
                    rewrite(descriptor, path)
                    return cls.open(path, slots_max=slots_max, room=room)
                journal = cls(descriptor, slots_max, room)
                undo.pop_all()
                return journal
        except OSError as error:
            raise unusable(path, error) from error

    @property
    def taken(self) -> int:
        """How many slots are taken, those that were found included."""
        return len(self._segments) * SEGMENT_SLOTS - len(self._free)

    def found(self) -> list[Found]:
        """Hand over what was left when the journal was opened; asked again, nothing. Each slot stays taken until it is freed."""
        found, self._found = self._found, []
        return found

    def take(self, opening: bytes) -> Slot:
        """Begin a call in a free slot, with no progress.

        Raises JournalFull when `slots_max` are taken or the file cannot grow, ValueError when the record is longer than
        OPENING_BYTES_MAX.
        """
        if len(self._segments) * SEGMENT_SLOTS - len(self._free) >= self._slots_max:
            raise JournalFull(self._refusing or f"all {self._slots_max} slots are taken")
        if not self._free:
            self._grow()
        slot = self._free.pop()
        try:
            slot.open(opening)
        except ValueError:
            self._free.append(slot)
            raise
        return slot

    def refuse(self, why: str | None) -> None:
        """Take no more calls, which are told why, until None is said. Those that are in it go on."""
        self._refusing = why
        self._slots_max = self._slots if why is None else 0

    def sync(self) -> None:
        """Wait until what was stored so far is on the disk, as after `msync`. Blocks for milliseconds. Raises OSError.

        Not `mmap.flush`: that one lets no other thread run meanwhile.
        """
        flush(self._descriptor)

    def close(self) -> None:
        """Unmap the file, which keeps what it holds. May be called twice, but not while another thread syncs.

        From then on slots and `sync` raise ValueError.
        """
        for memory, words in self._segments:
            words.release()
            memory.close()
        self._segments.clear()
        self._free.clear()
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _grow(self) -> None:
        """Add a segment. Raises JournalFull."""
        try:
            if self._room(self._descriptor) < SEGMENT_BYTES + GROWTH_SPARES_BYTES:
                raise JournalFull("the disk is nearly full")
            self._free.extend(reversed(self._map()))
        except OSError as error:
            raise JournalFull(f"the journal cannot grow: {error.strerror}") from error

    def _map(self) -> list[Slot]:
        """Map the next segment, which need not be there, and return its slots. Raises OSError."""
        begin = self._end(len(self._segments))
        size = os.fstat(self._descriptor).st_size
        try:
            # A store into a hole of a full disk would kill the process (SIGBUS), so every page gets its block here.
            allocate(self._descriptor, begin, SEGMENT_BYTES)
            memory = mmap(self._descriptor, SEGMENT_BYTES, offset=begin)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, size)  # gives back what it got of the disk's last blocks
            raise
        words = memoryview(memory).cast("Q")
        self._segments.append((memory, words))
        return [Slot(memory, words, at, free=self._free) for at in range(1, SECOND_AT // 8, FIRST_BYTES // 8)]

    @staticmethod
    def _end(segments: int) -> int:
        return HEADER_BYTES + segments * SEGMENT_BYTES
