"""The timeouts of a call: when the head may wait no longer, when to send a keep-alive, when vendor or client has been silent too long.

It does not decide what a silence means; it interrupts the call and says why. Calls have their timers in the wheel that all share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, NamedTuple

from aisa.config.schema import Stream
from aisa.timers import NEVER, Timer, Timers
from aisa.wire.port import CLIENT_STALLS, VENDOR_SILENT, Client

RAISED_SECONDS = 1.0  # until a call is looked at again at which looking has raised: it is a bug, and each time is reported
#: How long a finish is held back without an event of the vendor: its last words and its report come within milliseconds, and a vendor that
#: has none, but keeps the connection open, must not keep the client waiting.
FINISH_HOLD_SECONDS = 1.0
#: Of a padded document: proxies on the way give up on a silence of 15 s and more, and some look only every other 10 s.
PADDED_HEAD_SECONDS = 10.0
PADDING_SECONDS = 10.0
PADDING = b"\n"  # blank space before a JSON value means nothing


class KeepAlive(NamedTuple):
    """What answers send while they have nothing to say: a head by `start(answer)` after `head_seconds` of waiting, then a `sign` each."""

    start: Callable[[Any], None]
    head_seconds: float
    silence_seconds: float
    sign: bytes


keep_alive_of = lru_cache(KeepAlive)


class CallTimeouts:
    """The timeouts of one call. Times are the event loop's seconds.

    `silence_seconds` bounds the time without a token (or, for a document, the whole wait for it). The clock of the vendor stands
    still while the client is the slow one. Without a `keep_alive`, which is given the `answer`, nothing is sent until that is there.
    """

    __slots__ = (
        "_answer", "_apart_since", "_began", "_blocked_since", "_client", "_finish_by", "_keep_alive", "_last_output", "_last_token",
        "_patience_seconds", "_settings", "_silence_seconds", "_time", "_timer", "_timers", "finishing",
    )  # fmt: skip

    def __init__(
        self, timers: Timers, client: Client, settings: Stream, *, silence_seconds: float, keep_alive: KeepAlive | None, answer: Any = None
    ) -> None:
        self.finishing = 0  # as the decoder says
        self._finish_by = NEVER
        self._blocked_since: float | None = None
        self._timers, self._time = timers, timers.time
        self._timer: Timer | None = timers.borrow()
        self._client, self._settings = client, settings
        self._silence_seconds = self._patience_seconds = silence_seconds  # the second: less while another vendor could be asked
        self._keep_alive, self._answer = keep_alive, answer
        self._began = self._last_token = self._last_output = self._time()
        self._apart_since: float | None = self._began  # no vendor is waited for, now or until one is asked
        if keep_alive is not None:
            self._plan()

    def ask(self, patience_seconds: float | None = None) -> float:
        """A vendor is being asked: its clock starts anew. Returns the time. Until `relax` it has less time, if that is given."""
        self._last_token = self._time()
        self._patience_seconds = self._silence_seconds if patience_seconds is None else min(patience_seconds, self._silence_seconds)
        self.finishing, self._finish_by, self._apart_since = 0, NEVER, None
        self._plan()
        return self._last_token

    def relax(self) -> None:
        """The vendor has begun to answer: from here on it has the usual time. It is looked at too soon once."""
        self._patience_seconds = self._silence_seconds

    def started(self) -> None:
        """A stream's head has gone out: from here on a silence counts, and may be due before what the head would have waited for."""
        if self._keep_alive is not None and self._keep_alive.silence_seconds < self._keep_alive.head_seconds:
            self._last_output = self._time()
            self._plan()

    def sent(self, tokens: int) -> float:
        """Something went to the client, with this many tokens. Returns the time."""
        now = self._last_output = self._time()
        if tokens:
            self._last_token = now
        return now

    async def wait_for_client(self, taken: Callable[[], None]) -> None:
        """Wait until the client has taken what is waiting for it; `taken` is called at that very moment."""
        self._blocked_since = self._time()
        self._plan()
        try:
            await self._client.writable(taken)
        finally:
            blocked_seconds = self._time() - self._blocked_since
            self._last_token += blocked_seconds
            self._finish_by += blocked_seconds
            self._blocked_since = None
            self._plan()

    async def wait_for_store(self, answer: Awaitable[None]) -> None:
        """Wait for something that is neither the vendor's nor the client's to give; the vendor's clock stands still."""
        self._apart_since = self._time()
        self._plan()
        try:
            await answer
        finally:
            apart_seconds = self._time() - self._apart_since
            self._last_token += apart_seconds
            self._finish_by += apart_seconds
            self._apart_since = None
            self._plan()

    def hold_finish(self, events: int) -> None:
        """Every choice has finished, and the vendor has said something `events` times: it gets a moment for more. 0: it has not."""
        self.finishing = events
        self._finish_by = self._time() + FINISH_HOLD_SECONDS if events else NEVER
        self._plan()

    def forgive(self, ending: asyncio.CancelledError) -> bool:
        """Tell whether it was the vendor's silence that cancelled the task, and if so make it live on."""
        task = asyncio.current_task()
        if ending.args != (VENDOR_SILENT,) or self._client.gone or task is None:
            return False
        task.uncancel()
        self._last_token = self._time()
        self._finish_by = NEVER
        self._plan()
        return True

    def now(self) -> float:
        """Return the event loop's time in seconds."""
        return self._time()

    def stop(self) -> None:
        """Look after the call no more, and let go of it, which holds this: no look for garbage is waited for."""
        self._answer = None
        timer, self._timer = self._timer, None
        if timer is not None:
            self._timers.give_back(timer)

    def __call__(self) -> None:
        """See whether anything is due, and do it: what the timer calls."""
        now = self._time()
        self._set_at(now + RAISED_SECONDS)  # unless looking, which is to plan anew, raises
        if self._blocked_since is not None:
            reason = CLIENT_STALLS if now >= self._blocked_since + self._settings.client_stall_seconds else None
        elif self._apart_since is None and now >= min(self._last_token + self._patience_seconds, self._finish_by):
            reason = VENDOR_SILENT
        else:
            reason = None
            if self._keep_alive is not None:
                self._send_keep_alive(now, self._keep_alive)
        if reason is None:
            self._plan()
        else:
            self._set_at(NEVER)
            self._client.interrupt(reason)

    def _plan(self) -> None:
        """Set when to look next. What was sent since only moves it later, so a look may come too soon, never too late."""
        if self._blocked_since is not None:
            due = self._blocked_since + self._settings.client_stall_seconds
        else:
            due = NEVER if self._apart_since is not None else min(self._last_token + self._patience_seconds, self._finish_by)
            keep_alive = self._keep_alive
            if keep_alive is not None:
                started = self._client.started
                quiet = self._last_output + keep_alive.silence_seconds if started else self._began + keep_alive.head_seconds
                due = min(due, quiet)
        if self._timer is not None:  # unless the call has ended
            self._timer.set_at(due, self)

    def _set_at(self, due: float) -> None:
        """Look at a time of the loop's clock, unless the call has ended."""
        if self._timer is not None:
            self._timer.set_at(due, self)

    def _send_keep_alive(self, now: float, keep_alive: KeepAlive) -> None:
        if not self._client.started:
            if now < self._began + keep_alive.head_seconds:
                return
            keep_alive.start(self._answer)
        elif now < self._last_output + keep_alive.silence_seconds:
            return
        elif self._answer is not None and self._apart_since is None:
            self._answer.silent()
        if not self._client.congested:
            self._client.write(keep_alive.sign)
        self._last_output = now
