"""What clients over TLS make us hold and how they may behave: those that do not read, say much at once, cut their records or just go."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Protocol, cast

import pytest

from aisa.http.ciphertext import CIPHERTEXT_BYTES_MAX
from aisa.http.server import Reply, Request, tls_context
from aisa.http.tls_listener import _Secured
from http_server_rig import Bare, Run, both_loops, get, pem, post, serving, trusting, until

__all__ = ["pem"]

PIECE = b"x" * 24_576  # about what one read of a vendor brings at the most
SMALL = 4096  # of the client's receive buffer


class ReadLimited(Protocol):
    """What transports of TLS tell beyond asyncio's interface."""

    def get_read_buffer_size(self) -> int:
        """Return how much ciphertext was read that nobody has taken."""
        ...


class Securing:
    """The client's side of TLS on a bare connection: what it sends, and in which parts, is the test's to say."""

    def __init__(self, bare: Bare, pem: Path) -> None:
        self._bare = bare
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = trusting(pem)["ssl"]
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")

    async def shake_hands(self, part_bytes: int, *, last: bytes = b"") -> None:
        """Do it, in parts of that size; `last` are plain bytes that leave together with the end of it."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._send(part_bytes)
                self._in.write(await self._bare.read())
            else:
                break
        self._tls.write(last) if last else None
        await self._send(part_bytes)

    async def ask(self, data: bytes, part_bytes: int = 1 << 20) -> None:
        """Send plain bytes as one record or more, in parts of that size."""
        self._tls.write(data)
        await self._send(part_bytes)

    async def read_to(self, end: bytes) -> bytes:
        """Read up to and with `end`."""
        data = b""
        while not data.endswith(end):
            with suppress(ssl.SSLWantReadError):
                data += self._tls.read(65_536)
                continue
            piece = await self._bare.read()
            assert piece, "the server closed first"
            self._in.write(piece)
        return data

    async def say_goodbye(self) -> None:
        """Send a close_notify."""
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        await self._send(1 << 20)

    async def _send(self, part_bytes: int) -> None:
        data = self._out.read()
        for start in range(0, len(data), part_bytes):
            await self._bare.send(data[start : start + part_bytes])
            if part_bytes < len(data):
                await asyncio.sleep(0.001)


class Streaming:
    """A script that streams as much at a time as one read of a vendor brings, for as long as it is let."""

    def __init__(self, pieces: int = 1_000) -> None:
        self.pieces = pieces
        self.reply: Reply
        self.waiting_max = 0

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Stream."""
        self.reply = reply
        reply.start(200, [], None)
        for _ in range(self.pieces):
            reply.write(PIECE)
            self.waiting_max = max(self.waiting_max, reply.bytes_written - reply.bytes_taken())
            await reply.writable()
            assert reply.bytes_written == reply.bytes_taken() or reply.gone  # whoever may write again holds nothing
        reply.end()


@both_loops
def test_of_a_stream_that_is_not_read_one_write_waits_in_this_process_over_tls_too(run: Run, pem: Path) -> None:
    """It was as much as the transport under TLS takes before it says anything, 64 KiB, and the next. It goes on when it is read."""

    async def scenario() -> None:
        script = Streaming(40)
        async with serving(script, tls=tls_context(str(pem), str(pem))) as served:
            client = await served.connect(SMALL, **trusting(pem))
            client.send(get())
            await client.reader.readexactly(1_000)
            reading = cast("asyncio.Transport", client.writer.transport)
            reading.pause_reading()
            await until(lambda: script.reply.congested)
            assert 0 < script.reply.bytes_written - script.reply.bytes_taken() <= len(PIECE) + 16
            reading.resume_reading()
            data = b""
            while not data.endswith(b"\r\n0\r\n\r\n"):
                data += await client.reader.read(65_536)
            assert script.reply.ended
            assert script.waiting_max <= len(PIECE) + 300  # with the head
            assert not served.complaints

    run(scenario())


