"""Cuts a client that takes none of what it was sent for too long, after its reply has ended. Reads and writes no socket itself."""

from __future__ import annotations

from collections.abc import Callable

from aisa.http.delivery import Delivery
from aisa.timers import Timer

STALL_SECONDS_MAX = 300.0  # a client that takes none of a finished reply's bytes for so long is cut, as it is inside a stream
STALL_SETTLING_SECONDS = 1.0  # the time without progress is counted from here: what was in flight has been acknowledged by then


class Stall:
    """Looks with the connection's timer whether the client still takes something, and calls `cut` when it does not."""

    __slots__ = ("_cut", "_delivered_bytes", "_out", "_timer")

    def __init__(self, timer: Timer, out: Delivery, cut: Callable[[], None]) -> None:
        self._timer = timer
        self._out = out
        self._cut = cut
        self._delivered_bytes = 0
        timer.set(STALL_SETTLING_SECONDS, self._note)

    def _note(self) -> None:
        self._delivered_bytes = self._out.delivered()
        self._timer.set(STALL_SECONDS_MAX, self._check)

    def _check(self) -> None:
        if self._out.delivered() > self._delivered_bytes:
            self._note()
        else:
            self._cut()
