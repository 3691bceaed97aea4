"""Clients that read slowly, stop reading, half-close or leave: what the HTTP server holds, whom it tells, and when."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import socket
import struct
import sys
from pathlib import Path

import pytest
import uvloop

from aisa.http.connection import Connection
from aisa.http.server import Reply, Request, tls_context
from aisa.http.shared import READ_BYTES_MAX
from aisa.http.sockets import SEGMENT_BYTES_MAX
from aisa.http.stall import STALL_SECONDS_MAX
from aisa.testing.clock import run_virtual
from aisa.wire.port import SERVER_CLOSES
from http_server_rig import (
    RESET,
    Client,
    Run,
    Served,
    arrive,
    both_loops,
    echo,
    forever,
    get,
    kernel_time,
    pem,
    post,
    serving,
    trusting,
    until,
    wired,
)

__all__ = ["pem"]

SSE = [("content-type", "text/event-stream; charset=utf-8")]
PROBE = b": keep-alive\n\n"
SIOCOUTQNSD = 0x894B  # bytes in the send queue that were never sent, on Linux
KIB = b"x" * 1024


class Leaving:
    """A script that begins an answer, waits for ever and notes when and how it was told to stop."""

    def __init__(self, begin: str) -> None:
        self._begin = begin
        self.told: list[tuple[float, bool, bool]] = []
        self.reply: Reply

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Begin as named: nothing, the head and an event of a stream, or half of a body."""
        self.reply = reply
        if self._begin == "stream":
            reply.start(200, SSE, None, probe=PROBE)
            reply.write(b"data: 1\n\n")
        elif self._begin == "body":
            reply.start(200, [], 100)
            reply.write(b"half")
        for wait_seconds in (1e6, 0.2):
            try:
                await asyncio.sleep(wait_seconds)
            except asyncio.CancelledError as ending:
                self.told.append((asyncio.get_running_loop().time(), reply.gone, ending.args == (SERVER_CLOSES,)))


def patience(limit_seconds: float) -> float:
    """The limit in virtual time; on uvloop, where a busy machine adds to it, a second."""
    return limit_seconds if isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop) else 1.0


@both_loops
@pytest.mark.parametrize(
    ("begin", "how"), [("nothing", "close"), ("stream", "close"), ("nothing", "reset"), ("stream", "reset"), ("body", "reset")]
)
def test_a_client_that_leaves_is_noticed_within_a_tenth_of_a_second(run: Run, begin: str, how: str) -> None:
    """The call is cancelled once, with `gone` True, whether the client closes or resets, before the head or within the body."""

    async def scenario() -> None:
        script = Leaving(begin)
        async with serving(script) as served:
            client = await served.connect()
            client.send(get())
            if begin != "nothing":
                await client.reader.readuntil(b"1\n\n\r\n" if begin == "stream" else b"half")
            await until(lambda: served.server.calls_count)
            left = asyncio.get_running_loop().time()
            getattr(client, how)()
            await until(lambda: script.told)
            await until(lambda: not served.server.calls_count)
            ((told, gone, closing),) = script.told
            assert (told - left <= patience(0.1), gone, closing) == (True, True, False)
            assert served.server.connections_count == 0

    run(scenario())


def test_a_client_that_leaves_over_tls_or_a_unix_socket_is_noticed_by_its_end_of_file(pem: Path, tmp_path: Path) -> None:
    """Where the kernel does not tell of resets, the end of file counts as leaving."""

    async def scenario() -> None:
        script = Leaving("nothing")
        async with serving(script, tls=tls_context(str(pem), str(pem))) as served:
            await served.server.listen_unix(str(tmp_path / "socket"))
            over_unix = Client(*await asyncio.open_unix_connection(str(tmp_path / "socket")))
            over_tls = await served.connect(**trusting(pem))
            for number, (client, leave) in enumerate([(over_tls, over_tls.close), (over_unix, over_unix.half_close)]):
                client.send(get())
                await until(lambda: served.server.calls_count)
                left = asyncio.get_running_loop().time()
                leave()
                await until(lambda number=number: len(script.told) == number + 1)
                told, gone, _ = script.told[number]
                assert (told - left <= 0.1, gone) == (True, True)
                await until(lambda: not served.server.calls_count)
            over_unix.close()
            await over_unix.writer.wait_closed()

    run_virtual(scenario())


