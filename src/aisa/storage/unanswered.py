"""What one connection to a store was asked and has not answered yet, and for how long anybody waits for that. Speaks no protocol.

Nobody waits for longer than `looks_max` looks: a connection whose oldest question is older than that is given up with all that it was
asked, of which nobody knows what became. Nothing is ever asked twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

LOOK_SECONDS = 0.05  # between two looks at the oldest question
#: Looks that find the same one: after 150 to 200 ms, as a call may wait 250 for a store. Not a time, as a busy loop's answers lie unread.
LOOKS_MAX = 3


class StoreAway(Exception):
    """The store does not answer, or answers that it cannot do what it is there for."""


class Unanswered:
    """The questions of one connection, the oldest first; `lost` is done when it answers no more, with what was said of that, if anything.

    Belongs to the loop that made it.
    """

    def __init__(self, looks_max: int, give_up: Callable[[], None]) -> None:
        """`give_up` ends a connection that has answered nothing for too long."""
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._said = ""
        self._asked: deque[asyncio.Future[object]] = deque()
        self._looks_max = looks_max
        self._give_up = give_up
        self._oldest: asyncio.Future[object] | None = None
        self._looks = 0  # that have found it
        self._watching = False

    def add(self) -> asyncio.Future[object]:
        """Return what one more question will be answered with, or raises StoreAway."""
        answer: asyncio.Future[object] = self._loop.create_future()
        if self.lost.done():
            fail(answer, "the connection is gone")
            return answer
        self._asked.append(answer)
        if not self._watching:
            self._watching = True
            self._loop.call_later(LOOK_SECONDS, self._watch)
        return answer

    def answered(self, found: object) -> None:
        """Answer the oldest. Raises IndexError if nothing was asked."""
        answer = self._asked.popleft()
        if not answer.done():
            answer.set_result(found)

    def refused(self, why: str) -> None:
        """Let the oldest have no answer. Raises IndexError if nothing was asked."""
        self._said = why
        fail(self._asked.popleft(), why)

    def end(self) -> None:
        """Let all that is unanswered stay so."""
        if self.lost.done():
            return
        self.lost.set_result(self._said)
        asked, self._asked = self._asked, deque()
        for answer in asked:
            fail(answer, "it did not answer in time, or the connection broke")

    def _watch(self) -> None:
        self._watching = bool(self._asked)
        if self._asked:
            oldest = self._asked[0]
            self._looks = self._looks + 1 if oldest is self._oldest else 0
            self._oldest = oldest
            if self._looks >= self._looks_max:
                self._give_up()
            else:
                self._loop.call_later(LOOK_SECONDS, self._watch)


def fail(answer: asyncio.Future[object], why: str) -> None:
    """Let a question have no answer. Some are asked without a wait for it."""
    if not answer.done():
        answer.set_exception(StoreAway(why))
        answer.exception()
