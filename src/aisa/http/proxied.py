"""Connections that a proxy opened for a client, and that begin by saying for whom. What such a head looks like, `proxy_protocol` knows."""

from __future__ import annotations

import asyncio
import socket

from aisa.config.schema import Server
from aisa.errors import ApiError
from aisa.http.connection import Connection
from aisa.http.networks import Networks
from aisa.http.proxy_protocol import V2_BYTES_MAX, BrokenHead, Head, NotProxied, read_head
from aisa.http.shared import Shared

REQUIRE = "require"


class Proxies:
    """Who may say for whom a connection is."""

    def __init__(self, settings: Server) -> None:
        self.required = settings.proxy_protocol == REQUIRE
        self.configure(settings)

    def configure(self, settings: Server) -> None:
        """Trust others from now on."""
        self._trusted = Networks(settings.trusted_proxies)

    def trusts(self, peer: str) -> bool:
        """Say whether a peer's word counts: one of the trusted networks, or anybody where none is named."""
        return not self._trusted or peer in self._trusted

    def head(self, data: bytes, peer: str) -> Head | None:
        """Return the head at the beginning of a connection, one without bytes where there is none; None while it is not whole.

        Raises ApiError invalid_request for one that is missing, broken, or from somebody who is not trusted.
        """
        try:
            head = read_head(data)
        except NotProxied:
            if self.required:
                raise ApiError(
                    "invalid_request", "Connections to this port begin with a head of the PROXY protocol; this one has none."
                ) from None
            return Head(0, None)
        except BrokenHead as error:
            raise ApiError("invalid_request", f"The connection's head of the PROXY protocol is broken: {error}.") from None
        if not self.trusts(peer):
            raise ApiError("invalid_request", "A head of the PROXY protocol came from an address that is none of `server.trusted_proxies`.")
        return head


class ProxiedConnection(Connection):
    """A connection whose head is still to come. Its time-out is that of a request's headers."""

    __slots__ = ("_preface", "_proxies")

    _preface: bytes | None

    def __init__(self, shared: Shared, proxies: Proxies) -> None:
        super().__init__(shared)
        self._proxies = proxies
        self._preface = b""

    def _read(self, data: bytes) -> None:
        if self._preface is None:
            super()._read(data)
            return
        data = self._preface + data
        try:
            head = self._proxies.head(data, self._reader.address)
        except ApiError as error:
            self._preface = None
            self._refuse(error)
            return
        if head is None:
            self._preface = data
            return
        self._preface = None
        if head.address is not None:
            self._reader.address = head.address
        if len(data) > head.size:
            super()._read(data[head.size :])


async def take_head(accepted: socket.socket, proxies: Proxies) -> str | None:
    """Take the head off a connection that speaks TLS behind it, and nothing else; return the client's address if it names one.

    Raises ApiError as `Proxies.head` does, OSError. The caller bounds the wait.
    """
    peer, taken = accepted.getpeername()[0], b""
    while True:
        await readable(accepted)
        seen = accepted.recv(V2_BYTES_MAX, socket.MSG_PEEK)
        head = proxies.head(taken + seen, peer) if seen else Head(0, None)
        size = len(seen) if head is None else max(0, head.size - len(taken))
        if size:
            taken += accepted.recv(size)
        if head is not None:
            return head.address


async def readable(accepted: socket.socket) -> None:
    """Wait until something has arrived on a connection, or it has ended."""
    arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not arrived.done():
            arrived.set_result(None)

    loop = asyncio.get_running_loop()
    loop.add_reader(accepted, wake)
    try:
        await arrived
    finally:
        loop.remove_reader(accepted)
