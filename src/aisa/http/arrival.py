"""How the bodies of requests arrive that did not come in one piece: what they hold of one common budget, and whether they come fast enough.

Sets no timer and reads no socket.
"""

from __future__ import annotations

from collections import deque

from aisa.errors import ApiError

BODY_BYTES_PER_SECOND_MIN = 1_000  # a phone on a bad line is faster; slower is an attack
SLICES = 4  # that the window is looked at in: a body that stops is found after a window and a quarter at most


class BodyBudget:
    """What all unfinished bodies of a server may hold together, in bytes."""

    __slots__ = ("bytes_max", "held")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.held = 0


class Arrival:
    """One unfinished body. It must be ended, however it ends."""

    __slots__ = ("_before", "_budget", "_held", "_window_seconds")

    def __init__(self, budget: BodyBudget, window_seconds: float) -> None:
        self._budget = budget
        self._held = 0
        self._window_seconds = window_seconds
        self._before = deque([0])  # what had arrived at the end of each of the last slices

    @property
    def slice_seconds(self) -> float:
        """How often to call `check_rate`."""
        return self._window_seconds / SLICES

    def grow(self, held: int) -> None:
        """So many bytes of the body are held now. Raises ApiError overloaded when all bodies together hold too much."""
        budget = self._budget
        budget.held += held - self._held
        self._held = held
        if budget.held > budget.bytes_max:
            message = f"Unfinished request bodies fill the {budget.bytes_max} bytes that this server has for them. Send the request again."
            raise ApiError("overloaded", message)

    def check_rate(self, arrived: int) -> None:
        """At the end of a slice: so many bytes have arrived in all. Raises ApiError request_timeout if the window had too few."""
        before = self._before
        before.append(arrived)
        if len(before) > SLICES and arrived - before.popleft() < self._window_seconds * BODY_BYTES_PER_SECOND_MIN:
            raise ApiError(
                "request_timeout",
                f"The request's body arrived too slowly: in {self._window_seconds:g} seconds there must be at least "
                f"{BODY_BYTES_PER_SECOND_MIN} bytes for each of them.",
            )

    def end(self) -> None:
        """The body is complete or given up: it holds nothing any more."""
        self._budget.held -= self._held
        self._held = 0
