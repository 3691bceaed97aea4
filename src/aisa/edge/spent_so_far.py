"""What a key or team has spent in the running window, of which the days that are over are not added up each time. Asks no database."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from aisa.keys.rules import DAY_SECONDS
from aisa.ledger.port_usage import Used, day_of
from aisa.money import Nanos

SUMS_MAX = 10_000  # that are kept, a hundred bytes each; of others the window is added up anew
#: After its end a day's sum is taken for final. A call that ended is billed within minutes, and what the database has not taken yet is
#: added by whoever answers.
SETTLED_SECONDS = 3_600


class Kept(NamedTuple):
    """What was spent from the beginning of a window until a midnight, both in UNIX seconds."""

    began: int
    until: int
    spent: Nanos


class SpentSoFar:
    """Sums of days that are over, by the id of the key or team `whose` they are."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def since(self, whose: str, began: int, *, now: float) -> Kept:
        """Return what is known of a window, and so from when on calls have yet to be added up. May be asked in any thread.

        A clock that was set back knows nothing of days that were over by it before: they go on.
        """
        kept = self._kept.get(whose)
        known = kept is not None and kept.began == began and kept.until + SETTLED_SECONDS <= now
        return kept if kept is not None and known else Kept(began, began, 0)

    def add(self, whose: str, kept: Kept, by_day: Mapping[str, Used], *, now: float) -> Nanos:
        """Return the sum of what is known and of the days since, up to `now` in UNIX seconds. The days that are over are kept."""
        settled = int(now) - SETTLED_SECONDS
        midnight = max(kept.until, settled - settled % DAY_SECONDS)
        over = {day_of(day * 1000) for day in range(kept.until - kept.until % DAY_SECONDS, midnight, DAY_SECONDS)}
        known = kept.spent + sum([used.cost for day, used in by_day.items() if day in over])
        self._kept[whose] = Kept(kept.began, midnight, known)
        self._kept.move_to_end(whose)
        while len(self._kept) > SUMS_MAX:
            self._kept.popitem(last=False)
        return known + sum([used.cost for day, used in by_day.items() if day not in over])
