"""What one turn of the event loop has to send, sent together at the turn's end. Knows no socket and no message.

A peer that sleeps has to be woken, which costs the waker more than the message. Sent one behind the other, many messages wake it once,
and it then finds them all. A lone message waits for nothing: there is only the end of its own turn before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aisa.callbacks import call_guarded

POSTED_BYTES_MAX = 65_536  # of a message that is worth waiting for others; what is larger is worth a wake-up of its own


class Outbox:
    """Calls each of `add`'s functions at the end of the turn in which it was added. Belongs to one event loop."""

    __slots__ = ("_loop", "_senders")

    def __init__(self) -> None:
        self._senders: list[Callable[[], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, send: Callable[[], None]) -> None:
        """Have something sent behind what is ready to run now."""
        senders = self._senders
        senders.append(send)
        if len(senders) == 1:
            if self._loop is None:
                self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        senders, self._senders = self._senders, []
        for send in senders:
            call_guarded(send)
