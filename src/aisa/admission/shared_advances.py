"""What this process has in advance of limits that processes share: calls begin on it without the lock, and the rest goes back in time."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from contextlib import suppress
from typing import Protocol

from aisa.clock import Micros
from aisa.storage.shared_memory import SharedLock, SharedStuck

AT_ONCE = 100  # allowances whose rest is given back in one hold of the lock, some microseconds each


class Advanced(Hashable, Protocol):
    """One key's, account's or address's limits, of which this process may have some in advance."""

    def begin_of_advances(self, now: int, tokens: int) -> bool:
        """Begin a call of what is there in advance, and say so, without the lock."""
        ...

    def undo(self, tokens: int) -> None:
        """Take that back."""
        ...

    def give_advances_back(self, now: int | None = None) -> bool:
        """Give back what is over by now, with the lock, and say whether nothing is left."""
        ...


def begun_of_advances(allowances: Sequence[Advanced], now: int, tokens: int) -> bool:
    """Begin a call of what this process has in advance of all of these, and say so; False if the lock is needed for it."""
    for number, each in enumerate(allowances):
        if not each.begin_of_advances(now, tokens):
            for begun in allowances[:number]:
                begun.undo(tokens)
            return False
    return True


class Advances:
    """All that may have some, and a timer while there are any. Belongs to the event loop."""

    def __init__(self, lock: SharedLock, micros: Micros) -> None:
        self._lock = lock
        self._micros = micros
        self._noted: set[Advanced] = set()
        self._due: list[Advanced] = []  # that are being looked at
        self._seconds = 0.0

    def note(self, allowance: Advanced, seconds: float) -> None:
        """See to it that what is left is given back when its bucket, of so many seconds, is over, also if no call comes."""
        self._seconds = seconds
        if not self._noted and not self._due:
            asyncio.get_running_loop().call_later(seconds, self._look)
        self._noted.add(allowance)

    def _look(self) -> None:
        self._due, self._noted = list(self._noted), set()
        self._end_some()

    def _end_some(self) -> None:
        """Give some back, and the others in the next turn of the loop."""
        some, self._due = self._due[:AT_ONCE], self._due[AT_ONCE:]
        left = some  # where the lock is not to be had
        try:
            with suppress(SharedStuck), self._lock:
                now = self._micros()
                left = [each for each in some if not each.give_advances_back(now)]
        finally:
            self._noted.update(left)
            if self._due:
                asyncio.get_running_loop().call_soon(self._end_some)
            elif self._noted:
                asyncio.get_running_loop().call_later(self._seconds, self._look)