def test_a_client_that_closed_in_the_middle_of_a_body_is_noticed_at_the_next_write() -> None:
    """The write is answered by a reset, which is looked for every five seconds although nothing is read any more."""

    async def scenario() -> None:
        script = Leaving("body")
        async with serving(script) as served:
            client = await served.connect()
            client.send(get())
            await client.reader.readuntil(b"half")
            client.close()
            await asyncio.sleep(30)
            assert script.told == []
            wrote = asyncio.get_running_loop().time()
            script.reply.write(b"more")
            await until(lambda: script.told)
            assert script.told[0][0] - wrote <= 5.1

    run_virtual(scenario())


@both_loops
def test_a_half_closed_client_gets_its_whole_answer(run: Run) -> None:
    """Who says that it sends no more and keeps reading is not gone: it gets an interim reply, then the answer, then the end."""

    async def scenario() -> None:
        release = asyncio.Event()

        async def script(request: Request, reply: Reply) -> None:
            await release.wait()
            await echo(request, reply)

        async with serving(script) as served:
            client = await served.connect()
            client.send(get("/1") + get("/2") + get("/3")[:-3])
            client.half_close()
            assert (await client.answer()).status == 100
            release.set()
            assert [(await client.answer()).json["path"] for _ in range(2)] == ["/1", "/2"]
            assert await client.rest() == b""
            assert len(served.app.requests) == 2

    run(scenario())


@both_loops
def test_a_half_closed_reader_of_events_gets_a_comment_and_then_the_rest(run: Run) -> None:
    """The probe inside a stream of events is a comment in a chunk of its own; later events follow and the body ends properly."""

    async def scenario() -> None:
        release = asyncio.Event()

        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, SSE, None, probe=PROBE)
            reply.write(b"data: 1\n\n")
            await release.wait()
            reply.write(b"data: 2\n\n")
            reply.end()

        async with serving(script) as served:
            client = await served.connect()
            client.send(get())
            await client.reader.readuntil(b"\r\n\r\n9\r\ndata: 1\n\n\r\n")
            client.half_close()
            assert await client.reader.readuntil(b"\n\n\r\n") == b"e\r\n: keep-alive\n\n\r\n"
            release.set()
            assert await client.rest() == b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"
            assert not served.complaints

    run(scenario())


@both_loops
@pytest.mark.parametrize("begin", ["", "stream", "body"])
@pytest.mark.parametrize("how", ["half_close", "close"])
def test_of_http_1_0_an_end_of_file_is_a_leaving(run: Run, begin: str, how: str) -> None:
    """As proxies mean it that speak 1.0 to us: there is nothing to probe them with, and nothing would ever be noticed otherwise."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        script = Leaving(begin)
        async with serving(script) as served:
            client = await served.connect_bare()
            await client.send(b"GET / HTTP/1.0\r\n\r\n")
            await until(lambda: served.app.requests)
            await asyncio.sleep(0.05)
            began = loop.time()
            getattr(client, how)()
            await until(lambda: script.told)
            at, gone, closing = script.told[0]
            assert (gone, closing, at - began < patience(0.1)) == (True, False, True)

    run(scenario())


@pytest.mark.parametrize("after_seconds", [0.4, 1.0, 3.0, 13.0, 63.0])
def test_a_half_closed_reader_that_leaves_later_is_noticed_by_the_next_comment(after_seconds: float) -> None:
    """A proxy passes the half-close on at once and closes later. Comments go out 0.5, 2 and 5 s after it and every 5 s from then on."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        script = Leaving("stream")
        async with serving(script) as served:
            client = await served.connect_bare()
            await client.send(get())
            await client.read_until(b"data: 1\n\n\r\n")
            half_closed = loop.time()
            client.half_close()
            await until(lambda: client.bytes_had() > client.bytes_read)
            await asyncio.sleep(half_closed + after_seconds - loop.time())
            comments = (await client.read()).count(b": keep-alive")
            due = [0.0, 0.5, 2.0, *range(5, 100, 5)]
            assert comments == sum(moment <= after_seconds for moment in due)
            client.close()
            await until(lambda: script.told)
            next_probe = half_closed + next(moment for moment in due if moment > after_seconds)
            assert script.told[0][0] - next_probe < 0.15

    run_virtual(scenario())


