"""One connection to a vendor, which carries one exchange at a time. Does not parse, does not choose, does not open itself."""

from __future__ import annotations

import asyncio
import select
import socket
from typing import Protocol, cast

from httptools import HttpResponseParser

from aisa.http.exchange import Exchange, Intake
from aisa.http.outbox import POSTED_BYTES_MAX, Outbox
from aisa.http.sockets import unacknowledged_bytes
from aisa.timers import Timers

WRITE_BYTES_MAX = 262_144  # handed to the transport in one go: TLS would encrypt a whole 32 MiB body in one uninterrupted turn


class ConnectionPool(Protocol):
    """Who decides what becomes of a connection."""

    def release(self, connection: PoolConnection, *, reusable: bool) -> None:
        """Take a connection back whose exchange has ended."""
        ...

    def lost(self, connection: PoolConnection) -> None:
        """Hear that a connection is gone."""
        ...


class PoolConnection(asyncio.BufferedProtocol):
    """A socket's protocol. All of a pool may share one intake, because what is read is taken out at once."""

    __slots__ = (
        "_congested", "_exchange", "_intake", "_outbox", "_parser", "_poll", "_pool", "_posted", "_sent", "_timers", "_transport",
        "_used", "socket",
    )  # fmt: skip

    def __init__(self, pool: ConnectionPool, intake: Intake, outbox: Outbox, *, timers: Timers) -> None:
        self._pool, self._timers = pool, timers
        self._intake, self._outbox = intake, outbox
        self._posted = b""  # what goes with the outbox
        self._transport: asyncio.Transport
        self._poll: select.poll | None = None  # of a connection that was kept: one that is used once needs none
        self._exchange: Exchange | None = None
        self._parser: HttpResponseParser | None = None  # made with the first exchange, kept from each to the next
        self.socket: socket.socket | None = None  # if whoever has opened it says so: uvloop makes another object of it for who asks
        self._used, self._congested, self._sent = False, False, True

    def usable(self) -> bool:
        """Tell whether a request may be written: connected, and not a byte, FIN or RST waits unread in the kernel.

        The loop may not have seen the vendor's FIN yet; asking the kernel costs half a microsecond and saves a failed call.
        """
        if self._poll is None:
            self._poll = self._poller()
        return not self._transport.is_closing() and not self._poll.poll(0)

    def is_fresh(self) -> bool:
        """Tell the same of a connection that was just opened."""
        return not self._transport.is_closing() and not self._poller().poll(0)

    def _poller(self) -> select.poll:
        poll = select.poll()
        if not self._transport.is_closing():  # else it has no descriptor any more
            poll.register((self.socket or self._transport.get_extra_info("socket")).fileno(), select.POLLIN)
        return poll

    def start(self, head: bytes, body: bytes, *, vendor: str, answer_bytes_max: int) -> Exchange:
        """Begin an exchange: send the head and the first WRITE_BYTES_MAX of the body in one go. The rest is for `send_rest`."""
        parser, intake = self._parser, self._intake
        if parser is None:
            parser = self._parser = HttpResponseParser(intake)
        exchange = Exchange(self, self._timers, parser, intake=intake, vendor=vendor, bytes_max=answer_bytes_max, kept=self._used)
        self._exchange, self._used = exchange, True
        self._sent = len(body) <= WRITE_BYTES_MAX
        if len(body) <= POSTED_BYTES_MAX:
            self._posted = head + body
            self._outbox.add(self._send_posted)
        else:
            self._transport.write(head + body[:WRITE_BYTES_MAX])
        return exchange

    async def send_rest(self, exchange: Exchange, body: bytes) -> None:
        """Write what `start` left of the body, no faster than the vendor reads, and stop early if the vendor wants no more."""
        rest = memoryview(body)
        for first in range(WRITE_BYTES_MAX, len(body), WRITE_BYTES_MAX):
            while self._congested and not exchange.needs_no_more:
                await exchange.arrival()
            if exchange.needs_no_more or self._transport.is_closing():  # a write may close it before anybody is told
                return
            self._transport.write(rest[first : first + WRITE_BYTES_MAX])
        self._sent = True

    # What the exchange calls.

    def pause(self) -> None:
        """Stop reading from the socket, if it still is one."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read from the socket again, if it still is one."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def abort(self) -> None:
        """Drop the connection at once, with whatever is unsent."""
        self._transport.abort()

    def release(self, *, whole: bool) -> None:
        """End the exchange and let the pool decide."""
        self._exchange = None
        transport = self._transport
        sent = self._sent and not self._posted and not transport.is_closing() and transport.get_write_buffer_size() == 0
        self._pool.release(self, reusable=whole and sent)

    # What the event loop calls.

    def _send_posted(self) -> None:
        posted, self._posted = self._posted, b""
        if not self._transport.is_closing():  # else whoever reads the answer is told, or has left
            self._transport.write(posted)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to put the next bytes."""
        return self._intake.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass bytes on; nobody has asked for any on an idle connection, so there they end it."""
        if self._exchange is None:
            self._transport.abort()
        else:
            self._exchange.feed(self._intake.buffer[:nbytes])

    def eof_received(self) -> None:
        """Pass the vendor's FIN on; the loop then closes the transport."""
        if self._exchange is not None:
            self._exchange.end(taken=self._is_taken())

    def _is_taken(self) -> bool:
        """Say whether the vendor that now says FIN has read all that was sent: whoever closes with bytes unread sends a RST instead."""
        if self._posted or not self._sent or self._transport.get_write_buffer_size():
            return False
        try:
            return not unacknowledged_bytes(self._transport.get_extra_info("socket").fileno())
        except OSError:
            return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever depends on the connection."""
        if self._exchange is not None:
            self._exchange.lost(f"connection lost: {exc!r}" if exc else "connection lost")
        self._pool.lost(self)
        self._transport.set_protocol(asyncio.BufferedProtocol())  # one of TLS would know us, and we it, until garbage is looked for

    def pause_writing(self) -> None:
        """Note that the vendor does not read."""
        self._congested = True

    def resume_writing(self) -> None:
        """Note that the vendor reads again."""
        self._congested = False
        if self._exchange is not None:
            self._exchange.wake()
