"""What the last complete calls to one target were reported to have, and for how much the next one is held by it. Holds nothing itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import lru_cache, partial
from itertools import starmap

import msgspec

CALLS_KEPT = 64  # of each target, the last: their reports say what the next may make
RARE = 20  # one call in so many makes more than is held for
#: Of smaller inputs a ratio tells little, as vendors add some hundred tokens of their own to each: it is taken of so many.
INPUT_TOKENS_MIN = 1_024
INPUT_TIMES_MAX = 8  # as much input as we count is held for at most: nobody's calls to a target shut all others out
LIKE_COUNTED = 1_024  # the unit of these ratios


class Seen(msgspec.Struct):
    """The last complete calls to a target: the output tokens that a choice of each had, and the input beside our count of it."""

    calls: int = 0
    made: deque[int] = msgspec.field(default_factory=partial(deque[int], maxlen=CALLS_KEPT))
    inputs: deque[tuple[int, int]] = msgspec.field(default_factory=partial(deque[tuple[int, int]], maxlen=CALLS_KEPT))

    def most(self, calls_min: int) -> int | None:
        """Return what a choice of all but rare calls had at most; None if so many are not known."""
        return but_rare(self.made) if len(self.made) >= calls_min else None

    def times(self, calls_min: int) -> int:
        """Return how many LIKE_COUNTED times the input that we count all but rare calls had at most; 0 of a target that reports no more."""
        if len(self.inputs) < calls_min:
            return 0
        return min(but_rare(starmap(times_of, self.inputs)), INPUT_TIMES_MAX * LIKE_COUNTED)


def but_rare(values: Iterable[int]) -> int:
    """Return the most of all but one in RARE."""
    ordered = sorted(values)
    return ordered[-(len(ordered) // RARE) - 1]


@lru_cache(4_096)  # each call is looked at eight times while it is among the last
def times_of(reported: int, counted: int) -> int:
    """Return how many LIKE_COUNTED times as much as we counted was reported, 0 if it was no more."""
    return -(-reported * LIKE_COUNTED // max(counted, INPUT_TOKENS_MIN)) if reported > counted else 0


def input_held(counted: int, times: int) -> int:
    """Return for how many tokens of input is held where we count so many: as many, or by such a ratio more."""
    return max(counted, -(-max(counted, INPUT_TOKENS_MIN) * times // LIKE_COUNTED))
