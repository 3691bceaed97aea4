"""An event loop whose time jumps: it runs real sockets, but never waits for a timer. Nothing here is patched; the loop is the clock.

When every task waits and no socket becomes ready within GRACE_SECONDS of real time, the loop's clock jumps to the next timer; at once, if
there is neither a socket nor another thread that anything could come from. While a thread works for the loop (`run_in_executor`, of which
`to_thread` and `getaddrinfo` are cases) time stands still: how long that takes is the machine's affair, and no part of a test. So it does
while the machine is too busy to tell: when the loop itself was late, or another thread of the process waits for its turn.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple, Unpack

from aisa.clock import monotonic_micros

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: Real seconds in which a socket may still become ready before time jumps. Loopback delivers within microseconds.
GRACE_SECONDS = 0.01
#: Real microseconds by which the loop may be late and still tell that nothing was under way; on an idle machine it is by a tenth of them.
LATE_MICROS = 2_000
#: Real seconds for which a busy machine is waited for.
BUSY_SECONDS_MAX = 5.0
TASKS = Path("/proc/self/task")  # the threads of this process, where the system tells of them
AT_WORK = ("R", "D")  # letters of those that run or wait for their turn, or for a disk
#: Real seconds for which time stands still for a thread; one that works longer waits for something that only time would bring.
THREAD_SECONDS_MAX = 20.0
#: Threads that no loop has to wait for, besides those that were there before it was made (the main one, those of a parallel test run, idle
#: ones that earlier tests have left): those that whoever starts them adds, because they speak through sockets alone.
THREADS_APART: set[threading.Thread] = set()
#: What a loop itself listens to: the pipe by which threads wake it.
LISTENED_BY_LOOP = 1


class JumpingSelector(selectors.DefaultSelector):
    """A selector that spends no real time on timers, and keeps count of the virtual time that it skipped.

    `at_work` is how many calls threads are making for the loop.
    """

    def __init__(self) -> None:
        super().__init__()
        self.skipped_seconds = 0.0
        self.at_work = 0
        self._apart = frozenset(threading.enumerate())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for sockets; if only a timer is due in `timeout` seconds, jump there."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if self.at_work and (ready := super().select(THREAD_SECONDS_MAX)):
            return ready
        alone = len(self.get_map()) <= LISTENED_BY_LOOP and self._apart.union(THREADS_APART).issuperset(threading.enumerate())
        ready = super().select(0) if alone else self._grace(min(timeout, GRACE_SECONDS))
        if not ready:
            self.skipped_seconds += timeout
        return ready

    def _grace(self, seconds: float) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for sockets so many real seconds in which all that was under way could have come."""
        give_up = monotonic_micros() + int(BUSY_SECONDS_MAX * 1e6)
        while True:
            due = monotonic_micros() + int(seconds * 1e6)
            ready = super().select(seconds)
            now = monotonic_micros()
            if ready or now > give_up or (now < due + LATE_MICROS and not others_at_work()):
                return ready


def others_at_work() -> bool:
    """Say whether another thread of this process has something to do."""
    mine = str(threading.get_native_id())
    with suppress(OSError):  # of a system that tells nothing, and a thread that has just ended
        return any(task.name != mine and (task / "stat").read_text().rpartition(") ")[2][:1] in AT_WORK for task in TASKS.iterdir())
    return False


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in virtual time. `loop.time()` starts at 0 seconds and moves only by jumps."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._jumping.skipped_seconds

    def run_in_executor(self, executor: Any, func: Callable[[Unpack[Ts]], T], *args: *Ts) -> asyncio.Future[T]:
        """Run a function in a thread, while time stands still."""
        future = super().run_in_executor(executor, func, *args)
        self._jumping.at_work += 1
        future.add_done_callback(self._worked)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # as the loop's own has it
        """Wait for threads to end, however long that takes: since Python 3.12 a runner gives them 300 s of the loop's time, which jumps."""
        await super().shutdown_default_executor()

    def _worked(self, _future: asyncio.Future[Any]) -> None:
        self._jumping.at_work -= 1


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time and return its result."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
