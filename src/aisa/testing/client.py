"""A client in memory: takes what it is given, or takes nothing for a while, or leaves. Implements the port that HTTP connections do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from aisa.wire.port import CLIENT_LEFT, HeaderList


class MemoryClient:
    """Records an answer.

    `stalls_after` is the number of writes after which it takes nothing until `resume` is called, `leaves_after` that after which it
    goes, `takes_bytes_max` how many bytes it acknowledges in all.
    """

    def __init__(self, *, stalls_after: int | None = None, leaves_after: int | None = None, takes_bytes_max: int = sys.maxsize) -> None:
        self.takes_bytes_max = takes_bytes_max
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.length: int | None = None
        self.writes: list[bytes] = []
        self.times: list[float] = []
        self.gone = False
        self.ended = False
        self.aborted = False
        self.task: asyncio.Task[None] | None = None
        self._stalls_after = stalls_after
        self._leaves_after = leaves_after
        self._taken = asyncio.Event()
        self._taken.set()

    @property
    def started(self) -> bool:
        """Whether there is a status."""
        return self.status is not None

    @property
    def congested(self) -> bool:
        """Whether it takes nothing now."""
        return not self._taken.is_set()

    @property
    def bytes_sent(self) -> int:
        """Body bytes so far."""
        return sum(map(len, self.writes))

    @property
    def body(self) -> bytes:
        """The body so far."""
        return b"".join(self.writes)

    def start(self, status: int, headers: HeaderList, length: int | None, *, probe: bytes = b"") -> None:
        """Take the head."""
        if self.started:
            raise RuntimeError("started twice")
        self.status, self.headers, self.length = status, dict(headers), length

    def cork(self) -> None:
        """Take what comes as it comes."""

    def write(self, data: bytes) -> int:
        """Take body bytes."""
        if self.gone:
            return self.bytes_written + len(data)
        self.writes.append(data)
        self.times.append(asyncio.get_running_loop().time())
        if len(self.writes) == self._stalls_after:
            self._taken.clear()
        if len(self.writes) == self._leaves_after:
            asyncio.get_running_loop().call_soon(self.leave)
        return self.bytes_written

    async def writable(self, taken: Callable[[], None] | None = None) -> None:
        """Wait until it takes again."""
        await self._taken.wait()
        if taken is not None:
            taken()

    def end(self, data: bytes = b"") -> None:
        """Note the proper end."""
        if data:
            self.write(data)
        self.ended = True

    @property
    def bytes_written(self) -> int:
        """Body bytes given, whether or not it took them."""
        return self.bytes_sent

    def when_taken(self, tell: Callable[[], None]) -> None:
        """Call at once if everything is taken."""
        if self.bytes_taken() >= self.bytes_written:
            tell()

    def bytes_taken(self) -> int:
        """Return what left the process: all but the last write while it takes nothing."""
        return self.bytes_sent - (len(self.writes[-1]) if self.congested else 0)

    def bytes_delivered(self) -> int:
        """Return what it took: everything, or as much as `takes_bytes_max` says."""
        return min(self.bytes_sent, self.takes_bytes_max)

    def tell_delivery(self, tell: Callable[[bool], None]) -> None:
        """Tell at once."""
        tell(self.bytes_delivered() >= self.bytes_written)

    def interrupt(self, reason: str) -> None:
        """Cancel the call's task."""
        if self.task is not None:
            self.task.cancel(reason)

    def abort(self) -> None:
        """Note being cut off."""
        self.aborted = self.gone = True

    def resume(self) -> None:
        """Take again."""
        self._taken.set()

    def leave(self) -> None:
        """Go, as a lost connection does: the call's task is cancelled once."""
        self.gone = True
        self.interrupt(CLIENT_LEFT)
