"""Who waits for room in a window of a limit, and when each was told to come. Pure: it is told what time it is, and what was used.

The next one is told when there is room behind all that were told before, or all came back at the same moment, and all but one in vain.
Waits are told in whole seconds, so what becomes free for somebody is kept for him from then until he comes: calls that come one behind the
other would have it else, and whoever waits come in vain. Nobody knows who comes: from the moment that was told on it is whoever does.

Behind a window that is shorter than the longest wait that is told (for tests) nothing is kept: most places there are in what others who
wait will have used, who may not come, and to keep that would leave the limit unused.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from typing import NamedTuple

from aisa.admission.rules import MICROS
from aisa.errors import RETRY_AFTER_SECONDS_MAX

PLACES_MAX = 1_000  # in a line; whoever comes behind them is told what the last was told
LINE_MICROS = RETRY_AFTER_SECONDS_MAX * MICROS  # for how far ahead places are known apart; no longer wait is told
PLACE_KEPT_MICROS = 1_500_000  # after its time, for the network's delay


class Place(NamedTuple):
    """When somebody was told to come, since when there is room for him, and for how much; all times microseconds."""

    told: int
    since: int
    amount: int


class WaitingLine:
    """The places of a window of so many microseconds, the first to come first."""

    __slots__ = ("_keeps", "_places", "_span", "_waiting")

    def __init__(self, span: int) -> None:
        self._span = span
        self._keeps = span >= LINE_MICROS
        self._places: list[Place] = []
        self._waiting = 0  # for how much in all

    def kept(self, now: int) -> int:
        """Return how much there is room for that is another's, who was told to come later."""
        kept, soon = 0, now + MICROS  # who comes later than that has no room yet
        for told, since, amount in self._places:
            if told > soon:
                break
            kept += amount if since <= now < told else 0
        return kept

    def leave(self, now: int) -> None:
        """Somebody was let in: he is the one who was told to come by now, or has taken what that one waits for."""
        if self._places and self._places[0].told <= now:
            self._waiting -= self._places.pop(0).amount

    def take(self, now: int, amount: int, used: Iterable[tuple[int, int]], *, missing: int) -> int:
        """Return when to come for so much, in whole seconds from now, and take that place.

        `used` is when something was used and how much, the first first; `missing` is how much of that has to become too old to count.
        """
        places = self._places
        while places and places[0].told + PLACE_KEPT_MICROS <= now:
            self._waiting -= places.pop(0).amount
        if self._keeps and places and places[0].told <= now and places[0].amount >= amount:
            late = places.pop(0)  # he came as he was told, to a bucket that was used once more since then
            insort(places, late._replace(told=now + MICROS))
            return now + MICROS
        if len(places) >= PLACES_MAX:
            return places[-1].told
        when = self._room_at(used, missing + self._waiting)
        if self._keeps and when - now > LINE_MICROS:
            return when
        told = now - (now - when) // MICROS * MICROS if self._keeps else max(when, places[-1].told if places else 0)
        insort(places, Place(told, when, amount))
        self._waiting += amount
        return told

    def is_over(self, now: int) -> bool:
        """Say whether nobody is in line."""
        return not self._places or self._places[-1].told + PLACE_KEPT_MICROS <= now

    def _room_at(self, used: Iterable[tuple[int, int]], missing: int) -> int:
        """Return when so much will be too old to count: of what was used, then of what those in line will have used."""
        when = 0
        for time, amount in used:
            when = time + self._span
            missing -= amount
            if missing <= 0:
                return when
        for place in self._places:
            when = place.told + self._span
            missing -= place.amount
            if missing <= 0:
                break
        return when