@pytest.mark.parametrize("begin", ["", "body"])
def test_a_half_closed_client_is_probed_once_where_no_comment_can_be_sent(begin: str) -> None:
    """One interim response before the head, as there are proxies that break at a second; nothing inside a document."""

    async def scenario() -> None:
        async with serving(Leaving(begin)) as served:
            client = await served.connect_bare()
            await client.send(get())
            await until(lambda: served.app.requests)
            client.half_close()
            await asyncio.sleep(100)
            received = await client.read()
            assert received.count(b"HTTP/1.1 100 Continue") == (0 if begin else 1)
            assert received.count(b"HTTP/1.1") == 1

    run_virtual(scenario())


@both_loops
def test_a_client_that_leaves_without_asking_costs_nothing(run: Run) -> None:
    """An end of file before a request, or in the middle of one, just closes."""

    async def scenario() -> None:
        async with serving() as served:
            for data in (b"", get()[:-2], post(b"whole")[:-2]):
                client = await served.connect()
                client.send(data)
                client.half_close()
                assert await client.rest() == b""
            assert (served.app.requests, served.app.refused, served.server.connections_count) == ([], [], 0)

    run(scenario())


@both_loops
@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
def test_a_reader_that_stalls_holds_little_and_gets_everything_in_the_end(run: Run, pem: Path, secure: bool) -> None:
    """Writing stops soon after the client stops reading: little is in this process or unsent in the kernel; nothing is lost."""

    async def scenario() -> None:
        replies: list[Reply] = []

        async def script(request: Request, reply: Reply) -> None:
            replies.append(reply)
            reply.start(200, [], None)
            for _ in range(2_000):
                reply.write(KIB)
                await reply.writable()
            reply.end()

        tls = tls_context(str(pem), str(pem)) if secure else None
        async with serving(script, tls=tls) as served:
            client = await served.connect(receive_buffer_bytes=4096, **(trusting(pem) if secure else {}))
            client.writer.transport.pause_reading()
            client.send(get())
            await until(lambda: replies and replies[0].congested)
            stalled_at = await settled(replies[0])
            transport = transport_of(served)
            unsent = struct.unpack("i", fcntl.ioctl(transport.get_extra_info("socket").fileno(), SIOCOUTQNSD, b"\0\0\0\0"))[0]
            assert transport.get_write_buffer_size() <= 65_536
            assert (unsent <= 65_536, stalled_at < 400_000) == (True, True)
            client.writer.transport.resume_reading()
            answer = await client.answer()
            assert (len(answer.body), set(answer.chunks)) == (2_048_000, {1024})

    run(scenario())


async def settled(reply: Reply) -> int:
    """The body bytes sent, once no more follow."""
    sent = -1
    while sent != reply.bytes_sent or not reply.congested:
        sent = reply.bytes_sent
        await asyncio.sleep(0.1)
    return sent


def transport_of(served: Served) -> asyncio.Transport:
    """The server's end of the one connection there is."""
    (connection,) = served.server._shared.connections
    assert isinstance(connection, Connection)
    return connection._transport


def test_a_stalled_reader_that_leaves_wakes_who_waits_for_it() -> None:
    """`writable` ends when the client is gone, for a call that carries on after its cancellation too."""

    async def scenario() -> None:
        ended: list[str] = []

        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [], None)
            try:
                while True:
                    reply.write(KIB)
                    await reply.writable()
            except asyncio.CancelledError:
                await reply.writable()
                ended.append(f"gone {reply.gone}, congested {reply.congested}")
                raise

        async with serving(script) as served:
            client = await served.connect(receive_buffer_bytes=4096)
            client.writer.transport.pause_reading()
            client.send(get())
            await asyncio.sleep(5)
            client.reset()
            await until(lambda: ended)
            assert ended == ["gone True, congested False"]

    run_virtual(scenario())


