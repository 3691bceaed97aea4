"""Looks from time to time whether a server's data folder is still there, and has new calls refused while it is not. Mends nothing.

Who deletes or replaces it takes nothing from a process that has its files open: that would write bills into files without a name, which
end with it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from aisa.edge.admin_status import Attention
from aisa.endless import begun_again
from aisa.facts import FOLDER, Fact, FolderGone, LedgerBack
from aisa.storage.in_place import OpenFiles

LOOK_SECONDS = 2.0  # between two looks, each of three file names
LAST_LOOK_SECONDS = 2.0  # for the disk to answer when the server ends
NOT_READY = "data_folder_gone"
NO_FOLDER = "its data folder is gone"  # to whoever calls
REMEDY = (
    "Put it back if it was moved. Else copy aisa.db, aisa.db-wal and board from /proc/{}/fd before you stop the server, or restore a backup"
    " and start it again."
)


class FolderWatch:
    """Watches the files of one server. `gone` is told in the event loop when one is lost (True), and when all are back.

    `stopping` says why else no new calls are wanted.
    """

    def __init__(
        self,
        files: OpenFiles,
        report: Callable[[Fact], None],
        gone: Callable[[bool], None],
        *,
        stopping: Callable[[], str | None],
    ) -> None:
        self._files = files
        self._report = report
        self._tell = gone
        self._remedy = REMEDY.format(os.getpid())
        self._stopping = stopping
        self._lost: str | None = None

    def why_not_ready(self) -> str | None:
        """Return why no new calls are wanted, None if they are."""
        return self._stopping() or (None if self._lost is None else NOT_READY)

    def attention(self) -> Sequence[Attention]:
        """Return what an operator has to do, if anything."""
        return () if self._lost is None else (Attention("error", self._what(self._lost), self._remedy),)

    async def until(self, stopped: Awaitable[None]) -> None:
        """Look until `stopped` ends. Returns at once then, as a stop waits for no disk."""
        looking = asyncio.create_task(begun_again(self._go_on))
        try:
            await stopped
        finally:
            looking.cancel()

    async def end(self) -> None:
        """Look once more, for LAST_LOOK_SECONDS at most: what is lost is told again, as it ends with this process."""
        told = self._lost is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_LOOK_SECONDS):
                await self.look()
        if told and self._lost is not None:
            self._report(FolderGone(self._what(self._lost), self._remedy))

    async def look(self) -> None:
        """Look once, in a thread, as a disk may hang. What cannot be told changes nothing."""
        with suppress(OSError):
            self._note(await asyncio.to_thread(self._files.lost))

    def _note(self, lost: str | None) -> None:
        before, self._lost = self._lost, lost
        if (before is None) == (lost is None):
            return
        self._tell(lost is not None)
        self._report(LedgerBack(0, FOLDER) if lost is None else FolderGone(self._what(lost), self._remedy))

    def _what(self, lost: str) -> str:
        return f"The data folder {self._files.folder} is gone or replaced: {lost} is not the file that this server has open."

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()
