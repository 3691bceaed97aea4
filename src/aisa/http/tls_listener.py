"""Accepts connections that are to speak TLS: counts them from their accept, and answers one that speaks plain HTTP. Reads no request."""

from __future__ import annotations

import asyncio
import socket
import ssl

from aisa.errors import ApiError
from aisa.http.acceptor import Acceptor
from aisa.http.connection import CONNECTIONS_OVER_MAX, Connection
from aisa.http.proxied import Proxies, readable, take_head
from aisa.http.shared import Shared

HANDSHAKE_RECORD = b"\x16"  # what TLS begins with, in all its versions; no method of HTTP does

_PLAIN = "This port speaks TLS and was spoken to in plain HTTP: use https:// in the address."


class _Secured(Connection):
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


class _Refused(_Secured):
    """A connection that cannot be secured: it is told why."""

    __slots__ = ("_why",)

    def __init__(self, shared: Shared, handshake: Handshake, why: ApiError) -> None:
        super().__init__(shared, handshake)
        self._why = why

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not (self._refused or transport.is_closing()):
            self._refuse(self._why)


class Handshake:
    """A connection from its accept to the end of its handshake; counted as an open one (`shared.OpenConnection`)."""

    def __init__(self, shared: Shared, accepted: socket.socket, context: ssl.SSLContext, *, proxies: Proxies | None) -> None:
        self._shared = shared
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
                await self._loop.connect_accepted_socket(
                    lambda: _Secured(self._shared, self),
                    self._accepted,
                    ssl=self._context,
                    ssl_handshake_timeout=seconds,
                    ssl_shutdown_timeout=seconds,
                )
        except OSError:  # it left, was silent for too long, or speaks no TLS that we do
            self._accepted.close()
        except asyncio.CancelledError:  # by us alone: nobody waits for this task
            self._accepted.close()
        finally:
            self._shared.connection_ended(self)

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
        Handshake(shared, accepted, self.context, proxies=self._proxies)
