"""An event loop whose time jumps: it runs real sockets, but never waits for a timer. Nothing here is patched; the loop is the clock.

When every task waits and no socket becomes ready within GRACE_SECONDS of real time, the loop's clock jumps to the next timer.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

#: Real seconds in which a socket may still become ready before time jumps. Loopback delivers within microseconds, on a busy
#: machine within milliseconds.
GRACE_SECONDS = 0.01


class JumpingSelector(selectors.DefaultSelector):
    """A selector that spends no real time on timers, and keeps count of the virtual time that it skipped."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for sockets; if only a timer is due in `timeout` seconds, jump there."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(min(timeout, GRACE_SECONDS))
        if not ready:
            self.skipped_seconds += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in virtual time. `loop.time()` starts at 0 seconds and moves only by jumps."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._jumping.skipped_seconds


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time and return its result."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
