"""Waits until the board is on disk, many calls at once: for operators who want a bill to survive the loss of power. Decides no order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aisa.storage.failure import StorageFailed


class GroupSync:
    """Runs `sync` in a thread for everybody who waits. One run at a time; who comes during it waits for the next."""

    def __init__(self, sync: Callable[[], None], where: str) -> None:
        self._sync = sync
        self._where = where
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
        failure = run.exception()
        if failure is None:
            waited.set_result(None)
        else:
            remedy = "Look at the system's log; calls are refused until the disk works again."
            waited.set_exception(StorageFailed(self._where, f"The board cannot be written to disk: {failure}.", remedy))
            waited.exception()  # nobody may be left to hear it
        if self._next is not None:
            self._start()