@both_loops
def test_what_is_written_while_the_client_does_not_read_arrives_in_order(run: Run, pem: Path) -> None:
    """Further writes wait behind the one that was refused, and the writer is let go only when all have left."""
    last = [b"%d" % number * 20_000 for number in range(9)]

    async def script(request: Request, reply: Reply) -> None:
        reply.start(200, [], 9 * 20_000)
        for piece in last:
            reply.write(piece)
        await reply.writable()
        assert reply.bytes_taken() == reply.bytes_written
        reply.end()

    async def scenario() -> None:
        async with serving(script, tls=tls_context(str(pem), str(pem))) as served:
            client = await served.connect(SMALL, **trusting(pem))
            for _ in range(2):
                answer = await client.ask(get())
                assert answer.body == b"".join(last)
            assert not served.complaints

    run(scenario())


@both_loops
@pytest.mark.parametrize("part_bytes", [1, 7, 1 << 20])
@pytest.mark.parametrize("size", [0, 3, 200_000])
def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered(run: Run, pem: Path, part_bytes: int, size: int) -> None:
    """In one packet with it or byte by byte, and be it larger than one read; the next one, too."""

    async def scenario() -> None:
        async with serving(tls=tls_context(str(pem), str(pem))) as served:
            for ask in (get(), post(b"a" * size)):
                client = Securing(await served.connect_bare(), pem)
                await client.shake_hands(part_bytes if size < 200_000 else max(part_bytes, 4_096), last=ask)
                assert (await client.read_to(b"}")).startswith(b"HTTP/1.1 200")
                await client.ask(get("/again"), part_bytes)
                assert (await client.read_to(b"}")).startswith(b"HTTP/1.1 200")
            assert not served.complaints

    run(scenario())


@both_loops
@pytest.mark.parametrize("how", ["close", "reset", "half close", "goodbye"])
@pytest.mark.parametrize("when", ["before the handshake", "after the handshake", "in the request", "in the answer"])
def test_a_client_over_tls_that_leaves_is_gone_however_it_goes(run: Run, pem: Path, how: str, when: str) -> None:
    """With a close_notify or without one; nothing stays open for it, no call goes on, and nobody is told of an error of ours."""

    async def script(request: Request, reply: Reply) -> None:
        reply.start(200, [], None)
        reply.write(b"begun")
        await asyncio.Event().wait()

    async def scenario() -> None:
        async with serving(script, tls=tls_context(str(pem), str(pem))) as served:
            bare = await served.connect_bare()
            client = Securing(bare, pem)
            if when != "before the handshake":
                await client.shake_hands(1 << 20)
            await until(lambda: served.server.connections_count == 1)
            if when == "in the request":
                await client.ask(post(b"half")[:-2])
            elif when == "in the answer":
                await client.ask(get())
                await client.read_to(b"begun\r\n")
            if how == "goodbye" and when != "before the handshake":
                await client.say_goodbye()
            {"close": bare.close, "reset": bare.reset, "half close": bare.half_close, "goodbye": bare.half_close}[how]()
            await until(lambda: served.server.connections_count == 0)
            assert (served.server.calls_count, served.complaints) == (0, [])

    run(scenario())


@both_loops
def test_what_is_read_of_a_client_over_tls_is_little_at_a_time(run: Run, pem: Path) -> None:
    """[fault S1] 256 KiB of ciphertext were read at once and as many kept unread: buffers of a megabyte, for the connection's life."""

    async def scenario() -> None:
        let_go = asyncio.Event()

        async def script(request: Request, reply: Reply) -> None:
            await let_go.wait()
            reply.start(200, [], 2)
            reply.end(b"ok")

        async with serving(script, tls=tls_context(str(pem), str(pem))) as served:
            client = await served.connect(**trusting(pem))
            client.send(get() + post(b"a" * 2_000_000))
            await until(lambda: served.app.requests)
            [connection] = served.server._shared.connections
            assert isinstance(connection, _Secured)
            await until(lambda: not connection._plain.is_reading())  # the second request waits until the first is answered
            unread = cast("ReadLimited", connection._transport).get_read_buffer_size()
            assert CIPHERTEXT_BYTES_MAX <= unread <= 2 * CIPHERTEXT_BYTES_MAX
            reads = cast("asyncio.BufferedProtocol", connection._plain.get_protocol())
            assert len(reads.get_buffer(65_536)) == CIPHERTEXT_BYTES_MAX
            let_go.set()
            assert [(await client.answer()).status for _ in range(2)] == [200, 200]
            assert (len(served.app.requests[1].body), served.complaints) == (2_000_000, [])

    run(scenario())
