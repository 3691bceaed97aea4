"""How bytes flow between us and a vendor: joined, held back, let go. On real sockets; does not test what the bytes mean."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import sys
import termios

import pytest

from aisa.errors import UpstreamFailed
from aisa.http.exchange import RELEASE_SECONDS_MAX, Intake
from aisa.http.outbox import Outbox
from aisa.http.pool_connection import WRITE_BYTES_MAX, PoolConnection
from aisa.testing.clock import run_virtual
from aisa.timers import Timers
from http_client_rig import OK, STREAM_HEAD, Connection, Run, answering, both_loops, call, post, read_all, until, vendor

LARGE = bytes(range(256)) * 16_384  # 4 MiB


def kernel_unread_bytes(descriptor: int) -> int:
    """Return how much the kernel holds that a socket's owner has not read."""
    told = bytearray(4)
    fcntl.ioctl(descriptor, termios.FIONREAD, told)
    return int.from_bytes(told, sys.byteorder)


@both_loops
def test_a_burst_of_small_chunks_costs_few_reads(run: Run) -> None:
    """200 chunks that arrive together are handed over together."""

    async def scenario() -> None:
        async with vendor(answering(STREAM_HEAD + b"2\r\nok\r\n" * 200 + b"0\r\n\r\n")) as (_, upstream):
            answer = await upstream.ask(post())
            reads = []
            while data := await answer.read():
                reads.append(data)
            answer.close()
            assert (b"".join(reads), len(reads) <= 2) == (b"ok" * 200, True)

    run(scenario())


@both_loops
def test_a_vendor_is_not_read_faster_than_the_reader_reads(run: Run) -> None:
    """With nobody reading, 32 KiB and one arrival are held and the vendor is stopped; later everything arrives, in order."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            connection.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
            await connection.request()
            connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(LARGE) + LARGE)
            await connection.writer.drain()
            drained.set()

        drained = asyncio.Event()
        async with vendor(script) as (_, upstream):
            answer = await upstream.ask(post())
            for _ in range(200):
                await asyncio.sleep(0)
            assert not drained.is_set()
            first = await answer.read()
            assert len(first) <= 65_536
            assert first + await read_all(answer) == LARGE
            answer.close()

    run(scenario())


@both_loops
@pytest.mark.parametrize("asked_bytes", [16_384, 32_768])
def test_what_nobody_reads_of_a_stream_is_bounded_in_the_kernel_too(run: Run, asked_bytes: int) -> None:
    """[fault S9] Of the small events that a reader leaves, less than twice `receive_buffer_bytes` wait in the kernel."""

    async def scenario() -> None:
        event = b"fa\r\n" + b"data: " + b"x" * 242 + b"\n\n" + b"\r\n"

        async def script(connection: Connection) -> None:
            await connection.request()
            connection.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
            connection.send(STREAM_HEAD)
            while True:
                connection.send(event)
                await connection.writer.drain()

        async with vendor(script, receive_buffer_bytes=asked_bytes) as (_, upstream):
            answer = await upstream.ask(post())
            (connection,) = upstream._connections
            descriptor = connection._transport.get_extra_info("socket").fileno()
            unread, before = kernel_unread_bytes(descriptor), -1
            while unread != before:
                for _ in range(500):
                    await asyncio.sleep(0)
                unread, before = kernel_unread_bytes(descriptor), unread
            assert 0 < unread < asked_bytes * 2
            answer.close()

    run(scenario())


@both_loops
def test_a_large_body_reaches_a_vendor_who_reads_slowly(run: Run) -> None:
    """8 MiB of request arrive unchanged, and the connection is then kept."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            while True:
                bodies.append((await connection.request())[1])
                connection.send(OK)

        bodies: list[bytes] = []
        async with vendor(script) as (fake, upstream):
            for _ in range(2):
                assert await call(upstream, LARGE * 2) == (200, b"ok")
            assert (bodies == [LARGE * 2] * 2, len(fake.connections)) == (True, 1)

    run(scenario())


@both_loops
def test_a_refusal_may_come_before_the_request_is_fully_written(run: Run) -> None:
    """A 413 while we still write is returned at once; such a connection is not used again."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            await connection.reader.readuntil(b"\r\n\r\n")
            connection.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
            await over.wait()

        over = asyncio.Event()
        async with vendor(script) as (_, upstream):
            assert await call(upstream, LARGE * 4) == (413, b"no")
            assert repr(upstream) == "<HttpUpstream local 0 idle 0 in use>"
            over.set()

    run(scenario())


@both_loops
def test_a_vendor_that_breaks_off_while_we_send_is_unavailable(run: Run) -> None:
    """A RST in the middle of a large body fails that call only, and leaves nothing behind."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            await connection.reader.readuntil(b"\r\n\r\n")
            connection.reset()

        async with vendor(script) as (_, upstream):
            with pytest.raises(UpstreamFailed) as failure:
                await call(upstream, LARGE * 4)
            assert (failure.value.error.code, failure.value.may_repeat) == ("upstream_unavailable", False)
            assert repr(upstream) == "<HttpUpstream local 0 idle 0 in use>"

    run(scenario())


