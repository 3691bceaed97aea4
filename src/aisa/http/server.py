"""The HTTP/1.1 server that clients connect to: listens, counts, and goes away in order. Knows no route and no meaning of a request."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from aisa.clock import WallClock, wall_clock
from aisa.config.schema import Server
from aisa.errors import SHUTTING_DOWN, ApiError
from aisa.http.acceptor import ACCEPTS_PER_TURN_MAX
from aisa.http.connection import Connection
from aisa.http.passed import PassedConnections
from aisa.http.proxied import ProxiedConnection, Proxies
from aisa.http.reply import Reply
from aisa.http.request import Request
from aisa.http.shared import App, Shared, Verdict
from aisa.http.sockets import BACKLOG_CONNECTIONS_MAX, tcp_listener, unix_listener
from aisa.http.tls_listener import TlsListener
from aisa.timers import Timers
from aisa.wire.port import SERVER_CLOSES

__all__ = ["App", "HttpServer", "Reply", "Request", "Verdict", "tls_context"]

GRACE_SECONDS_MAX = 5.0  # for calls that were told to end: an error event and the settling of a bill take milliseconds
LAST_ASKED_SECONDS = 0.25  # for the request of a connection that came last: it is on its way, and a close would be a reset
ABORT_SECONDS_MAX = 0.1  # for the loop to report the cut connections


def tls_context(cert: str, key: str) -> ssl.SSLContext:
    """Return what a TLS listener needs, from PEM files. Raises OSError or ssl.SSLError if they cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # What every client since 2014 offers; and the ciphers whose records `delivery.py` knows the framing of.
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_RENEGOTIATION  # more bytes of a handshake would be taken for the answer's
    context.load_cert_chain(cert, key)
    return context


class HttpServer:
    """Serves `app` on any number of addresses. Belongs to the event loop that runs `listen`."""

    def __init__(self, app: App, settings: Server, *, now: WallClock = wall_clock, timers: Timers | None = None) -> None:
        self._settings = settings
        self._shared = Shared(app, settings, now, timers=timers or Timers())
        self._listeners: list[asyncio.AbstractServer | TlsListener | PassedConnections] = []
        self._addresses: list[str] = []
        self._unix_files: dict[str, os.stat_result] = {}  # by their paths, as we made them
        self._proxies: list[Proxies] = []

    @property
    def connections_count(self) -> int:
        """Connections that are open, idle or not."""
        return len(self._shared.connections)

    @property
    def settings(self) -> Server:
        """The settings that count now."""
        return self._settings

    @property
    def calls_count(self) -> int:
        """Calls whose task runs."""
        return len(self._shared.calls)

    def __repr__(self) -> str:
        state = "draining" if self._shared.draining else "serving"
        where = ", ".join(self._addresses) or "nowhere"
        return f"<HttpServer {state} on {where}: {self.connections_count} connections, {self.calls_count} calls>"

    async def listen(
        self, host: str, port: int, tls: ssl.SSLContext | None = None, *, handed: socket.socket | None = None
    ) -> tuple[str, int]:
        """Accept connections on an address, port 0 meaning any free one, and return it as bound. Raises OSError.

        A socket that was handed over is used instead: whoever has it too keeps the connections that wait there.
        """
        listener = handed or tcp_listener(host, port)
        proxies = self._known_proxies()
        if tls is None:
            # What asyncio takes for the backlog is also how often it tries to accept in one turn, and without file descriptors how often
            # it complains each second; so the true backlog is set afterwards.
            loop, shared = asyncio.get_running_loop(), self._shared
            made = partial(Connection, shared) if proxies is None else partial(ProxiedConnection, shared, proxies)
            self._listeners.append(await loop.create_server(made, sock=listener, backlog=ACCEPTS_PER_TURN_MAX))
            listener.listen(BACKLOG_CONNECTIONS_MAX)
        else:
            self._listeners.append(TlsListener(self._shared, listener, tls, proxies=proxies))
        bound: tuple[str, int] = listener.getsockname()[:2]
        self._addresses.append(f"{bound[0]}:{bound[1]}")
        return bound

    def take_passed(self, channel: socket.socket, tls: ssl.SSLContext | None, ended: Callable[[], None]) -> PassedConnections:
        """Serve the connections that another process passes on through a channel; `ended` is called when there will be no more."""
        passed = PassedConnections(self._shared, channel, tls, proxies=self._known_proxies(), ended=ended)
        self._listeners.append(passed)
        return passed

    def _known_proxies(self) -> Proxies | None:
        if self._settings.proxy_protocol == "off":
            return None
        self._proxies.append(Proxies(self._settings))
        return self._proxies[-1]

    async def listen_unix(self, path: str) -> None:
        """Accept connections on a unix socket, as a file of mode 0600. A stale socket file is replaced. Raises OSError."""
        listener = unix_listener(path)
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: Connection(self._shared), sock=listener, backlog=ACCEPTS_PER_TURN_MAX
        )
        listener.listen(BACKLOG_CONNECTIONS_MAX)
        self._listeners.append(server)
        self._addresses.append(path)
        self._unix_files[path] = os.stat(path)

    def configure(self, settings: Server, tls: ssl.SSLContext | None) -> None:
        """Let other settings hold for connections that come from now on, and this certificate where connections are secured.

        What is listened on, and whether proxies name clients, stays.
        """
        self._settings = self._shared.settings = settings
        for proxies in self._proxies:
            proxies.configure(settings)
        for listener in self._listeners:
            if isinstance(listener, TlsListener | PassedConnections) and tls is not None:
                listener.context = tls

    def keep_no_connections(self) -> None:
        """Begin to go away: go on accepting, but let each answer from now on be the last on its connection."""
        self._shared.draining = True

    async def drain(self, seconds: float) -> None:
        """Go away: accept no more, close what is idle, and let answers in flight finish for up to `seconds`.

        Calls that are left are then cancelled once, requests that are not whole yet refused, and both cut GRACE_SECONDS_MAX later.
        """
        shared = self._shared
        shared.draining = True
        for server in self._listeners:
            server.close()
        for path, ours in self._unix_files.items():
            with suppress(OSError):
                if os.path.samestat(os.stat(path), ours):  # else it is that of another server, in a folder that took the place of ours
                    os.unlink(path)
        last = 0.0 if shared.opened_at < 0 else shared.opened_at + LAST_ASKED_SECONDS - asyncio.get_running_loop().time()
        last = max(0.0, min(last, seconds))
        if last:
            await asyncio.sleep(last)
        shared.closed = True
        for connection in list(shared.connections):
            connection.close_if_idle()
        if await self._emptied(seconds - last):
            return
        for reply in list(shared.calls):
            shared.cancel(reply, SERVER_CLOSES)
        for connection in list(shared.connections):
            connection.close_if_idle(ApiError("overloaded", SHUTTING_DOWN))
        if await self._emptied(GRACE_SECONDS_MAX):
            return
        for connection in list(shared.connections):
            connection.abort()
        await self._emptied(ABORT_SECONDS_MAX)

    async def _emptied(self, seconds: float) -> bool:
        """Wait until no connection and no call is left; False if that takes longer."""
        shared = self._shared
        empty: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def look() -> None:
            if not shared.connections and not shared.calls and not empty.done():
                empty.set_result(None)

        shared.on_less = look
        look()
        await asyncio.wait([empty], timeout=seconds)
        shared.on_less = None
        return empty.done()
