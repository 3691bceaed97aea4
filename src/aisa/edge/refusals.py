"""How many refusals of callers without a key are told one by one: enough to see what goes on, too few to fill a disk."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from aisa.errors import ApiError
from aisa.facts import Fact, Refused, ServerNotice
from aisa.http.request import Request

REFUSALS_TOLD_MAX = 100  # of a minute, in lines of at most 500 bytes: 72 MB a day for the worst flood
MINUTE_SECONDS = 60.0
#: Has the log know that a request with an id was refused.
Note = Callable[[ApiError, Request | None, str], None]


class Refusals:
    """Reports the first refusals of each minute, and what came beyond them as one notice at the minute's end.

    `note_untold` is told the code of each that is not reported.
    """

    def __init__(self, report: Callable[[Fact], None]) -> None:
        self._report = report
        self.note_untold: Callable[[str], None] = lambda _code: None
        self._told = 0
        self._untold: Counter[str] = Counter()

    def note(self, refused: Refused) -> None:
        """Take note of a refusal."""
        if not self._told:
            asyncio.get_running_loop().call_later(MINUTE_SECONDS, self._sum_up)
        if self._told < REFUSALS_TOLD_MAX:
            self._told += 1
            self._report(refused)
        else:
            self._untold[refused.code] += 1
            self.note_untold(refused.code)

    def _sum_up(self) -> None:
        untold, self._untold = self._untold, Counter()
        self._told = 0
        if untold:
            codes = ", ".join(f"{code} {count}" for code, count in untold.most_common())
            self._report(ServerNotice(f"{untold.total()} more requests without a known key were refused within a minute: {codes}"))