@both_loops
def test_writing_to_a_client_that_has_gone_does_nothing(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """Neither an error nor a line of log per write, before the loop has noticed and after."""
    caplog.set_level(logging.DEBUG, "asyncio")

    async def scenario() -> None:
        told: list[str] = []

        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [], None)
            client.close()
            for _ in range(100):
                reply.write(KIB)
            if request.path == "/end":
                reply.end()
                told.append("ended")
                return
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                sent = reply.bytes_sent
                for _ in range(100):
                    reply.write(KIB)
                await reply.writable()
                reply.end()
                told.append(f"{reply.bytes_sent - sent} more")

        async with serving(script) as served:
            for number, path in enumerate(("/end", "/cancelled")):
                # A bare socket, because it is closed at once and not at the loop's next turn.
                client = socket.create_connection(served.address)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                client.sendall(get(path))
                await until(lambda number=number: len(told) > number and not served.server.connections_count)
            assert (told, served.complaints) == (["ended", "0 more"], [])

    run(scenario())
    assert [record.getMessage() for record in caplog.records if "selector" not in record.getMessage()] == []


def test_a_call_is_cancelled_once_although_its_client_leaves_while_the_server_stops() -> None:
    """A drain's cancellation is not followed by another for the client."""

    async def scenario() -> None:
        script = Leaving("stream")
        async with serving(script) as served:
            client = await served.connect()
            client.send(get())
            await until(lambda: served.server.calls_count)
            draining = asyncio.create_task(served.server.drain(1))
            await until(lambda: script.told)
            client.reset()
            await draining
            assert [(gone, closing) for _, gone, closing in script.told] == [(False, True)]
            await until(lambda: not served.server.calls_count)

    run_virtual(scenario())


def test_head_and_first_write_leave_in_one_piece_and_each_chunk_in_one() -> None:
    """Three writes and the end are four writes to the transport, the first with the head."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [], None)
            for piece in (b"a", b"b", b"c"):
                reply.write(piece)
            reply.end()

        connection, wire, _ = wired(script)
        arrive(connection, get())
        await asyncio.sleep(0)
        first, *others = wire.written
        assert (first.endswith(b"\r\n\r\n1\r\na\r\n"), others) == (True, [b"1\r\nb\r\n", b"1\r\nc\r\n", b"0\r\n\r\n"])
        connection.connection_lost(None)

    run_virtual(scenario())


def test_a_client_that_leaves_before_its_call_began_leaves_nothing_behind() -> None:
    """A task that is cancelled before its first step still gives its place back, and the app is never called."""

    async def scenario() -> None:
        connection, _, app = wired(forever)
        arrive(connection, get())
        shared = connection._shared
        assert len(shared.calls) == 1
        connection.connection_lost(None)
        await asyncio.sleep(0)
        assert (app.requests, shared.calls, shared.connections) == ([], {}, set())

    run_virtual(scenario())


def test_at_most_64_kib_of_pipelined_requests_are_held() -> None:
    """While a call runs the client is read until exactly that much is waiting; then reading stops until the call has ended."""

    async def scenario() -> None:
        release = asyncio.Event()

        async def script(request: Request, reply: Reply) -> None:
            await release.wait()
            await echo(request, reply)

        connection, wire, app = wired(script)
        arrive(connection, get())
        flood = get("/again") * 4_000
        taken = arrive(connection, flood[:1_000])
        while not wire.paused:
            taken += arrive(connection, flood[taken:])
        assert taken == READ_BYTES_MAX
        release.set()
        await until(lambda: not wire.paused)
        while taken < len(flood):
            taken += arrive(connection, flood[taken:])
            await asyncio.sleep(1)
        assert [request.path for request in app.requests] == ["/"] + ["/again"] * 4_000
        connection.connection_lost(None)

    run_virtual(scenario())


def test_a_client_that_floods_and_leaves_is_noticed_although_nothing_is_read() -> None:
    """While reading is paused a reset is looked for."""

    async def scenario() -> None:
        script = Leaving("stream")
        async with serving(script) as served:
            client = await served.connect()
            client.send(get() * 100_000)
            await asyncio.sleep(1)
            client.reset()
            left = asyncio.get_running_loop().time()
            await until(lambda: script.told)
            assert script.told[0][0] - left <= 5.1

    run_virtual(scenario())


def test_a_client_that_pipelines_and_never_reads_gets_no_further_call() -> None:
    """The next request waits until the reply before it has left this process; after 300 s without progress the client is cut."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [], 1_000_000)
            reply.write(b"x" * 1_000_000)
            reply.end()

        async with serving(script) as served:
            client = await served.connect(receive_buffer_bytes=4096)
            client.writer.transport.pause_reading()
            client.send(get() * 100)
            await kernel_time()
            await asyncio.sleep(STALL_SECONDS_MAX - 5)
            assert (len(served.app.requests), served.server.connections_count) == (1, 1)
            await asyncio.sleep(10)
            assert (len(served.app.requests), served.server.connections_count) == (1, 0)

    run_virtual(scenario())


