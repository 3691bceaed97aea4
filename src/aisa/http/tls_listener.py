"""Accepts connections that are to speak TLS: counts them from their accept, and answers one that speaks plain HTTP. Reads no request."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from functools import partial
from typing import cast

from aisa.errors import ApiError
from aisa.http.acceptor import Acceptor
from aisa.http.ciphertext import Ciphertext, read_little
from aisa.http.connection import CONNECTIONS_OVER_MAX, Connection
from aisa.http.delivery import Delivery, delivery_of
from aisa.http.proxied import Proxies, readable, take_head
from aisa.http.shared import Shared
from aisa.http.tls_delivery import TlsDelivery

HANDSHAKE_RECORD = b"\x16"  # what TLS begins with, in all its versions; no method of HTTP does

#: That begin in one turn of the loop. Each takes the processor for a millisecond or two, and what is open already is to go on between them:
#: when hundreds of clients come at once, as behind a proxy that begins anew, streams stood for seconds.
BEGUN_PER_TURN_MAX = 4

_PLAIN = "This port speaks TLS and was spoken to in plain HTTP: use https:// in the address."


class _Counted(Connection):
    """A connection whose handshake is over: it takes its place among those that count."""

    __slots__ = ("_handshake",)

    def __init__(self, shared: Shared, handshake: Handshake) -> None:
        super().__init__(shared)
        self._handshake = handshake

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._shared.connections.discard(self._handshake)
        super().connection_made(transport)
        if self._handshake.address is not None:
            self._reader.address = self._handshake.address


class _Refused(_Counted):
    """A connection that cannot be secured: it is told why."""

    __slots__ = ("_why",)

    def __init__(self, shared: Shared, handshake: Handshake, why: ApiError) -> None:
        super().__init__(shared, handshake)
        self._why = why

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not (self._refused or transport.is_closing()):
            self._refuse(self._why)


class _Secured(_Counted):
    """A connection over TLS, whose ciphertext goes over the transport `plain`."""

    __slots__ = ("_plain",)

    def __init__(self, shared: Shared, handshake: Handshake, plain: asyncio.Transport) -> None:
        super().__init__(shared, handshake)
        self._plain = plain

    def _measured(self, transport: asyncio.Transport) -> Delivery:
        transport.set_write_buffer_limits(high=1, low=0)  # TLS transports take a limit of 0 for always being over it
        of_tcp = partial(TlsDelivery, plain=self._plain)
        return delivery_of(transport, self._shared.sweep, self._shared.outbox, of_tcp=of_tcp)

    def resume_writing(self) -> None:
        out = self._out
        if not (isinstance(out, TlsDelivery) and out.halt()):  # the kernel may have refused a part of what was written meanwhile
            super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._transport.set_protocol(asyncio.BufferedProtocol())  # it would know us, and we it, until garbage is looked for


class _Bare(asyncio.Protocol):
    """A connection until TLS takes it: keeps what has come by then, which is the beginning of the handshake."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.early = b""
        self.over = False
        self.between: Ciphertext | None = None  # once TLS has it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.pause_reading()
        self.transport.set_write_buffer_limits(high=0)  # else TLS would learn only of every 64 KiB that nobody takes

    def data_received(self, data: bytes) -> None:
        self.early += data
        self.transport.pause_reading()  # uvloop begins to read behind `connection_made`

    def eof_received(self) -> bool:
        self.over = True
        return True  # else the transport would close under a handshake that then never hears of it

    def hand_over(self) -> None:
        """Give what has come to the TLS that now has the transport, as its socket would."""
        self.between, early = read_little(self.transport), memoryview(self.early)
        while early and self.between is not None and not self.transport.is_closing():
            buffer = self.between.get_buffer(len(early))
            size = min(len(buffer), len(early))
            buffer[:size] = early[:size]
            self.between.buffer_updated(size)
            early = early[size:]
        if self.over:
            self.transport.abort()


class _Early(asyncio.BufferedProtocol):
    """Keeps what a client says together with the end of its handshake, for the turn or two of the loop until there is a connection."""

    def __init__(self, shared: Shared) -> None:
        self._buffer = shared.read_buffer
        self.data = b""

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self._buffer[:nbytes]


