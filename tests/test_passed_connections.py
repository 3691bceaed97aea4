"""Connections that another process passes on: each is counted, as arriving or as open, at every moment."""

from __future__ import annotations

import asyncio
import socket

from aisa.testing.clock import run_virtual
from http_server_rig import get, serving

CONNECTIONS = 5


def test_a_connection_that_is_passed_on_is_counted_from_its_arrival_on() -> None:
    """[issue 13] Uncounted between its arrival and its opening, it made its worker look idler than it was: that one got one too many."""

    async def scene() -> None:
        async with serving() as served:
            office, worker = socket.socketpair()
            passed = served.server.take_passed(worker, None, lambda: None)
            clients: list[socket.socket] = []
            listener = socket.create_server(("127.0.0.1", 0))
            for _ in range(CONNECTIONS):
                clients.append(socket.create_connection(listener.getsockname()))
                accepted, _address = listener.accept()
                with accepted:
                    socket.send_fds(office, [b"\0"], [accepted.fileno()])
            moments = set[tuple[int, int]]()
            while served.server.connections_count < CONNECTIONS:
                await asyncio.sleep(0)
                moments.add((passed.arriving, served.server.connections_count))
                assert passed.arriving + served.server.connections_count == passed.received
            assert any(arriving for arriving, _ in moments), "there is such a moment"
            assert passed.arriving == 0
            for client in clients:
                client.sendall(get())
                assert (await asyncio.to_thread(client.recv, 64)).startswith(b"HTTP/1.1 200")
                client.close()
            office.close()
            listener.close()

    run_virtual(scene())