@both_loops
def test_a_client_that_pipelines_and_reads_late_gets_every_reply(run: Run) -> None:
    """When a large reply has left this process, the request behind it gets its turn."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [], 1_000_000)
            reply.write(b"x" * 1_000_000)
            reply.end()

        async with serving(script) as served:
            client = await served.connect(receive_buffer_bytes=4096)
            client.writer.transport.pause_reading()
            client.send(get() * 3)
            await until(lambda: served.app.requests and not served.server.calls_count)
            client.writer.transport.resume_reading()
            assert [len((await client.answer()).body) for _ in range(3)] == [1_000_000] * 3

    run(scenario())


def test_a_finished_reply_waits_for_a_slow_reader_as_long_as_it_reads() -> None:
    """With some progress in every 300 s a closing connection is kept until all is taken; without any it is cut."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [], 1_000_000)
            reply.write(b"x" * 1_000_000)
            reply.end()

        async with serving(script) as served:
            slow, stuck = [await served.connect(receive_buffer_bytes=4096) for _ in range(2)]
            for client in (slow, stuck):
                client.writer.transport.pause_reading()
                client.send(get("/", "connection: close\r\n"))
            received = 0
            for _ in range(6):
                await asyncio.sleep(STALL_SECONDS_MAX - 50)
                slow.writer.transport.resume_reading()
                received += len(await slow.reader.readexactly(100_000))
                slow.writer.transport.pause_reading()
            assert served.server.connections_count == 1
            slow.writer.transport.resume_reading()
            assert received + len(await slow.rest()) > 1_000_000

    run_virtual(scenario())


def test_an_idle_connection_is_not_cut_for_what_a_slow_reader_has_yet_to_read() -> None:
    """Bytes that the kernel has taken are the kernel's to deliver: closing an idle connection loses none of them."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [], 20_000)
            reply.write(b"x" * 20_000)
            reply.end()

        async with serving(script, keep_alive_timeout_seconds=1.0) as served:
            client = await served.connect(receive_buffer_bytes=4096)
            client.writer.transport.pause_reading()
            client.send(get())
            await asyncio.sleep(10)
            assert served.server.connections_count == 0
            client.writer.transport.resume_reading()
            assert (await client.rest()).endswith(b"x" * 20_000)

    run_virtual(scenario())


def test_a_document_does_not_crawl_to_a_reader_on_the_same_host() -> None:
    """[fault S8] 4 MB take tens of milliseconds and not two seconds, which they did while a segment was larger than our buffer.

    The reader's kernel had to wait with each acknowledgement then, for 40 ms, and so had we.
    """

    async def script(request: Request, reply: Reply) -> None:
        reply.start(200, [], 4 << 20)
        reply.write(bytes(2 << 20))
        await reply.writable()
        reply.end(bytes(2 << 20))

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with serving(script) as served:
            client = await served.connect_bare()
            seconds: list[float] = []
            for _ in range(3):
                began, read = loop.time(), client.bytes_read
                await client.send(get())
                while client.bytes_read < read + (4 << 20):
                    assert await client.read()
                seconds.append(loop.time() - began)
            told = client.end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            assert int.from_bytes(told[20:24], sys.byteorder) <= SEGMENT_BYTES_MAX
            assert min(seconds) < 1

    uvloop.run(scenario())


def test_the_kernel_still_takes_a_stalled_stream_into_account() -> None:
    """The send buffer of an accepted connection is the small one that the listener asked for."""

    async def scenario() -> None:
        async with serving(forever) as served:
            (await served.connect()).send(get())
            await until(lambda: served.server.calls_count)
            accepted = transport_of(served).get_extra_info("socket")
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 65_536

    run_virtual(scenario())
