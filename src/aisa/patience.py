"""The clocks of one call: when the head may wait no longer, when to send a keep-alive, when vendor or client has been silent too long.

One timer a call, re-armed lazily. It does not decide what a silence means; it interrupts the call and says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aisa.config.schema import Stream
from aisa.wire.port import Client
from aisa.wire.sse import KEEP_ALIVE


class Patience:
    """Watches one call. Times are the event loop's seconds.

    `silence_seconds` bounds the time without a token (or, for a document, the whole wait for it). The clock of the vendor stands
    still while the client is the slow one. `hold_head` starts the stream's head when it may wait no longer; None for a document.
    """

    def __init__(self, client: Client, settings: Stream, *, silence_seconds: float, hold_head: Callable[[], None] | None) -> None:
        self.vendor_silent = False
        self.client_stalled = False
        self._client = client
        self._settings = settings
        self._silence_seconds = silence_seconds
        self._hold_head = hold_head
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._began = self._last_token = self._last_output = now
        self._blocked_since: float | None = None
        self._timer = self._loop.call_at(self._next(now), self._look)

    def ask(self) -> None:
        """A vendor is being asked: its clock starts anew."""
        self._last_token = self._loop.time()

    def sent(self, tokens: int) -> float:
        """Something went to the client, with this many tokens. Returns the time."""
        now = self._loop.time()
        self._last_output = now
        if tokens:
            self._last_token = now
        return now

    async def wait_for_client(self) -> None:
        """Wait until the client has taken what is waiting for it."""
        self._blocked_since = self._loop.time()
        try:
            await self._client.writable()
        finally:
            self._last_token += self._loop.time() - self._blocked_since
            self._blocked_since = None
            self._arm()

    def forgive(self) -> bool:
        """After a cancellation: tell whether it was the vendor's silence, and if so make the task live on."""
        task = asyncio.current_task()
        if not self.vendor_silent or self._client.gone or task is None:
            return False
        self.vendor_silent = False
        task.uncancel()
        self._arm()
        return True

    def now(self) -> float:
        """Return the event loop's time in seconds."""
        return self._loop.time()

    def stop(self) -> None:
        """End the watch."""
        self._timer.cancel()

    def _arm(self) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_at(self._next(self._loop.time()), self._look)

    def _next(self, now: float) -> float:
        """Return when to look again."""
        if self._blocked_since is not None:
            return self._blocked_since + self._settings.client_stall_seconds
        due = self._last_token + self._silence_seconds
        if self._hold_head is not None:
            waits_for_head = not self._client.started
            quiet = (
                self._began + self._settings.head_hold_seconds if waits_for_head else self._last_output + self._settings.keep_alive_seconds
            )
            due = min(due, quiet)
        return max(due, now)

    def _look(self) -> None:
        now = self._loop.time()
        if self._blocked_since is not None:
            if now >= self._blocked_since + self._settings.client_stall_seconds:
                self.client_stalled = True
        elif now >= self._last_token + self._silence_seconds:
            self.vendor_silent = True
        elif self._hold_head is not None:
            self._keep_alive(now, self._hold_head)
        if self.client_stalled or self.vendor_silent:
            self._client.interrupt()
        else:
            self._arm()

    def _keep_alive(self, now: float, hold_head: Callable[[], None]) -> None:
        if not self._client.started:
            if now < self._began + self._settings.head_hold_seconds:
                return
            hold_head()
        elif now < self._last_output + self._settings.keep_alive_seconds:
            return
        if not self._client.congested:
            self._client.write(KEEP_ALIVE)
        self._last_output = now
