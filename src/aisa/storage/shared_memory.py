"""Memory that the processes of one server share: a mapping, places in it by name, and the lock of whoever looks and then takes.

Knows not what is kept in a place. Nothing here outlives the server: what must is in the journals and the database.

Whoever changes a place that others change too holds the lock. It is the kernel's (`flock`), so it is free at once when its holder is
killed; who died between two stores leaves a step half done, which the owner of a place must be able to see and mend. A word that one
process alone writes needs no lock: a store of eight aligned bytes cannot be torn.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable
from hashlib import blake2b
from itertools import compress
from itertools import count as counted_from
from mmap import PAGESIZE, mmap
from pathlib import Path
from types import TracebackType

from aisa.clock import Chance, Micros, Pause, monotonic_micros, pause

WORKERS_MAX = 32  # each has a column of its own in every place; more processes than any machine has use for here
LOCK_MICROS_MAX = 100_000  # that the lock is waited for: its holder, in the worst case measured, was away from its core for 9 ms
LOCK_TRIES = 10  # one behind the other: a holder that runs on another core is done within some 10 us
#: Between tries beyond these: its holder has lost its core, most often to whoever waits. Giving way without sleeping (`sched_yield`) did
#: not give it back: of two processes on one core, one tried 800 times in 4.6 ms, until the holder's turn came (Linux 6.18).
LOCK_PAUSE_SECONDS = 0.00005
LOCK_NAME = "shared.lock"
PROBED = 64  # places that a name may be in; with half of all places taken, one name in ten million finds none

WORD_BYTES = 8
PURSES = 1 << 19  # accounts, keys and teams with a cap: 210,000 at most (`ACCOUNTS_MAX`, `KEYS_MAX`, `TEAMS_MAX`)
PURSE_WORDS = 64
RATES = 1 << 17  # keys, accounts and addresses that are limited at once; each takes two pages while it is used
RATE_WORDS = 1_024
STUCK_SECONDS = 0.5  # between two tries of what must be done while the lock is not to be had
COUNTERS_BYTES = 1 << 20  # of each process, of which it touches what it counts in


class SharedStuck(Exception):
    """The lock is not to be had: its holder is stopped, or the machine is."""


class SharedFull(Exception):
    """No place is left for a name."""


class SharedLock:
    """A lock among processes, for one thread of each; not to be taken twice. Raises SharedStuck when it is not free in time."""

    def __init__(self, path: Path, micros: Micros = monotonic_micros, pause: Pause = pause) -> None:
        """Open the lock's file, which every process opens for itself: a lock belongs to an opening. Raises OSError."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._micros = micros
        self._pause = pause

    def __enter__(self) -> None:
        descriptor = self._descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait(descriptor)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _wait(self, descriptor: int) -> None:
        give_up = self._micros() + LOCK_MICROS_MAX
        tries = 1
        while True:
            if tries >= LOCK_TRIES:
                self._pause(LOCK_PAUSE_SECONDS)
            tries += 1
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._micros() > give_up:
                    raise SharedStuck from None
            else:
                return

    def close(self) -> None:
        """Give it up for good."""
        os.close(self._descriptor)


