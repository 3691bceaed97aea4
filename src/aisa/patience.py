"""The clocks of a call: when the head may wait no longer, when to send a keep-alive, when vendor or client has been silent too long.

It does not decide what a silence means; it interrupts the call and says why. All calls of an event loop share one timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aisa.callbacks import call_guarded
from aisa.config.schema import Stream
from aisa.wire.port import CLIENT_STALLS, VENDOR_SILENT, Client

NEVER = float("inf")
RAISED_SECONDS = 1.0  # until a call is looked at again at which looking has raised: it is a bug, and each time is reported
#: How long a finish is held back without an event of the vendor: its last words and its report come within milliseconds, and a vendor that
#: has none, but keeps the connection open, must not keep the client waiting.
FINISH_HOLD_SECONDS = 1.0
#: Of a padded document: proxies on the way give up on a silence of 15 s and more, and some look only every other 10 s.
PADDED_HEAD_SECONDS = 10.0
PADDING_SECONDS = 10.0
PADDING = b"\n"  # blank space before a JSON value means nothing
LOOK_SECONDS_MIN = 0.05  # thousands of streams are due at as many moments; one look a moment would be all that the process does


class Pulse(NamedTuple):
    """What an answer sends while it has nothing to say: `start` its head after `head_seconds` of waiting, then `sign` in each silence."""

    start: Callable[[], None]
    head_seconds: float
    silence_seconds: float
    sign: bytes


def stream_pulse(start: Callable[[], None], settings: Stream, keep_alive: bytes) -> Pulse:
    """Return a stream's pulse, which is seen as `keep_alive`."""
    return Pulse(start, settings.head_hold_seconds, settings.keep_alive_seconds, keep_alive)


def padding_pulse(start: Callable[[], None]) -> Pulse:
    """Return a padded document's pulse."""
    return Pulse(start, PADDED_HEAD_SECONDS, PADDING_SECONDS, PADDING)


class Watch:
    """Looks after every call in flight with one timer, because a timer of its own costs a short call more than anything else here.

    Belongs to the event loop that first uses it.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._calls: set[Patience] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = NEVER

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop, asked for once: before Python 3.12 each `get_running_loop` is a system call, and a call had four of them."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def add(self, patience: Patience) -> None:
        """Look after a call, at `patience.due` first."""
        self._calls.add(patience)
        if patience.due < self._due:
            self._arm(patience.due)

    def discard(self, patience: Patience) -> None:
        """Forget a call."""
        self._calls.discard(patience)

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = None if due == NEVER else self.loop.call_at(due, self._look)

    def _look(self) -> None:
        now = self.loop.time()
        try:
            for patience in [patience for patience in self._calls if patience.due <= now]:
                patience.due = now + RAISED_SECONDS  # unless looking at it, which is to plan anew, raises
                call_guarded(patience.look, now)
        finally:
            soonest = min((patience.due for patience in self._calls), default=NEVER)
            self._arm(max(soonest, now + LOOK_SECONDS_MIN))


class Patience:
    """Watches one call. Times are the event loop's seconds; `due` is when to look at it next.

    `silence_seconds` bounds the time without a token (or, for a document, the whole wait for it). The clock of the vendor stands
    still while the client is the slow one. Without a `pulse` nothing is sent until the answer is there, as of a plain document.
    """

    def __init__(self, watch: Watch, client: Client, settings: Stream, *, silence_seconds: float, pulse: Pulse | None) -> None:
        self.finishing = 0  # as the decoder says
        self._finish_by = NEVER
        self._watch = watch
        self._client = client
        self._settings = settings
        self._silence_seconds = silence_seconds
        self._pulse = pulse
        self._blocked_since: float | None = None
        self._time = watch.loop.time
        self._began = self._last_token = self._last_output = self._time()
        self._apart_since: float | None = self._began  # no vendor is waited for, now or until one is asked
        self.due = NEVER
        if pulse is not None:
            self._plan()

    def ask(self) -> float:
        """A vendor is being asked: its clock starts anew. Returns the time."""
        self._last_token = self._time()
        self.finishing, self._finish_by, self._apart_since = 0, NEVER, None
        self._plan()
        return self._last_token

    def sent(self, tokens: int) -> float:
        """Something went to the client, with this many tokens. Returns the time."""
        now = self._time()
        self._last_output = now
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
        """End the watch."""
        self._watch.discard(self)

    def look(self, now: float) -> None:
        """See whether anything is due, and do it."""
        if self._blocked_since is not None:
            reason = CLIENT_STALLS if now >= self._blocked_since + self._settings.client_stall_seconds else None
        elif self._apart_since is None and now >= min(self._last_token + self._silence_seconds, self._finish_by):
            reason = VENDOR_SILENT
        else:
            reason = None
            if self._pulse is not None:
                self._keep_alive(now, self._pulse)
        if reason is None:
            self._plan()
        else:
            self.due = NEVER
            self._client.interrupt(reason)

    def _plan(self) -> None:
        """Set when to look next. What was sent since only moves it later, so a look may come too soon, never too late."""
        settings = self._settings
        if self._blocked_since is not None:
            self.due = self._blocked_since + settings.client_stall_seconds
        else:
            self.due = NEVER if self._apart_since is not None else min(self._last_token + self._silence_seconds, self._finish_by)
            pulse = self._pulse
            if pulse is not None:
                started = self._client.started
                quiet = self._last_output + pulse.silence_seconds if started else self._began + pulse.head_seconds
                self.due = min(self.due, quiet)
        self._watch.add(self)

    def _keep_alive(self, now: float, pulse: Pulse) -> None:
        if not self._client.started:
            if now < self._began + pulse.head_seconds:
                return
            pulse.start()
        elif now < self._last_output + pulse.silence_seconds:
            return
        if not self._client.congested:
            self._client.write(pulse.sign)
        self._last_output = now
