"""How far the bytes written to one connection got, and who waits to hear of it. Knows no HTTP, and does not decide when to close.

What a client's kernel has acknowledged is delivered, whether or not the client reads it; what ours has taken is not yet.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from aisa.callbacks import call_guarded
from aisa.http.outbox import Outbox
from aisa.http.sockets import TCP_CLOSE, tcp_descriptor, tcp_progress, throw_away_at_close, unacknowledged_bytes
from aisa.timers import NEVER, Timer, Timers

# A client that goes on is heard of by its next request; the others are looked for. Kernels delay an acknowledgement by 40 ms, rarely 200.
SWEEP_SECONDS = 0.125
SWEEP_SECONDS_MAX = 2.0  # what nobody acknowledges is looked at ever less often; a stalled client may wait this long
SWEEP_CONNECTIONS_MAX = 500  # in one turn of the loop, at some 2 us each


class Sweep:
    """Looks with one timer at all connections with unconfirmed replies; it is not set while no reply is unconfirmed."""

    def __init__(self, timers: Timers) -> None:
        self._watched: deque[Delivery] = deque()
        self._gap = SWEEP_SECONDS
        self._timer = Timer(timers)

    def add(self, delivery: Delivery) -> None:
        """Look at a connection until all of it is confirmed or it is lost."""
        self._watched.append(delivery)
        if self._timer.due == NEVER or self._gap > SWEEP_SECONDS:
            self._set(SWEEP_SECONDS)

    def _set(self, gap: float) -> None:
        self._gap = gap
        self._timer.set(gap, self._look)

    def _look(self) -> None:
        watched = self._watched
        all_at_once = len(watched) <= SWEEP_CONNECTIONS_MAX
        for _ in range(min(len(watched), SWEEP_CONNECTIONS_MAX)):
            call_guarded(self._look_at, watched.popleft())
        if watched and self._timer.due == NEVER:
            self._set(min(2 * self._gap, SWEEP_SECONDS_MAX) if all_at_once else SWEEP_SECONDS)

    def _look_at(self, delivery: Delivery) -> None:
        delivery.watched = False  # if looking at it raises it is not looked at again
        if not delivery.confirm():
            delivery.watched = True
            self._watched.append(delivery)


NOBODY: list[tuple[int, Callable[[bool], None]]] = []  # who waits for most connections' bytes; never changed


class Delivery:
    """One connection whose kernel does not tell what was acknowledged (unix sockets, other systems): what it took counts as delivered."""

    __slots__ = (
        "_final", "_outbox", "_posted", "_sweep", "_taken", "_transport", "_when_taken", "bytes_written", "is_closing", "on_confirmed",
        "unconfirmed", "watched",
    )  # fmt: skip

    #: Whether `was_reset` can be true.
    tells_resets = False

    def __init__(self, transport: asyncio.WriteTransport, sweep: Sweep, outbox: Outbox) -> None:
        self._transport, self._sweep, self._outbox = transport, sweep, outbox
        self._posted = b""
        self._when_taken: Callable[[], None] | None = None
        self._taken = 0
        self._final: int | None = None
        self.is_closing = transport.is_closing
        #: Everything given to `write` and `post`, and what others add that would have been written had the client not gone.
        self.bytes_written: int = 0
        #: In order: up to where everything must be delivered, and whom to tell. A reply waits here while its bytes are in the kernel's
        #: send buffer, and the next is not begun before it has left this process; so the buffer's size bounds them.
        self.unconfirmed = NOBODY
        #: Called once, when nothing is unconfirmed any more.
        self.on_confirmed: Callable[[], None] | None = None
        #: Kept by the sweep and `tell`.
        self.watched = False

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport, behind what was posted."""
        if self._posted:
            self.send_posted()
        self.bytes_written += len(data)
        self._put(data)

    def post(self, data: bytes) -> None:
        """Hand bytes to the transport at the end of the loop's turn, or before what is written sooner than that."""
        self.bytes_written += len(data)
        if not self._posted:
            self._outbox.add(self.send_posted)
        self._posted += data

    def send_posted(self) -> None:
        """Hand over what was posted, if it still waits and the connection lives."""
        posted, self._posted = self._posted, b""
        if not posted or self.is_closing():
            return
        self._put(posted)
        if self._when_taken is not None:
            self.when_taken(self._when_taken)

    def when_taken(self, tell: Callable[[], None]) -> None:
        """Call once when all that was written has left this process, if that is at once or when the posted is sent; else not at all."""
        self._when_taken = None
        if self._posted:
            self._when_taken = tell
        elif self.taken() >= self.bytes_written:
            tell()

    def taken(self) -> int:
        """Return how many of the bytes written have left this process."""
        waiting = self._transport.get_write_buffer_size()
        known = self._final is None and (waiting or not self.is_closing())  # a transport that has failed says that nothing is waiting
        if known:
            self._taken = self.bytes_written - len(self._posted) - waiting
        return self._taken

    def flushed(self) -> None:
        """Take note that everything written has left this process."""
        self._taken = self.bytes_written - len(self._posted)

    def delivered(self) -> int:
        """Return how many of the bytes written the client's system has, never too many; final once the connection is lost."""
        return self.taken()

    def was_reset(self) -> bool:
        """Say whether the client has reset the connection, which the loop does not tell when it does not read."""
        return False

    def tell(self, tell: Callable[[bool], None]) -> None:
        """Call once with True when all that was written so far is delivered, with False if the connection is lost before."""
        if self._final is not None:
            tell(self.bytes_written <= self._final)
            return
        if self.unconfirmed is NOBODY:
            self.unconfirmed = []
        self.unconfirmed.append((self.bytes_written, tell))
        if not self.watched:
            self.watched = True
            self._sweep.add(self)

    def confirm(self) -> bool:
        """Tell who waits for what is delivered by now; return False if somebody still waits. A system call if anybody does."""
        if self._posted:
            self.send_posted()
        unconfirmed = self.unconfirmed
        if unconfirmed:
            delivered = self.delivered()
            while unconfirmed and unconfirmed[0][0] <= delivered:
                call_guarded(unconfirmed.pop(0)[1], True)
            if unconfirmed:
                return False
        if self.on_confirmed is not None:
            then, self.on_confirmed = self.on_confirmed, None
            then()
        return True

    def lost(self, *, unfinished: bool) -> None:
        """Take the last measure, just before the socket is closed, and tell all who wait.

        Of a reply that is unfinished or unconfirmed the kernel throws away what it still holds: what is not billed is not delivered.
        """
        self._final = final = self.delivered()
        self._posted = b""
        self._when_taken = None
        unconfirmed, self.unconfirmed = self.unconfirmed, NOBODY
        self.on_confirmed = None
        self._let_go(throw_away=unfinished or any(offset > final for offset, _ in unconfirmed))
        for offset, tell in unconfirmed:
            call_guarded(tell, offset <= final)

    def _put(self, data: bytes) -> None:
        self._transport.write(data)
        self.taken()

    def _let_go(self, *, throw_away: bool) -> None:
        """Part with the socket."""


