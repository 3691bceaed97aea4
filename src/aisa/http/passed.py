"""Connections that another process of this server accepted and passes on: takes them off a channel and serves them. Listens on nothing.

Each arrives as one byte with a descriptor (SCM_RIGHTS). The channel's end means that there will be no more of them.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from aisa.http.acceptor import ACCEPTS_PER_TURN_MAX
from aisa.http.connection import CONNECTIONS_OVER_MAX, Connection
from aisa.http.proxied import ProxiedConnection, Proxies
from aisa.http.shared import OpenConnection, Shared
from aisa.http.tls_listener import Handshake, Handshakes


class PassedConnections:
    """Takes connections until the channel's end. `proxies` are who names clients, None if nobody does.

    `received` counts all that have come, `arriving` those of them that are not among the server's open ones yet; `ended` is called at the
    channel's end. The channel is closed with this.
    """

    def __init__(
        self,
        shared: Shared,
        channel: socket.socket,
        context: ssl.SSLContext | None,
        *,
        proxies: Proxies | None,
        ended: Callable[[], None],
    ) -> None:
        self._shared = shared
        self._channel = channel
        self.context = context  # of handshakes that begin from now on
        self._proxies = proxies
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._handshakes = Handshakes()
        self._opening: set[asyncio.Task[None]] = set()
        self._arriving: set[OpenConnection] = set()
        self.received = 0
        channel.setblocking(False)
        self._loop.add_reader(channel, self._receive)

    @property
    def arriving(self) -> int:
        """How many were received and are not open yet: who adds up what there is counts them too."""
        return len(self._arriving - self._shared.connections)

    def close(self) -> None:
        """Take no more. May be called twice."""
        if self._channel.fileno() >= 0:
            self._loop.remove_reader(self._channel)
            self._channel.close()

    def _receive(self) -> None:
        for _ in range(ACCEPTS_PER_TURN_MAX):
            try:
                byte, descriptors, _flags, _address = socket.recv_fds(self._channel, 1, 1)
            except BlockingIOError:
                return
            except OSError:
                byte, descriptors = b"", []
            if not byte:
                self.close()
                self._ended()
                return
            self.received += 1
            for descriptor in descriptors:  # none where this process has none to spare
                self._serve(socket.socket(fileno=descriptor))

    def _serve(self, accepted: socket.socket) -> None:
        shared = self._shared
        if len(shared.connections) >= shared.settings.connections_max + CONNECTIONS_OVER_MAX:
            accepted.close()
            return
        accepted.setblocking(False)
        shared.opened_at = self._loop.time()  # it is opened in a later turn, and may be the last
        if self.context is not None:
            Handshake(shared, accepted, self.context, proxies=self._proxies, handshakes=self._handshakes)
            return
        connection = Connection(shared) if self._proxies is None else ProxiedConnection(shared, self._proxies)
        self._arriving.add(connection)
        task = self._loop.create_task(self._open(connection, accepted))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, connection: Connection, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, accepted)
        except OSError:  # it has left already
            accepted.close()
        finally:
            self._arriving.discard(connection)
