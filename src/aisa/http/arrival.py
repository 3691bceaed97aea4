"""How the bodies of requests arrive that did not come in one piece: what they hold of one common budget, and whether they come fast enough.

What a compressed body unpacks to is in that budget too. Reads and writes no socket.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from aisa.errors import ApiError
from aisa.http.request import RequestReader
from aisa.timers import Timer

BODY_BYTES_PER_SECOND_MIN = 1_000  # a phone on a bad line is faster; slower is an attack
SLICES = 4  # that the window is looked at in: a body that stops is found after a window and a quarter at most


class BodyBudget:
    """What all unfinished and all unpacked bodies of a server may hold together, in bytes."""

    __slots__ = ("bytes_max", "held")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.held = 0

    def hold(self, more: int) -> None:
        """Let a body hold so much more, which it gives back in any case. Raises ApiError overloaded when that is too much."""
        self.held += more
        if self.held > self.bytes_max:
            message = f"Unfinished request bodies fill the {self.bytes_max} bytes that this server has for them. Send the request again."
            raise ApiError("overloaded", message)

    def room(self) -> Room:
        """Return what one call holds of it for a body that is unpacked."""
        return Room(self)


class Room:
    """What the running task holds of the budget for a body that it unpacks, until it ends: a call needs its body as long as it runs."""

    __slots__ = ("_budget", "_held")

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._held = 0

    def grow(self, size: int) -> None:
        """The body has so many bytes by now. Raises ApiError overloaded when all bodies together hold too much."""
        if size > self._held:
            if not self._held and (task := asyncio.current_task()) is not None:
                task.add_done_callback(self._end)
            more, self._held = size - self._held, size
            self._budget.hold(more)

    def _end(self, _task: asyncio.Task[None]) -> None:
        self._budget.held -= self._held
        self._held = 0


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
        held = self._reader.held_bytes
        more, self._held = held - self._held, held
        self._budget.hold(more)

    def _check_rate(self) -> None:
        """Look, at the end of a slice, at what has arrived in the window that ends with it."""
        before, arrived = self._before, self._reader.body_bytes
        before.append(arrived)
        if len(before) > SLICES and arrived - before.popleft() < self._window_seconds * BODY_BYTES_PER_SECOND_MIN:
            wanted = f"in {self._window_seconds:g} seconds there must be at least {BODY_BYTES_PER_SECOND_MIN} bytes for each of them."
            self._refuse(ApiError("request_timeout", f"The request's body arrived too slowly: {wanted}"))
        else:
            self._timer.set(self._window_seconds / SLICES, self._check_rate)

    def end(self) -> None:
        """The body is complete or given up: it holds nothing any more."""
        self._budget.held -= self._held
        self._held = 0
