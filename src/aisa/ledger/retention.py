"""Has calls forgotten when they are old, and ended ones summed up by hour and day before, beside what is written. Writes no statement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from aisa.clock import WallClock
from aisa.config.ledger_settings import Ledger
from aisa.facts import Fact, ServerWarning
from aisa.ledger.exporters import check_no_exporter, note_exporter
from aisa.ledger.port_usage import DAY_MS
from aisa.ledger.refusal import KEPT_DAYS
from aisa.ledger.refused_table import prune_refused
from aisa.ledger.removal import remove_old
from aisa.ledger.sums import roll_up
from aisa.ledger.writer import Errand
from aisa.storage.failure import StorageFailed
from aisa.storage.months import drop_empty, make_ahead

LOOK_SECONDS = 600  # between two looks: what can be summed up is counted row by row until then, and what is too old is shown
#: After its end, before a call is summed up: nearly all are in the database by then. Those that are not are added as they come.
SETTLED_MS = 600_000
#: After a start, before anything is removed: by then a clock that was wrong at a start of the machine has been set. And after a step of the
#: clock by more than a day: one into another year would else have all calls removed at the next look, refused ones too, for good.
REMOVE_AFTER_LOOKS = 6


class Retention:
    """Posts the errands of a server. In the event loop's thread; waits for nothing. `settings` are the configuration's as they are now.

    `server` is what this one is called in a database that it shares with others.
    """

    def __init__(
        self,
        post: Callable[[Errand], None],
        settings: Callable[[], Ledger],
        *,
        wall_clock: WallClock,
        report: Callable[[Fact], None],
        server: str | None = None,
    ) -> None:
        self._server = server
        self._post = post
        self._settings = settings
        self._wall_clock = wall_clock
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._looks = 0
        self._began_ms: float | None = None  # the moment at which the loop's time was 0, by the clock at the last look
        self._told = ""

    def look(self) -> None:
        """Have summed up and forgotten what is old enough, now and from time to time."""
        self._loop.call_later(LOOK_SECONDS, self.look)  # first, whatever becomes of this one
        now_ms = int(self._wall_clock() * 1000)
        began_ms, before_ms = now_ms - self._loop.time() * 1000, self._began_ms
        if before_ms is not None and abs(began_ms - before_ms) > DAY_MS:
            self._looks = 0
        self._began_ms = began_ms
        self._post(Errand("roll up", partial(roll_up, before_ms=now_ms - SETTLED_MS)))
        self._post(Errand("months", partial(make_ahead, now_ms=now_ms)))
        settings, may_remove = self._settings(), self._looks >= REMOVE_AFTER_LOOKS
        if self._server is not None:
            exports = settings.keep_days is not None and settings.export_dir is not None
            self._post(Errand("exporter", partial(note_exporter, server=self._server, exports=exports, now_ms=now_ms)))
        if may_remove:
            self._post(Errand("prune", partial(prune_refused, before_ms=now_ms - KEPT_DAYS * DAY_MS)))
        if may_remove and settings.keep_days is not None:
            folder = None if settings.export_dir is None else Path(settings.export_dir)
            before_ms = now_ms - settings.keep_days * DAY_MS
            self._post(Errand("remove", partial(self._remove, before_ms, folder)))
            self._post(Errand("drop", partial(drop_empty, before_ms=before_ms)))
        self._looks += 1

    def _remove(self, before_ms: int, folder: Path | None, connection: Connection) -> bool:
        """Do a step, in the writer's thread; what keeps it from being done is told once."""
        try:
            if folder is None and self._server is not None:
                check_no_exporter(connection, self._server, int(self._wall_clock() * 1000))
            return remove_old(connection, before_ms, folder)
        except StorageFailed as failure:
            if str(failure) != self._told:
                self._told = str(failure)
                self._loop.call_soon_threadsafe(self._report, ServerWarning(str(failure)))
            raise