class Handshakes:
    """The handshakes of a listener, which begin in the order in which their clients have spoken, few in each turn of the loop."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()  # never more than there are connections
        self._loop = asyncio.get_running_loop()

    async def turn(self) -> None:
        """Return when one may begin."""
        turn = self._loop.create_future()
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._begin_some)
        await turn

    def _begin_some(self) -> None:
        begun = 0
        while self._waiting and begun < BEGUN_PER_TURN_MAX:
            turn = self._waiting.popleft()
            if not turn.done():  # it was given up
                turn.set_result(None)
                begun += 1
        if self._waiting:
            self._loop.call_soon(self._begin_some)


class Handshake:
    """A connection from its accept to the end of its handshake; counted as an open one (`shared.OpenConnection`)."""

    def __init__(
        self, shared: Shared, accepted: socket.socket, context: ssl.SSLContext, *, proxies: Proxies | None, handshakes: Handshakes
    ) -> None:
        self._shared = shared
        self._handshakes = handshakes
        self._accepted = accepted
        self._context = context
        self._proxies = proxies
        self._loop = asyncio.get_running_loop()
        self.address: str | None = None  # of the client, where a proxy named it
        shared.connections.add(self)
        self._task = self._loop.create_task(self._run())

    def close_if_idle(self, refusal: ApiError | None = None) -> None:
        """Give it up: no request has begun."""
        self._task.cancel()

    def abort(self) -> None:
        """Give it up."""
        self._task.cancel()

    async def _run(self) -> None:
        seconds = self._shared.settings.header_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                why_not = await self._why_not()
            if why_not is not None:
                await self._loop.connect_accepted_socket(lambda: _Refused(self._shared, self, why_not), self._accepted)
            else:
                await self._handshakes.turn()
                await self._secure(seconds)
        except OSError:  # it left, was silent for too long, or speaks no TLS that we do
            self._accepted.close()
        except asyncio.CancelledError:  # by us alone: nobody waits for this task
            self._accepted.close()
        finally:
            self._shared.connection_ended(self)

    async def _secure(self, seconds: float) -> None:
        """Shake hands, and begin a connection. Raises OSError.

        The loop's own way of accepting for TLS would not let us say how much the transport under it may hold.
        """
        plain, bare = await self._loop.connect_accepted_socket(_Bare, self._accepted)
        shared, early = self._shared, _Early(self._shared)
        securing = self._loop.create_task(self._shake_hands(plain, early, seconds))
        try:
            await asyncio.sleep(0)  # it has begun: TLS is to be told of the transport, and then of what has come
            self._loop.call_soon(bare.hand_over)
            transport = await securing
        finally:
            securing.cancel()
        if transport is None or transport.is_closing():
            return
        if bare.between is not None:
            bare.between.decrypted_by(transport)
        secured = _Secured(shared, self, plain)
        transport.set_protocol(secured)
        secured.connection_made(transport)
        for start in range(0, len(early.data), len(shared.read_buffer)):
            piece = early.data[start : start + len(shared.read_buffer)]
            if not transport.is_closing():
                shared.read_buffer[: len(piece)] = piece
                secured.buffer_updated(len(piece))

    async def _shake_hands(self, plain: asyncio.Transport, early: _Early, seconds: float) -> asyncio.Transport | None:
        if plain.is_closing():
            return None
        return await self._loop.start_tls(
            plain, early, self._context, server_side=True, ssl_handshake_timeout=seconds, ssl_shutdown_timeout=seconds
        )

    async def _why_not(self) -> ApiError | None:
        """Return why there will be no handshake, None if there may be one, to judge by how the client begins. Raises OSError."""
        try:
            if self._proxies is not None:
                self.address = await take_head(self._accepted, self._proxies)
        except ApiError as error:
            return error
        await readable(self._accepted)
        if self._accepted.recv(1, socket.MSG_PEEK) in (HANDSHAKE_RECORD, b""):
            return None
        return ApiError("invalid_request", _PLAIN)


class TlsListener:
    """Accepts on a listening socket until it is closed. `proxies` are who names clients, None if nobody does."""

    def __init__(self, shared: Shared, listener: socket.socket, context: ssl.SSLContext, *, proxies: Proxies | None = None) -> None:
        self._shared = shared
        self.context = context  # of handshakes that begin from now on
        self._proxies = proxies
        self._handshakes = Handshakes()
        self._acceptor = Acceptor(listener, self._take)

    def close(self) -> None:
        """Accept no more. May be called twice."""
        self._acceptor.close(leave=True)

    def _take(self, accepted: socket.socket) -> None:
        shared = self._shared
        if len(shared.connections) >= shared.settings.connections_max + CONNECTIONS_OVER_MAX:
            accepted.close()
            return
        accepted.setblocking(False)
        Handshake(shared, accepted, self.context, proxies=self._proxies, handshakes=self._handshakes)
