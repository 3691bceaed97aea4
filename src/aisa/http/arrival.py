"""What is held of requests that did not come in one piece: of bodies, which must come fast enough, and of what nobody has judged yet.

Each of the two has one budget for all connections.

Reads and writes no socket.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from aisa.errors import ApiError
from aisa.http.request import RequestReader
from aisa.timers import Timer

BODY_BYTES_PER_SECOND_MIN = 1_000  # a phone on a bad line is faster; slower is an attack
UNJUDGED_BYTES_FREE = 8_192  # nearly all heads are smaller, and no client that we know sends a request behind one that is not answered
UNJUDGED_BYTES_MAX = 33_554_432  # beyond these: five hundred of the largest heads that this server takes by default, all at once
SLICES = 4  # that the window is looked at in: a body that stops is found after a window and a quarter at most


class BodyBudget:
    """What all unfinished bodies of a server may hold together, in bytes."""

    __slots__ = ("bytes_max", "held")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.held = 0


class UnjudgedBudget:
    """What all connections may hold together of requests of which nobody has judged the head: no key was asked for.

    Of each the first UNJUDGED_BYTES_FREE do not count, so that whoever fills it keeps no usual request out.
    """

    __slots__ = ("_bytes_max", "_counted", "held")

    def __init__(self, bytes_max: int = UNJUDGED_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._counted: dict[object, int] = {}
        self.held = 0

    def count(self, connection: object, held: int) -> bool:
        """A connection holds so many bytes now. Returns False if there is no room for them: then it is to hold nothing."""
        self.held -= self._counted.pop(connection, 0)
        counted = held - UNJUDGED_BYTES_FREE
        if counted > 0:
            if self.held + counted > self._bytes_max:
                return False
            self._counted[connection] = counted
            self.held += counted
        return True


class Arrival:
    """One unfinished body. It must be ended, however it ends; when it comes too slowly, `refuse` is called by the connection's timer."""

    __slots__ = ("_before", "_budget", "_held", "_reader", "_refuse", "_timer", "_window_seconds")

    def __init__(
        self, budget: BodyBudget, reader: RequestReader, timer: Timer, *, window_seconds: float, refuse: Callable[[ApiError], None]
    ) -> None:
        self._budget = budget
        self._reader = reader
        self._timer = timer
        self._refuse = refuse
        self._window_seconds = window_seconds
        self._held = 0
        self._before = deque([0])  # what had arrived at the end of each of the last slices
        timer.set(window_seconds / SLICES, self._check_rate)

    def grow(self) -> None:
        """More of the body is held. Raises ApiError overloaded when all bodies together hold too much."""
        budget, held = self._budget, self._reader.held_bytes
        budget.held += held - self._held
        self._held = held
        if budget.held > budget.bytes_max:
            message = f"Unfinished request bodies fill the {budget.bytes_max} bytes that this server has for them. Send the request again."
            raise ApiError("overloaded", message)

    def _check_rate(self) -> None:
        """Look, at the end of a slice, at what has arrived in the window that ends with it."""
        before, arrived = self._before, self._reader.body_bytes
        before.append(arrived)
        if len(before) > SLICES and arrived - before.popleft() < self._window_seconds * BODY_BYTES_PER_SECOND_MIN:
            least = f"{self._window_seconds * BODY_BYTES_PER_SECOND_MIN:,.0f} bytes of it must come"
            wanted = f"in any {self._window_seconds:g} seconds {least}, or all that is left of it."
            self._refuse(ApiError("request_timeout", f"The request's body arrived too slowly: {wanted}"))
        else:
            self._timer.set(self._window_seconds / SLICES, self._check_rate)

    def end(self) -> None:
        """The body is complete or given up: it holds nothing any more."""
        self._budget.held -= self._held
        self._held = 0
