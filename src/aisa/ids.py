"""Identifiers: call ids (`req_` + ULID). Makes them from a given time and chance; reads neither clock nor entropy itself."""

from __future__ import annotations

from aisa.clock import Chance, WallClock

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PAIRS = tuple(a + b for a in CROCKFORD for b in CROCKFORD)  # ten bits at a time: half the look-ups
PREFIX = "req_"
ID_CHARACTERS = len(PREFIX) + 26
COUNT_BITS = 20  # how many ids share one draw of entropy: a million


def crockford(value: int, pairs: int) -> str:
    """Write the low `10 * pairs` bits of a number as `2 * pairs` characters (github.com/ulid/spec)."""
    return "".join([PAIRS[value >> shift & 1023] for shift in range(10 * (pairs - 1), -1, -10)])


def short_id(id_: str, beginning: int = 13) -> str:
    """Write a call's id as `01M8J7ZMETS6N…CYCH`: when and of which process, and what tells its neighbours apart.

    Its first 8 characters are the second, within which no process ends two ids alike.
    """
    bare = id_.removeprefix(PREFIX)
    return bare if len(bare) < 20 else f"{bare[:beginning]}…{bare[-4:]}"


def first_id(unix_ms: int) -> str:
    """Return what every id of this millisecond or a later one is equal to or greater than, and every earlier one less."""
    return PREFIX + crockford(max(0, unix_ms) >> 10, 4) + PAIRS[max(0, unix_ms) & 1023]


class CallIds:
    """Makes call ids such as `req_01JABCD9F1YYEXAMPLE0000000`: unique, sortable by millisecond, 30 ASCII characters.

    The last 20 of a ULID's 80 random bits are a counter, as its specification allows; everything before is redrawn when it runs out.
    """

    def __init__(self, wall_clock: WallClock, chance: Chance) -> None:
        self._wall_clock = wall_clock
        self._chance = chance
        self._epoch = -1  # milliseconds / 1024, whose eight characters are kept
        self._epoch_text = ""
        self._drawn = ""
        self._count = 1 << COUNT_BITS

    def __call__(self) -> str:
        """Return a new id."""
        milliseconds = int(self._wall_clock() * 1000)
        if milliseconds >> 10 != self._epoch:
            self._epoch = milliseconds >> 10
            self._epoch_text = PREFIX + crockford(self._epoch, 4)
        count = self._count + 1
        if count >> COUNT_BITS:
            self._drawn = crockford(self._chance.getrandbits(60), 6)
            count = self._chance.getrandbits(COUNT_BITS - 1)
        self._count = count
        return f"{self._epoch_text}{PAIRS[milliseconds & 1023]}{self._drawn}{PAIRS[count >> 10]}{PAIRS[count & 1023]}"
