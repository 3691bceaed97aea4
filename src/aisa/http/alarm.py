"""One connection's single timer, for whichever of its time-outs is next. Does not know what a time-out means."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

EARLY_SECONDS_MAX = 0.002  # loops round timers to a millisecond; one that fires this early is on time


class Alarm:
    """Calls one action at one deadline. Setting it anew costs no timer, unless the new deadline is earlier than all before.

    The timer is left as it is when the deadline moves away: it looks at the deadline when it fires, and is set again then.
    """

    __slots__ = ("_action", "_loop", "_rings_at", "_timer", "deadline")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._action: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = inf
        #: When the action is due on the loop's clock; setting it to infinity forgets the action.
        self.deadline = inf

    def set(self, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` in so many seconds, and forget what was set before."""
        self.set_at(self._loop.time() + seconds, action)

    def set_at(self, deadline: float, action: Callable[[], None]) -> None:
        """Call `action` at a time of the loop's clock, and forget what was set before."""
        if self._rings_at > deadline:
            self.stop()
            self._start(deadline)
        self.deadline = deadline
        self._action = action

    def stop(self) -> None:
        """Forget what was set and keep no timer."""
        self.deadline = self._rings_at = inf
        self._action = None  # it is a method of who owns us: a circle that only the garbage collector could free
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, deadline: float) -> None:
        self._rings_at = deadline
        self._timer = self._loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._rings_at = inf
        deadline = self.deadline
        if deadline <= self._loop.time() + EARLY_SECONDS_MAX:
            action, self._action = self._action, None
            self.deadline = inf
            if action is not None:
                action()
        elif deadline < inf:
            self._start(deadline)
