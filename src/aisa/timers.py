"""The timers of an event loop: whoever waits for a time-out sets one here, and the loop has a single timer for all. Knows no time-out.

A wheel of coarse ticks. Timers that are due in the same tick ring in one turn of the loop, so thousands of them cost no more turns than
there are ticks. To move a timer to a later time, as each byte that arrives does, costs an assignment: it is looked at when it would have
rung, and put where it belongs then.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from heapq import heappop, heappush
from math import ceil, inf
from typing import Any

from aisa.callbacks import call_guarded

TICKS_PER_SECOND = 128  # so a timer rings 8 ms late at most: nothing here is finer, and a power of two keeps whole seconds exact
EARLY_SECONDS_MAX = 0.002  # loops round timers to a millisecond; one that rings this early is on time
NEVER = inf
SPARE_TIMERS_MAX = 1_024  # kept between two borrowers, some 100 bytes each: as many as are given back before the next are needed


class Timers:
    """The wheel. Belongs to the event loop in which it is made, or else to that which first uses it."""

    __slots__ = ("_handle", "_next", "_spare", "_ticks", "_timers", "loop", "time")

    def __init__(self) -> None:
        #: The event loop, asked for once: before Python 3.12 each `get_running_loop` is a system call, and a call had four of them.
        self.loop: asyncio.AbstractEventLoop
        self.time: Callable[[], float]  # its clock: one bound method for all
        try:
            self.loop = asyncio.get_running_loop()
            self.time = self.loop.time
        except RuntimeError:
            self.__class__ = EarlyTimers  # pyright: ignore[reportAttributeAccessIssue] - it has the same slots
        self._timers: dict[int, dict[Timer, None]] = {}  # by tick; in the order in which they were set, so that a test can count on it
        self._ticks: list[int] = []  # the same ticks, as a heap; one whose timers were all stopped stays until it has passed
        self._handle: asyncio.TimerHandle | None = None
        self._next = sys.maxsize  # the tick that the loop's timer is for
        self._spare: list[Timer] = []  # stopped, but still in the wheel: the next who needs one most often only moves it

    def borrow(self) -> Timer:
        """Return a timer that is not set, to be given back: for those that are needed for a moment, thousands of times a second."""
        return self._spare.pop() if self._spare else Timer(self)

    def give_back(self, timer: Timer) -> None:
        """Forget what a borrowed timer was set to. Whoever had it must not touch it any more."""
        if len(self._spare) < SPARE_TIMERS_MAX:
            timer.due, timer.action = NEVER, None  # and it stays in the wheel, where it does nothing
            self._spare.append(timer)
        else:
            timer.stop()

    def add(self, timer: Timer, tick: int) -> None:
        """Have a timer ring in a tick; for `Timer` alone."""
        timers = self._timers.get(tick)
        if timers is None:
            timers = self._timers[tick] = {}
            heappush(self._ticks, tick)
            if tick < self._next:
                self._wait_for(tick)
        timers[timer] = None

    def discard(self, timer: Timer, tick: int) -> None:
        """Take back what `add` did."""
        timers = self._timers.get(tick)
        if timers is not None:
            timers.pop(timer, None)

    def _wait_for(self, tick: int) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._next = tick
        self._handle = self.loop.call_at(tick / TICKS_PER_SECOND, self._turn)

    def _turn(self) -> None:
        """Let ring what is due by now."""
        self._handle, self._next = None, sys.maxsize
        now = int((self.loop.time() + EARLY_SECONDS_MAX) * TICKS_PER_SECOND)
        ticks: list[int] = []  # known beforehand: what is set meanwhile has its own turn
        while self._ticks and self._ticks[0] <= now:
            ticks.append(heappop(self._ticks))
        rings = [(tick, timer) for tick in ticks for timer in self._timers.pop(tick)]
        for tick, timer in rings:
            timer.ring(tick, now / TICKS_PER_SECOND)
        if self._ticks and self._ticks[0] < self._next:
            self._wait_for(self._ticks[0])


class EarlyTimers(Timers):
    """A wheel that is made before its loop runs. A class of its own until then: with a `__getattr__` every attribute is slow."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        """Find the loop when it is first asked for."""
        if name not in ("loop", "time"):
            raise AttributeError(name)
        self.loop = asyncio.get_running_loop()
        self.time = self.loop.time
        self.__class__ = Timers  # type: ignore[assignment] # it has the same slots
        return getattr(self, name)


class Timer:
    """One time-out. `due` is when it rings, on the loop's clock, and calls `action`; it may be moved later without more ado."""

    __slots__ = ("_tick", "_timers", "action", "due")

    def __init__(self, timers: Timers) -> None:
        self.due, self._timers = NEVER, timers
        self.action: Callable[[], object] | None = None
        self._tick = sys.maxsize  # of the wheel, where it is looked at next; no later than it is due

    def set(self, seconds: float, action: Callable[[], object]) -> None:
        """Call `action` in so many seconds, and forget what was set before. What it raises is reported, as a bug of ours."""
        self.set_at(self._timers.time() + seconds, action)

    def set_at(self, due: float, action: Callable[[], object]) -> None:
        """Call `action` at a time of the loop's clock, NEVER included, and forget what was set before."""
        self.due, self.action = due, action
        if due * TICKS_PER_SECOND <= self._tick - 1:
            if self._tick != sys.maxsize:
                self._timers.discard(self, self._tick)
            self._tick = ceil(due * TICKS_PER_SECOND)
            self._timers.add(self, self._tick)

    def stop(self) -> None:
        """Forget what was set. Whoever has a timer stops it: the action mostly is a method of its owner, a circle that only this breaks."""
        self.due, self.action = NEVER, None
        if self._tick != sys.maxsize:
            self._timers.discard(self, self._tick)
            self._tick = sys.maxsize

    def ring(self, tick: int, now: float) -> None:
        """See whether it is time; for `Timers` alone."""
        if tick != self._tick:  # it was stopped or moved by one that rang before
            return
        self._tick = sys.maxsize
        action = self.action
        if self.due <= now:
            self.due, self.action = NEVER, None
            if action is not None:
                call_guarded(action)
        elif self.due < NEVER and action is not None:
            self.set_at(self.due, action)