class RecordingOwner:
    """A pool that only notes what comes back to it."""

    def __init__(self) -> None:
        self.released: list[bool] = []

    def release(self, _: PoolConnection, *, reusable: bool) -> None:
        """Note whether the connection may be used again."""
        self.released.append(reusable)

    def lost(self, _: PoolConnection) -> None:
        """Do nothing."""


class RecordingTransport(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__({"socket": sock})
        self.writes: list[int] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Note how much is written."""
        self.writes.append(len(data))

    def get_write_buffer_size(self) -> int:
        """Say that all is sent."""
        return 0

    def is_closing(self) -> bool:
        """Say that it is open."""
        return False


def test_no_more_of_a_body_is_handed_over_while_the_transport_is_congested() -> None:
    """Head and first part go in one write; the next part waits for resume_writing, so that one part at most is held twice."""

    async def scenario() -> None:
        near, far = socket.socketpair()
        transport = RecordingTransport(near)
        connection = PoolConnection(RecordingOwner(), Intake(64), Outbox(), timers=Timers())
        connection.connection_made(transport)
        body = b"b" * (2 * WRITE_BYTES_MAX + 1)
        exchange = connection.start(b"head", body, vendor="local", answer_bytes_max=1)
        connection.pause_writing()
        task = asyncio.create_task(connection.send_rest(exchange, body))
        await asyncio.sleep(1)
        assert transport.writes == [4 + WRITE_BYTES_MAX]
        connection.resume_writing()
        await task
        assert transport.writes == [4 + WRITE_BYTES_MAX, WRITE_BYTES_MAX, 1]
        near.close()
        far.close()

    run_virtual(scenario())


def test_a_refusal_ends_the_sending_and_the_connection_is_not_kept() -> None:
    """After a status of 400 or more no further part of the body is written, and what follows on the connection would be taken for it."""

    async def scenario() -> None:
        near, far = socket.socketpair()
        transport, owner, intake = RecordingTransport(near), RecordingOwner(), Intake(64)
        connection = PoolConnection(owner, intake, Outbox(), timers=Timers())
        connection.connection_made(transport)
        body = b"b" * (3 * WRITE_BYTES_MAX)
        exchange = connection.start(b"", body, vendor="local", answer_bytes_max=1)
        refusal = b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n"
        connection.get_buffer(-1)[: len(refusal)] = refusal
        connection.buffer_updated(len(refusal))
        await connection.send_rest(exchange, body)
        exchange.close()
        assert (transport.writes, owner.released) == ([WRITE_BYTES_MAX], [False])
        near.close()
        far.close()

    run_virtual(scenario())


@both_loops
def test_small_writes_are_not_delayed(run: Run) -> None:
    """TCP_NODELAY is set on every connection."""

    async def scenario() -> None:
        async with vendor(answering(OK)) as (_, upstream):
            await call(upstream)
            (connection,) = upstream._connections
            assert connection._transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0

    run(scenario())


def test_a_released_answer_keeps_its_connection_if_the_end_follows_at_once() -> None:
    """Whoever has seen [DONE] need not wait for the last chunk: the pool does, for a quarter of a second."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            while True:
                await connection.request()
                connection.send(STREAM_HEAD + b"4\r\ndone\r\n")
                await asyncio.sleep(RELEASE_SECONDS_MAX / 2)
                connection.send(b"1\r\n\n\r\n0\r\n\r\n")

        async with vendor(script) as (fake, upstream):
            for _ in range(2):
                answer = await upstream.ask(post())
                assert await answer.read() == b"done"
                answer.release()
                answer.close()
                assert repr(upstream) == "<HttpUpstream local 0 idle 1 in use>"
                await asyncio.sleep(RELEASE_SECONDS_MAX)
                assert repr(upstream) == "<HttpUpstream local 1 idle 0 in use>"
            assert len(fake.connections) == 1

    run_virtual(scenario())


@pytest.mark.parametrize("more", [b"", b"2000\r\n" + b"a" * 0x2000 + b"\r\n", b"zz"], ids=["silence", "too much", "bad chunk"])
def test_a_released_answer_that_does_not_end_is_aborted(more: bytes) -> None:
    """After a quarter of a second without the end, or at once on much more data or bad framing, the connection is gone."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            await connection.request()
            connection.send(STREAM_HEAD + b"4\r\ndone\r\n")
            await asyncio.sleep(RELEASE_SECONDS_MAX / 2)
            connection.send(more)
            await connection.gone()

        async with vendor(script) as (fake, upstream):
            answer = await upstream.ask(post())
            await answer.read()
            answer.release()
            await asyncio.sleep(RELEASE_SECONDS_MAX * (0.75 if more else 1.25))
            assert repr(upstream) == "<HttpUpstream local 0 idle 0 in use>"
            await until(lambda: fake.connections[0].lost)

    run_virtual(scenario())


def test_an_answer_is_of_no_use_once_closed() -> None:
    """After close, which may be called twice, a read raises instead of returning another call's bytes."""

    async def scenario() -> None:
        async with vendor(answering(OK)) as (_, upstream):
            answer = await upstream.ask(post())
            answer.close()
            answer.close()
            answer.release()
            assert repr(upstream) == "<HttpUpstream local 1 idle 0 in use>"
            with pytest.raises(RuntimeError, match="closed"):
                await answer.read()

    run_virtual(scenario())
