"""What is read of a connection over TLS, both of a client and to a vendor: how much at a time, and all of it before its end."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from aisa.config.schema import Vendor
from aisa.http.ciphertext import CIPHERTEXT_BYTES_MAX, EARLY_BYTES_MAX, Ciphertext, Decrypts
from aisa.http.connection import Connection
from aisa.http.pool import HttpUpstream
from aisa.http.server import Reply, Request, tls_context
from aisa.http.shared import READ_BYTES_MAX
from aisa.http.tls_listener import _Secured
from http_client_rig import Connection as Asked
from http_client_rig import FakeVendor, Run, both_loops, read_all
from http_client_rig import post as ask
from http_server_rig import get, pem, serving, trusting, until
from test_tls_streams import Securing

__all__ = ["pem"]


class Closing:
    """A vendor that answers one request over TLS and closes at once, with a close_notify (`says_so`) or without one."""

    def __init__(self, pem: Path, answer: bytes, *, says_so: bool) -> None:
        self._context, self._answer, self._says_so = tls_context(str(pem), str(pem)), answer, says_so

    async def __call__(self, connection: Asked) -> None:
        """Serve the connection."""
        came, leaves = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._context.wrap_bio(came, leaves, server_side=True)
        asked = b""
        while not asked.endswith(b"{}"):
            try:
                asked += tls.read(65_536)
            except ssl.SSLWantReadError:
                connection.send(leaves.read())
                came.write(await connection.reader.read(65_536))
        tls.write(self._answer)
        if self._says_so:
            with pytest.raises(ssl.SSLWantReadError):
                tls.unwrap()
        connection.send(leaves.read())


async def turns() -> None:
    """Let all that is on its way arrive: both ends are in this loop."""
    for _ in range(200):
        await asyncio.sleep(0)


@both_loops
@pytest.mark.parametrize("says_so", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_vendor_over_tls_that_closes_behind_its_answer_is_read_to_its_end(run: Run, pem: Path, chunked: bool, says_so: bool) -> None:
    """[fault S9] Of whatever size the answer is, and whenever it is read: what TLS still had was forgotten when the end came."""

    async def scenario(size: int, *, late: bool) -> None:
        body = bytes(range(250)) * (size // 250)
        framed = b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        if not chunked:
            framed = b"content-length: %d\r\n\r\n%b" % (len(body), body)
        script = Closing(pem, b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n" + framed, says_so=says_so)
        async with FakeVendor(script).serving() as fake:
            upstream = HttpUpstream("v", Vendor(base_url=f"https://localhost:{fake.port}", ca_file=str(pem)), {})
            answer = await upstream.ask(ask())
            if late:
                await turns()  # all that fits has come, and maybe the end
            assert await read_all(answer) == body
            answer.close()
            await upstream.close()

    async def scenarios() -> None:
        for size in range(8_000, 72_000, 8_000):
            for late in (False, True):
                await scenario(size, late=late)

    run(scenarios())


@both_loops
def test_a_client_over_tls_makes_us_hold_little_of_what_we_do_not_read(run: Run, pem: Path) -> None:
    """[fault S1] It was 600 KiB of each connection, without a key: TLS had 256 KiB read at once, and as much again kept undecrypted."""
    asked = asyncio.Event()

    async def script(request: Request, reply: Reply) -> None:
        if request.path != "/first":
            await asked.wait()
        reply.start(200, [], 2)
        reply.write(b"ok")
        reply.end()

    async def scenario() -> None:
        async with serving(script, tls=tls_context(str(pem), str(pem))) as served:
            client = await served.connect(**trusting(pem))
            await client.ask(get("/first"))
            [connection] = served.server._shared.connections
            assert isinstance(connection, _Secured)
            transport, between = connection._transport, connection._plain.get_protocol()
            assert isinstance(between, Ciphertext)
            client.send(get() * 20_000)
            assert len(between.get_buffer(262_144)) == CIPHERTEXT_BYTES_MAX
            assert isinstance(transport, Decrypts)
            await until(lambda: transport.get_read_buffer_size() >= CIPHERTEXT_BYTES_MAX)
            await turns()
            assert transport.get_read_buffer_size() < 2 * CIPHERTEXT_BYTES_MAX
            asked.set()
            for _ in range(3):
                assert (await client.answer()).body == b"ok"
            client.reset()

    run(scenario())


@both_loops
def test_of_what_comes_right_behind_a_handshake_no_more_is_held(run: Run, pem: Path) -> None:
    """[fault S1] All that the kernel had was taken in, before there was a connection that could say that it wants no more."""
    asked = asyncio.Event()

    async def script(request: Request, reply: Reply) -> None:
        await asked.wait()
        reply.start(200, [], 2)
        reply.write(b"ok")
        reply.end()

    async def scenario() -> None:
        async with serving(script, tls=tls_context(str(pem), str(pem))) as served:
            client = Securing(await served.connect_bare(), pem)
            asking = asyncio.create_task(client.shake_hands(1 << 20, last=get() * 20_000))
            await until(lambda: served.app.requests)
            await turns()
            [connection] = served.server._shared.connections
            assert isinstance(connection, Connection)
            assert EARLY_BYTES_MAX / 2 < len(connection._pending) < READ_BYTES_MAX + EARLY_BYTES_MAX
            asked.set()
            asking.cancel()

    run(scenario())
