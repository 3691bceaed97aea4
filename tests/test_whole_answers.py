"""Whole answers that are no call's leave no faster than their clients take them: some need no key. Real sockets, virtual time."""

from __future__ import annotations

import asyncio
import socket

import pytest

from aisa.edge.pages import PART_BYTES, send_whole
from aisa.http.connection import Connection
from aisa.http.request import Request
from aisa.http.server import HttpServer, Reply
from aisa.http.stall import STALL_SECONDS_MAX
from aisa.testing.clock import run_virtual
from faults_rig import gateway, says
from http_server_rig import Client, Run, both_loops, get, kernel_time, serving, until

BODY = bytes(range(256)) * 2_000
LARGEST = "/openapi.json"  # of what is sent without a key


async def whole(_request: Request, reply: Reply) -> None:
    """Send a large answer."""
    await send_whole(reply, 200, [], body=BODY)


def waiting(server: HttpServer) -> int:
    """How much waits in this process for clients."""
    return sum([each._transport.get_write_buffer_size() for each in server._shared.connections if isinstance(each, Connection)])


def stopped(client: Client) -> Client:
    """A client that reads nothing."""
    client.writer.transport.pause_reading()
    return client


@both_loops
def test_a_client_that_reads_late_gets_all_of_it_and_holds_a_part(run: Run) -> None:
    """[fault S1] 20,000 clients without a key that read nothing held a copy of the whole document each."""

    async def scenario() -> None:
        async with serving(whole) as served:
            client = stopped(await served.connect(receive_buffer_bytes=4_096))
            client.send(get())
            await until(lambda: served.app.requests and waiting(served.server))
            assert waiting(served.server) <= PART_BYTES
            client.writer.transport.resume_reading()
            answer = await client.answer()
            assert (answer.body, answer.headers["content-length"]) == (BODY, str(len(BODY)))

    run(scenario())


def test_a_client_that_takes_none_of_it_is_cut() -> None:
    """After 300 s without a part being taken, as inside a stream."""

    async def scenario() -> None:
        async with serving(whole) as served:
            stopped(await served.connect(receive_buffer_bytes=4_096)).send(get())
            await kernel_time()
            await asyncio.sleep(STALL_SECONDS_MAX - 5)
            assert (served.server.connections_count, served.server.calls_count) == (1, 1)
            await asyncio.sleep(10)
            assert (served.server.connections_count, served.server.calls_count) == (0, 0)

    run_virtual(scenario())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_largest_page_without_a_key_is_sent_so(method: str) -> None:
    """[fault S1] A client that asks for it and reads nothing makes the server hold a part of it; of HEAD nothing is sent but the head."""

    async def scenario() -> None:
        async with gateway(says()) as home:
            end = socket.socket()
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            end.setblocking(False)
            await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", home.port))
            reader, writer = await asyncio.open_connection(sock=end)
            writer.transport.pause_reading()
            writer.write(f"{method} {LARGEST} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n".encode())
            await kernel_time()
            assert waiting(home.server) <= PART_BYTES
            writer.transport.resume_reading()
            head, _, document = (await reader.read(-1)).partition(b"\r\n\r\n")
            writer.close()
            length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
            assert length > 10 * PART_BYTES
            assert len(document) == (length if method == "GET" else 0)

    run_virtual(scenario())
