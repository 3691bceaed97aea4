"""Waits until the journal is on disk, many calls at once: for operators who want a bill to survive the loss of power. Decides no order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aisa.facts import JOURNAL, Fact, LedgerAway, LedgerBack
from aisa.outages import Outage
from aisa.storage.failure import StorageFailed


class GroupSync:
    """Runs `sync` in a thread for everybody who waits. One run at a time; who comes during it waits for the next.

    `report` is told when the disk fails and when it works again.
    """

    def __init__(self, sync: Callable[[], None], where: str, report: Callable[[Fact], None]) -> None:
        self._sync = sync
        self._where = where
        self._report = report
        self._outage = Outage()
        self._next: asyncio.Future[None] | None = None
        self._running: asyncio.Future[None] | None = None

    async def __call__(self) -> None:
        """Return when all that was stored before is on disk. Raises StorageFailed."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        mine = self._next
        if self._running is None:
            self._start()
        await asyncio.shield(mine)

    def _start(self) -> None:
        self._running, self._next = self._next, None
        asyncio.get_running_loop().run_in_executor(None, self._sync).add_done_callback(self._done)

    def _done(self, run: asyncio.Future[None]) -> None:
        waited, self._running = self._running, None
        assert waited is not None, "a run begins because somebody waits"
        error = run.exception()
        if error is None:
            waited.set_result(None)
        else:
            remedy = "Look at the system's log; new calls are refused until the disk works again."
            failure = StorageFailed(self._where, f"The journal cannot be written to disk: {error}.", remedy)
            waited.set_exception(failure)
            waited.exception()  # nobody may be left to hear it
            if self._outage.is_news(failure.what):
                self._report(LedgerAway(failure.what, failure.remedy, JOURNAL))
        if error is None and self._outage.end():
            self._report(LedgerBack(0, JOURNAL))
        if self._next is not None:
            self._start()
