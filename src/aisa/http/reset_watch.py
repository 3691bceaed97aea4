"""Looks for a client's reset while the loop does not read, and so does not tell of one. Does not know why nothing is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aisa.http.delivery import Delivery

# After the client's end-of-file: a reset arrives within a round trip, and the vendor must be told within 0.1 s of it. The last gap repeats.
GAPS_SECONDS = (0.01, 0.02, 0.03, 0.04, 0.15, 0.75, 5.0)


class ResetWatch:
    """Asks the kernel, ever less often."""

    __slots__ = ("_out", "_timer")

    def __init__(self, out: Delivery) -> None:
        self._out = out
        self._timer: asyncio.TimerHandle | None = None

    def start(self, found: Callable[[], None]) -> None:
        """Call `found` when the connection is reset; started again, it begins again with the shortest gap."""
        self._look_after(0, found)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_after(self, gaps: int, found: Callable[[], None]) -> None:
        self.stop()
        gap = GAPS_SECONDS[min(gaps, len(GAPS_SECONDS) - 1)]
        self._timer = asyncio.get_running_loop().call_later(gap, self._look, gaps + 1, found)

    def _look(self, gaps: int, found: Callable[[], None]) -> None:
        if self._out.was_reset():
            found()
        else:
            self._look_after(gaps, found)
