"""How a server stops: who wants it, how long clients are taken, calls may go on, and all of it may take. Knows nothing of what they are."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable

from aisa.config.schema import Server as ServerSettings
from aisa.facts import Draining, Fact, NotReady
from aisa.http.server import HttpServer

EXIT_IMPATIENT = 1
EXIT_LATE = 1
#: Beyond both drains: what the end of a server takes at most, with calls that do not end, a database that hangs and a collector that is
#: dead. Whoever stops it waits for longer (`deploy/`), or kills it in the middle of its last rows. Each wait of the end has a bound, and
#: these come to less; `end_within` holds the whole to it, whatever else it may wait for.
STOP_SECONDS_MAX = 45.0
LATE_SECONDS_MAX = 1.0  # for these words to be taken
LATE = b"aisa: the end took too long and was given up. What the database does not have is in the journal: the next start settles it.\n"


def nothing() -> None:
    """Nobody lets calls wait, or has to know at once."""


class Stopping:
    """The wish to stop: SIGTERM or SIGINT once to drain, twice to leave at once. `at_terminal` says that somebody waits for it there.

    `at_once` is called in the same step in which we are not ready any more: what is asked in it is not answered by half.
    """

    def __init__(self) -> None:
        self.at_terminal = False
        self.at_once: Callable[[], None] = nothing
        self._asked = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop, number)

    async def wait(self) -> None:
        """Wait until somebody wants the server to stop."""
        await self._asked.wait()

    def why_not_ready(self) -> str | None:
        """Return why no new calls are wanted, None if they are."""
        return "draining" if self._asked.is_set() else None

    def _stop(self, number: signal.Signals) -> None:
        if self._asked.is_set():
            os._exit(EXIT_IMPATIENT)  # the second signal: the operator does not want to wait for calls in flight
        self.at_terminal = number == signal.SIGINT
        self._asked.set()
        self.at_once()


def end_within(
    settings: ServerSettings, *, grace: bool, last: Callable[[], None] | None = None, seconds_max: float = STOP_SECONDS_MAX
) -> None:
    """Have this process end after both drains and so many seconds, if it has not by then. `last` ends first what it would leave behind.

    A thread does it: the end of a process waits for threads that no loop sees. It ends with the process.
    """

    def leave() -> None:
        try:
            said = threading.Thread(target=os.write, args=(2, LATE), daemon=True)  # nobody may read it, or nobody is left who could
            said.start()
            if last is not None:
                last()
            said.join(LATE_SECONDS_MAX)
        finally:
            os._exit(EXIT_LATE)

    drains = settings.drain_seconds + (settings.drain_grace_seconds if grace else 0)
    timer = threading.Timer(drains + seconds_max, leave)
    timer.daemon = True
    timer.start()


async def go_away(
    server: HttpServer, settings: ServerSettings, report: Callable[[Fact], None], *, grace: bool, drain: Callable[[], None] = nothing
) -> None:
    """Let the calls in flight end. With `grace`, whoever sends us clients has time to notice that we are not ready any more.

    `drain` is called first: whoever lets calls wait lets no more. From here on the process ends in time, whatever happens.
    """
    end_within(settings, grace=grace)
    drain()
    if grace and settings.drain_grace_seconds:
        report(NotReady(settings.drain_grace_seconds))
        server.keep_no_connections()
        await asyncio.sleep(settings.drain_grace_seconds)
    report(Draining(settings.drain_seconds, server.calls_count))
    await server.drain(settings.drain_seconds)