class TcpDelivery(Delivery):
    """A plain TCP connection on Linux."""

    __slots__ = ("_descriptor",)

    tells_resets = True

    def __init__(self, transport: asyncio.WriteTransport, sweep: Sweep, outbox: Outbox, *, descriptor: int) -> None:
        super().__init__(transport, sweep, outbox)
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport, behind what was posted."""
        if self._posted:
            self.send_posted()
        self.bytes_written += len(data)
        self._transport.write(data)  # without a detour: a burst has a hundred thousand of them a second

    def taken(self) -> int:
        """Return how many of the bytes written have left this process; of a connection that is being closed, those delivered."""
        if self.is_closing():
            return self._acknowledged()
        return self.bytes_written - len(self._posted) - self._transport.get_write_buffer_size()

    def delivered(self) -> int:
        """Return how many of the bytes written the client's kernel has acknowledged."""
        # The common case has a cheaper question: is anything on its way?
        waiting = self._posted or self.is_closing() or self._transport.get_write_buffer_size()
        if not waiting and not unacknowledged_bytes(self._descriptor):
            return self.bytes_written
        return self._acknowledged()

    def was_reset(self) -> bool:
        """Say whether the client has reset the connection."""
        return self._final is None and tcp_progress(self._descriptor)[0] == TCP_CLOSE

    def _acknowledged(self) -> int:
        return self._within(tcp_progress(self._descriptor)[1]) if self._final is None else self._final

    def _within(self, sent: int) -> int:
        # The end of the connection counts for a byte, and goes behind all others.
        return max(0, min(sent, self.bytes_written))

    def _put(self, data: bytes) -> None:
        self._transport.write(data)

    def _let_go(self, *, throw_away: bool) -> None:
        if throw_away:
            throw_away_at_close(self._descriptor)


class OfTcp(Protocol):
    """Makes what measures a TCP connection."""

    def __call__(self, transport: asyncio.WriteTransport, sweep: Sweep, outbox: Outbox, /, *, descriptor: int) -> Delivery:
        """Return it, for the connection's socket. Raises OSError."""
        ...


def delivery_of(transport: asyncio.WriteTransport, sweep: Sweep, outbox: Outbox, *, of_tcp: OfTcp = TcpDelivery) -> Delivery:
    """Return what measures a new connection, as well as its kind of socket allows."""
    try:
        descriptor = tcp_descriptor(transport)
        if descriptor is None:
            return Delivery(transport, sweep, outbox)
        return of_tcp(transport, sweep, outbox, descriptor=descriptor)
    except OSError:  # no file descriptor is left to measure with
        return Delivery(transport, sweep, outbox)
