"""Counters in a piece of memory that one process counts in and others may read: records by name, numbers of eight bytes. Knows no metric.

A record is its name, ahead of which stands the name's length, and numbers. The length is stored last, so that whoever reads sees whole
records only; a store of eight aligned bytes cannot be torn. What a process counted stays when it dies, and its successor counts on.
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap

NAME_WORDS = 72  # the length, and at most 568 bytes of name
NUMBERS = 56
NAME_BYTES_MAX = (NAME_WORDS - 1) * 8
RECORD_WORDS = NAME_WORDS + NUMBERS
WORD_BYTES = 8
RECORDS = 1_024  # of which the last has no name: what comes beyond all others is counted there, and not shown
COUNTERS_BYTES = RECORDS * RECORD_WORDS * WORD_BYTES


class Counters:
    """The records of one process. `words` are all numbers as integers, `reals` the same as floating point."""

    def __init__(self, memory: memoryview | None = None) -> None:
        """Go on with what is in a memory of COUNTERS_BYTES, without one with nothing."""
        whole = memoryview(mmap(-1, COUNTERS_BYTES)) if memory is None else memory
        self._whole = whole
        self.words = whole.cast("q")
        self.reals = whole.cast("d")
        self._places = dict(self.records())
        self._next = len(self._places)

    def place(self, name: bytes) -> int:
        """Return where the numbers of a name begin, made if it is new."""
        known = self._places.get(name)
        if known is not None:
            return known
        if self._next >= RECORDS - 1 or len(name) > NAME_BYTES_MAX:
            return (RECORDS - 1) * RECORD_WORDS + NAME_WORDS
        at = self._next * RECORD_WORDS
        self._next += 1
        begin = (at + 1) * WORD_BYTES
        self._whole[begin : begin + len(name)] = name
        self.words[at] = len(name)
        self._places[name] = at + NAME_WORDS
        return at + NAME_WORDS

    def records(self) -> Iterator[tuple[bytes, int]]:
        """Yield every name and where its numbers begin."""
        for at in range(0, (RECORDS - 1) * RECORD_WORDS, RECORD_WORDS):
            size = self.words[at]
            if not size:
                return
            begin = (at + 1) * WORD_BYTES
            yield bytes(self._whole[begin : begin + size]), at + NAME_WORDS
