"""How a connection to a vendor comes to be: name look-up, TCP, a proxy's CONNECT, TLS, all within one timeout. Keeps no connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from functools import cache, cached_property

from aisa.config.schema import Vendor
from aisa.http.address import Proxy, bracketed, is_ip_literal, proxy_for, read_origin
from aisa.http.ciphertext import read_little
from aisa.http.failures import in_words, unreachable
from aisa.http.names import Names
from aisa.http.pool_connection import PoolConnection
from aisa.http.sockets import vendor_socket

TUNNEL_HEAD_BYTES_MAX = 16_384  # a proxy's answer to CONNECT is a few hundred bytes


class Tunnel(asyncio.Protocol):
    """The client's half of a CONNECT: gathers the proxy's answer. TLS takes the transport over afterwards."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        """Take the next bytes of the proxy's answer."""
        self._head += data
        line, _, _ = self._head.partition(b"\r\n")
        if b"\r\n\r\n" in self._head and line.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")):
            self._settle(None)
        elif b"\r\n\r\n" in self._head:
            self._settle(f"the proxy refused: {line[:100]!r}")
        elif len(self._head) > TUNNEL_HEAD_BYTES_MAX:
            self._settle(f"the proxy sent more than {TUNNEL_HEAD_BYTES_MAX} bytes of headers")

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the loss of the connection."""
        self._settle("the proxy closed the connection")

    def _settle(self, refusal: str | None) -> None:
        if self.opened.done():
            return
        if refusal is None:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(ConnectionError(refusal))


class Dialer:
    """Opens connections to one vendor. Origin and proxy are fixed when it is made; ValueError, repeating no address, if one is unusable."""

    def __init__(self, vendor: str, settings: Vendor, environment: Mapping[str, str], *, names: Names) -> None:
        try:
            self.origin = read_origin(settings.base_url)
            self.proxy = proxy_for(self.origin, settings.proxy, environment)
        except ValueError as error:
            raise ValueError(f"vendor `{vendor}`: {error}") from None
        self._vendor = vendor
        self._settings = settings
        self._seconds_max = settings.connect_timeout_seconds
        self._peer = self.proxy or self.origin  # where the socket leads
        self._names = names

    async def dial(self, make: Callable[[], PoolConnection]) -> PoolConnection:
        """Return a connected `make()`. Raises UpstreamFailed when that fails or takes longer than the connect timeout."""
        where = f"{self.origin.host}:{self.origin.port}"
        if self.proxy is not None:
            where += f" by proxy {self.proxy.host}:{self.proxy.port}"
        try:
            async with asyncio.timeout(self._seconds_max):
                return await self._open(make)
        except TimeoutError:
            raise unreachable(self._vendor, f"{where}: no connection within {self._seconds_max} seconds") from None
        except ssl.SSLCertVerificationError as error:
            raise unreachable(self._vendor, f"{where}: certificate verification failed: {error.verify_message}") from error
        except OSError as error:
            raise unreachable(self._vendor, f"{where}: {in_words(error)}") from error

    async def _open(self, make: Callable[[], PoolConnection]) -> PoolConnection:
        transport, connection = await self._connect(make)
        if not self.origin.secure:
            return connection
        try:
            if self.proxy is not None:
                await self._tunnel(transport, self.proxy)
            await self._secure(transport, connection)
        except BaseException:
            transport.abort()
            raise
        return connection

    async def _connect(self, make: Callable[[], PoolConnection]) -> tuple[asyncio.Transport, PoolConnection]:
        """Try the addresses of the peer in order. Each gets an equal share of the time left, so a silent one does not use it up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds_max
        host, port = self._peer.host, self._peer.port
        addresses = (host,) if is_ip_literal(host) else await self._names.addresses(host)
        failure: OSError = OSError("the name has no address")
        for tried, address in enumerate(addresses):
            try:
                async with asyncio.timeout((deadline - loop.time()) / (len(addresses) - tried)):
                    return await self._connect_to(address, port, make)
            except OSError as error:
                failure = error
        self._names.doubt(host)
        raise failure

    async def _connect_to(self, address: str, port: int, make: Callable[[], PoolConnection]) -> tuple[asyncio.Transport, PoolConnection]:
        loop = asyncio.get_running_loop()
        opened = vendor_socket(address, self._settings.receive_buffer_bytes)
        try:
            await loop.sock_connect(opened, (address, port))
            transport, connection = await loop.create_connection(make, sock=opened)
        except BaseException:
            opened.close()
            raise
        connection.socket = opened
        return transport, connection

    async def _tunnel(self, transport: asyncio.Transport, proxy: Proxy) -> None:
        tunnel = Tunnel()
        transport.set_protocol(tunnel)
        target = f"{bracketed(self.origin.host)}:{self.origin.port}"
        authorization = f"proxy-authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
        transport.write(f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n{authorization}\r\n".encode("ascii"))
        await tunnel.opened

    async def _secure(self, transport: asyncio.Transport, connection: PoolConnection) -> None:
        secured = await asyncio.get_running_loop().start_tls(
            transport, connection, self._tls, server_hostname=self.origin.host, ssl_handshake_timeout=self._seconds_max
        )
        if secured is None:
            raise ConnectionError("the connection was lost in the TLS handshake")
        between = read_little(transport)
        if between is not None:
            between.decrypted_by(secured)
        connection.connection_made(secured)  # start_tls itself tells the protocol nothing

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        if self._settings.ca_file is None and self._settings.verify_tls:
            return usual_tls()
        context = new_tls()
        if self._settings.ca_file is not None:
            context.load_verify_locations(self._settings.ca_file)
        if not self._settings.verify_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def new_tls() -> ssl.SSLContext:
    """Return what checks certificates by the authorities of this machine."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


usual_tls = cache(new_tls)  # one for all who want no more: reading the authorities takes ten milliseconds
