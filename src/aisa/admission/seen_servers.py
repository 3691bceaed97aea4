"""How many servers and processes a store of limits had seen last, kept in a server's data folder. Knows no store.

By it a server that begins while the store is away knows its share of each limit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

FILE_NAME = "servers.seen"
#: For which more must have been seen before they are noted: what was restarted is seen twice for ten seconds.
MORE_SECONDS = 15.0
#: The same for fewer: of servers that are stopped one after another, and all begin anew, the last one sees none but itself.
FEWER_SECONDS = 3_600.0
NUMBER_MAX = 100_000  # of either: what lies there may be anything


class Seen(NamedTuple):
    """Processes, and the servers that they belong to."""

    processes: int
    servers: int


class SeenServers:
    """What a data folder knows of that. `now` is the time in seconds of the process that asks."""

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        self._path = folder / FILE_NAME
        self._now = now
        self.known = read_seen(self._path)
        self._since: tuple[bool, float] | None = None  # whether it is fewer that are seen, and since when

    def note(self, seen: Seen) -> bool:
        """Take what the store sees now; say whether that is to be written down."""
        if seen == self.known:
            self._since = None
            return False
        fewer = seen.processes < self.known.processes or seen.servers < self.known.servers
        if self._since is None or self._since[0] != fewer:
            self._since = fewer, self._now()
        if self._now() < self._since[1] + (FEWER_SECONDS if fewer else MORE_SECONDS):
            return False
        self._since, self.known = None, seen
        return True

    def write(self) -> None:
        """Write down what is known; where that cannot be done, the next start knows less."""
        processes, servers = self.known
        fresh = self._path.with_name(f"{FILE_NAME}.new")
        with suppress(OSError):
            fresh.write_text(f"{processes} {servers}\n", "ascii")
            fresh.replace(self._path)


def read_seen(path: Path) -> Seen:
    """Return what was written down, one process of one server if nothing was, or nothing that can be read."""
    try:
        processes, servers = map(int, path.read_text("ascii").split())
    except (OSError, ValueError):
        return Seen(1, 1)
    return Seen(*(min(max(1, number), NUMBER_MAX) for number in (processes, servers)))
