"""Time and chance as values that are passed in. The only module that reads the wall clock or makes randomness.

Durations inside a call are measured by the event loop's own clock (`loop.time()`), which tests replace by a virtual one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

#: Returns UNIX time in seconds.
WallClock = Callable[[], float]
#: A source of randomness; tests pass `random.Random(seed)`.
Chance = random.Random

#: Holds a thread for so many seconds.
Pause = Callable[[float], None]

#: Returns microseconds of a clock that never goes back and is the same in every process of the machine.
Micros = Callable[[], int]

SECONDS_PLACES = 6  # of what is told of a time: no clock says more, and a difference of two floats has a dozen digits of nothing

wall_clock: WallClock = time.time
pause: Pause = time.sleep


def monotonic_micros() -> int:
    """Return the machine's monotonic clock in microseconds."""
    return time.monotonic_ns() // 1_000


def quick_chance() -> Chance:
    """Return randomness for identifiers and routing: seeded by the operating system, ten times as fast, and not fit for keys."""
    return random.Random(random.SystemRandom().getrandbits(256))  # noqa: S311 - says so


def system_chance() -> Chance:
    """Return randomness from the operating system, fit for keys."""
    return random.SystemRandom()