class Places:
    """Records of one length by name. `words` and `cells` are the whole memory, as 64 and 32 bits; a place is its first word's number.

    To find or take one, the lock must be held.
    """

    def __init__(self, words: memoryview, index_at: int, *, count: int, record_words: int) -> None:
        self.words = words
        self._index_at = index_at
        self._records_at = index_at + count
        self._count = count
        self._record_words = record_words

    @staticmethod
    def words_needed(count: int, record_words: int) -> int:
        """Return how many words so many records take, with their index."""
        return count * (1 + record_words)

    def find(self, name: int) -> int | None:
        """Return the place of a name (see `name_word`), None if it has none."""
        start = self._index_at + name % (self._count - PROBED)
        named = self.words[start : start + PROBED].tolist()
        return self._place(start + named.index(name)) if name in named else None

    def take(self, name: int, is_idle: Callable[[int], bool]) -> tuple[int, bool]:
        """Return the place of a name, and whether it is a new one, empty, where perhaps an idle one was. Raises SharedFull."""
        found = self.find(name)
        if found is not None:
            return found, False
        start = self._index_at + name % (self._count - PROBED)
        named = self.words[start : start + PROBED].tolist()
        at = named.index(0) if 0 in named else next((at for at in range(PROBED) if is_idle(self._place(start + at))), None)
        if at is None:
            raise SharedFull
        place = self._place(start + at)
        if named[at]:
            self.words[start + at] = 0  # whoever dies in between leaves a place that is nobody's
            self.words[place : place + self._record_words] = memoryview(bytes(self._record_words * WORD_BYTES)).cast("Q")
        self.words[start + at] = name
        return place, True

    def index_of(self, place: int) -> int:
        """Return the number of the word that says whose a place is: the name that has it, 0 for nobody's."""
        return self._index_at + (place - self._records_at) // self._record_words

    def taken(self) -> list[int]:
        """Return every place that has a name."""
        return [self._place(at) for at in compress(counted_from(self._index_at), self.words[self._index_at : self._records_at])]

    def _place(self, index: int) -> int:
        return self._records_at + (index - self._index_at) * self._record_words


class SharedMemory:
    """The whole: some words of each worker, the places of purses (money) and of rates, and each one's counters.

    Pages that nobody wrote take no memory.
    """

    def __init__(self, descriptor: int, lock: SharedLock, worker: int = 0) -> None:
        """Map it. `worker` is the number of this process, below WORKERS_MAX. Raises OSError."""
        self.descriptor = descriptor
        self.full: Callable[[str], None] = unheard  # is told the name of a purse that finds no place
        self.lock = lock
        self.worker = worker
        self._mapping = mmap(descriptor, size_of_all())
        whole = memoryview(self._mapping)
        self.words = whole.cast("Q")
        self.signed = whole.cast("q")
        self.cells = whole.cast("I")
        self._whole = whole
        self._seed = bytes(whole[SEED_AT : SEED_AT + SEED_BYTES])
        heads = PAGESIZE // WORD_BYTES
        self.purses = Places(self.words, heads, count=PURSES, record_words=PURSE_WORDS)
        self.rates = Places(self.words, heads + Places.words_needed(PURSES, PURSE_WORDS), count=RATES, record_words=RATE_WORDS)

    def counters(self, worker: int) -> memoryview:
        """Return the memory that a process counts in: what it counted stays for the next one under its number."""
        begin = size_of_all() - (WORKERS_MAX - worker) * COUNTERS_BYTES
        return self._whole[begin : begin + COUNTERS_BYTES]

    def name_word(self, name: str) -> int:
        """Return what stands for a name in an index: never zero, and nothing that a client could choose its address by."""
        digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=WORD_BYTES, key=self._seed).digest()
        return int.from_bytes(digest, "little") | 1


def unheard(_name: str) -> None:
    """Tell nobody."""


WORKER_WORDS = 8  # of 32 workers: half of the first page
SEED_AT = WORKERS_MAX * WORKER_WORDS * WORD_BYTES  # in bytes; behind the workers' words
SEED_BYTES = 16


def size_of_all() -> int:
    """Return the bytes of the mapping: some 1.4 GB of addresses, of which little is ever touched."""
    words = Places.words_needed(PURSES, PURSE_WORDS) + Places.words_needed(RATES, RATE_WORDS)
    return PAGESIZE + words * WORD_BYTES + WORKERS_MAX * COUNTERS_BYTES


def new_memory(folder: Path, chance: Chance) -> int:
    """Return a descriptor of memory for all processes of a server. Raises OSError.

    A file is what systems without memory files have; it has no name any more, so it goes with the last process.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("aisa", os.MFD_CLOEXEC)
    else:
        descriptor, name = tempfile.mkstemp(dir=folder)
        os.unlink(name)
    os.ftruncate(descriptor, size_of_all())
    os.pwrite(descriptor, chance.randbytes(SEED_BYTES), SEED_AT)
    return descriptor
