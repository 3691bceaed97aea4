"""Keeps the calls of known keys that were refused: how many one by one, how many as a number, for how long. Writes no statement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from aisa.clock import WallClock
from aisa.errors import words_kept
from aisa.facts import Fact, RefusalsNotKept
from aisa.ledger.refusal import KEPT_EACH_MAX, Refusal, RefusedCalls
from aisa.names import stored
from aisa.redaction import without_secrets

MINUTE_SECONDS = 60
#: Keys and codes of one minute that are counted, in some 2 MB; what comes beyond is only counted together, and told.
COUNTED_MAX = 10_000
#: Records that the database does not have yet, of at most 2 KiB each: a minute of a flood of 160 a second while it is away.
WAITING_MAX = 10_000
MESSAGE_CHARACTERS_MAX = 1_000  # our own messages have some 300; a vendor's words are not among them


class RefusalCount(msgspec.Struct):
    """How often a key was refused with one code in this minute; `rest` are those that get no row of their own."""

    kept: int = 0
    rest: RefusedCalls | None = None


#: Has a record written down, and calls back in the loop's thread when the database has it. Returns at once.
PostRefused = Callable[[RefusedCalls, Callable[[], None]], None]


class RefusalRecords:
    """Keeps refusals: the first of each minute one by one, the rest as their number. In the event loop's thread; waits for nothing."""

    def __init__(self, post: PostRefused, *, wall_clock: WallClock, report: Callable[[Fact], None]) -> None:
        self._post = post
        self._wall_clock = wall_clock
        self._report = report
        #: What the database may not have yet, by id.
        self.waiting: dict[str, RefusedCalls] = {}
        self._counts: dict[tuple[str, str], RefusalCount] = {}
        self._lost = 0
        self._timer: asyncio.TimerHandle | None = None

    def keep(self, refusal: Refusal) -> None:
        """Keep a refusal."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(MINUTE_SECONDS, self.sum_up)
        named = (refusal.key.id, refusal.error.code)
        count = self._counts.get(named)
        if count is None:
            if len(self._counts) >= COUNTED_MAX:
                self._lost += 1
                return
            count = self._counts[named] = RefusalCount()
        if count.kept < KEPT_EACH_MAX:
            count.kept += 1
            self._write(self._record(refusal))
        elif count.rest is None:
            count.rest = self._record(refusal)
        else:
            count.rest = msgspec.structs.replace(count.rest, number=count.rest.number + 1, last_ms=int(self._wall_clock() * 1000))

    def sum_up(self) -> None:
        """Write down what was only counted since the minute began, and begin another."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counts, self._counts = self._counts, {}
        for count in counts.values():
            if count.rest is not None:
                self._write(count.rest)
        if self._lost:
            self._report(RefusalsNotKept(self._lost))
            self._lost = 0

    def _record(self, refusal: Refusal) -> RefusedCalls:
        key, error, now_ms = refusal.key, refusal.error, int(self._wall_clock() * 1000)
        return RefusedCalls(
            id=refusal.call_id,
            account=key.account,
            key_id=key.id,
            model=stored(without_secrets(refusal.model)),
            status=error.status,
            code=error.code,
            message=stored(without_secrets(words_kept(error)), MESSAGE_CHARACTERS_MAX),
            at_ms=now_ms,
            last_ms=now_ms,
            client_request_id=refusal.client_request_id,
            address=refusal.address,
        )

    def _write(self, record: RefusedCalls) -> None:
        if len(self.waiting) >= WAITING_MAX:
            self._lost += record.number
            return
        self.waiting[record.id] = record
        self._post(record, lambda: self._written(record.id))

    def _written(self, call_id: str) -> None:
        self.waiting.pop(call_id, None)
