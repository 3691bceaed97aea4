"""Looks for a client's reset while the loop does not read, and so does not tell of one. Does not know why nothing is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, repeat

from aisa.callbacks import call_guarded
from aisa.http.delivery import Delivery
from aisa.timers import Timer, Timers

# After the client's end-of-file, or something sent to it: a reset arrives within a round trip, and the vendor must be told within 0.1 s.
SOON_SECONDS = (0.01, 0.02, 0.03, 0.04, 0.15)
LATER_SECONDS = (0.75, 5.0)  # the last one repeats
# A proxy may pass a half-close on at once and close later, and only who is sent something answers with a reset: so something is sent
# 0.5, 2 and 5 s after the end-of-file, and every 5 s from then on.
PROBE_SECONDS = (0.5, 1.5, 3.0, 5.0)  # from one to the next; the last one repeats


class ResetWatch(Timer):
    """Asks the kernel, ever less often; with a probe, which sends the client something, sooner again after each."""

    __slots__ = ("_out",)

    def __init__(self, out: Delivery, timers: Timers) -> None:
        super().__init__(timers)
        self._out = out

    def start(self, found: Callable[[], None], probe: Callable[[], None] | None = None) -> None:
        """Call `found` when the connection is reset; started again, it begins again with the shortest gap."""
        gaps = plain_gaps() if probe is None else probing_gaps(probe)
        self._look_at(self._timers.loop.time() + next(gaps), gaps, found)

    def _look_at(self, due: float, gaps: Iterator[float], found: Callable[[], None]) -> None:
        self.set_at(due, partial(self._look, due, gaps, found))

    def _look(self, due: float, gaps: Iterator[float], found: Callable[[], None]) -> None:
        if self._out.was_reset():
            found()
        else:
            self._look_at(due + next(gaps), gaps, found)  # from when it was due, so that a timer's lateness does not add up


def plain_gaps() -> Iterator[float]:
    """Return the seconds from each look to the next."""
    return chain(SOON_SECONDS, LATER_SECONDS, repeat(LATER_SECONDS[-1]))


def probing_gaps(probe: Callable[[], None]) -> Iterator[float]:
    """Yield the same where a probe is sent from time to time: with the look before it."""
    for seconds in chain(PROBE_SECONDS, repeat(PROBE_SECONDS[-1])):
        yield from SOON_SECONDS
        yield seconds - sum(SOON_SECONDS)
        call_guarded(probe)  # which may raise, and be wanted again
