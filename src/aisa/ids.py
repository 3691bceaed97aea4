"""Identifiers: call ids (`req_` + ULID). Makes them from a given time and chance; reads neither clock nor entropy itself."""

from __future__ import annotations

from aisa.clock import Chance, WallClock

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PAIRS = tuple(a + b for a in CROCKFORD for b in CROCKFORD)  # ten bits at a time: half the look-ups


def ulid(milliseconds: int, entropy: int) -> str:
    """Return the 26-character ULID of a 48-bit time in milliseconds and 80 bits of entropy (github.com/ulid/spec)."""
    value = (milliseconds << 80) | entropy
    return (
        CROCKFORD[value >> 125 & 31]
        + CROCKFORD[value >> 120 & 31]
        + "".join([PAIRS[value >> shift & 1023] for shift in range(110, -1, -10)])
    )


class CallIds:
    """Makes call ids: unique, sortable by time, 30 ASCII characters."""

    def __init__(self, wall_clock: WallClock, chance: Chance) -> None:
        self._wall_clock = wall_clock
        self._chance = chance

    def __call__(self) -> str:
        """Return a new id such as `req_01JABCD9F1YYEXAMPLE0000000`."""
        return "req_" + ulid(int(self._wall_clock() * 1000), self._chance.getrandbits(80))
