"""What a turn of the loop has to send goes at its end: what may wait, what may not, and that nothing overtakes or outlives anything."""

from __future__ import annotations

import asyncio
import socket

import pytest

from aisa.http.delivery import Delivery, Sweep
from aisa.http.exchange import Intake
from aisa.http.outbox import POSTED_BYTES_MAX, Outbox
from aisa.http.pool_connection import PoolConnection
from aisa.http.server import Reply, Request
from aisa.testing.clock import run_virtual
from aisa.timers import Timers
from http_server_rig import Run, Wire, arrive, both_loops, get, kernel_time, serving, until, wired
from test_http_client_flow import RecordingOwner, RecordingTransport


class Stuck(Wire):
    """A transport whose kernel takes nothing, or that is closing."""

    closing = False
    waiting = 0

    def is_closing(self) -> bool:
        """As it was set."""
        return self.closing

    def get_write_buffer_size(self) -> int:
        """As it was set, once anything was written."""
        return self.waiting if self.written else 0


def test_everything_that_is_ready_runs_before_what_was_posted_is_sent() -> None:
    """Two documents of one turn leave together and in order, behind all that was ready to run with them."""

    async def scenario() -> None:
        seen: list[str] = []
        loop, outbox = asyncio.get_running_loop(), Outbox()
        loop.call_soon(outbox.add, lambda: seen.append("first sent"))
        loop.call_soon(seen.append, "another call")
        loop.call_soon(outbox.add, lambda: seen.append("second sent"))
        loop.call_soon(seen.append, "and another")
        await asyncio.sleep(0)
        assert seen == ["another call", "and another"]
        await asyncio.sleep(0)
        assert seen == ["another call", "and another", "first sent", "second sent"]
        outbox.add(lambda: outbox.add(lambda: seen.append("a turn later")))
        await asyncio.sleep(0)
        assert seen[-1] == "second sent"
        await asyncio.sleep(0)
        assert seen[-1] == "a turn later"

    run_virtual(scenario())


def test_a_stream_that_is_all_there_leaves_with_its_end_in_one_message() -> None:
    """Of a corked reply nothing has left before its end, and all of it leaves at once; one that was begun before goes on as it was."""

    async def scenario() -> None:
        ended = 0

        async def script(request: Request, reply: Reply) -> None:
            nonlocal ended
            begun = request.path == "/begun"
            before = len(wire.written)
            if begun:
                reply.start(200, [], None)
                reply.write(b": early")
            reply.cork()
            if not begun:
                reply.start(200, [], None)
            end = reply.write(b"event")
            assert (reply.bytes_taken() >= end) is begun
            reply.end(b"last")
            assert (len(wire.written) == before) is not begun
            await asyncio.sleep(0)
            assert len(wire.written) == before + (3 if begun else 1)
            sent = b"".join(wire.written[before:])
            early = b"7\r\n: early\r\n" if begun else b""
            assert sent.endswith(b"\r\n\r\n" + early + b"5\r\nevent\r\n4\r\nlast\r\n0\r\n\r\n")
            assert reply.bytes_taken() >= end
            assert reply.bytes_sent == len(b"eventlast") + (len(b": early") if begun else 0)
            ended += 1

        connection, wire, app = wired(script)
        for number, path in enumerate(["/whole", "/begun"], 1):
            arrive(connection, get(path))
            for _ in range(4):
                await asyncio.sleep(0)
            assert len(app.requests) == ended == number
        connection.connection_lost(None)

    run_virtual(scenario())


def test_a_document_waits_for_the_end_of_the_turn_and_a_streams_event_does_not() -> None:
    """What a stream sends has left when it is counted as having left, so that a death never makes a bill too large."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            if request.path == "/stream":
                reply.start(200, [], None)
                reply.write(b"event")
                assert wire.written[-1].endswith(b"event\r\n")
                reply.end(b"last")
                assert wire.written[-1].endswith(b"last\r\n0\r\n\r\n")
            else:
                size = int(request.path[1:])
                reply.start(200, [], size)
                before = len(wire.written)
                reply.end(b"d" * size)
                assert (len(wire.written) == before) is (0 < size <= POSTED_BYTES_MAX)

        connection, wire, app = wired(script)
        for number, path in enumerate(["/stream", "/3", f"/{POSTED_BYTES_MAX}", f"/{POSTED_BYTES_MAX + 1}", "/0"], 1):
            arrive(connection, get(path))
            for _ in range(4):
                await asyncio.sleep(0)
            assert len(app.requests) == number
            assert b"".join(wire.written).count(b"HTTP/1.1 200 OK") == number
        connection.connection_lost(None)

    run_virtual(scenario())


def test_what_is_written_goes_behind_what_was_posted() -> None:
    """Answers leave in the order of their requests, though the first could have waited and the second could not."""

    async def scenario() -> None:
        wire = Wire()
        out = Delivery(wire, Sweep(Timers()), Outbox())
        taken: list[int] = []
        out.post(b"document ")
        out.when_taken(lambda: taken.append(out.taken()))
        assert (out.bytes_written, out.taken(), wire.written, taken) == (9, 0, [], [])
        out.post(b"another ")
        out.write(b"event")
        assert (wire.written, out.taken(), taken) == ([b"document another ", b"event"], 22, [17])
        await asyncio.sleep(0)
        assert len(wire.written) == 2
        out.post(b"!")
        await asyncio.sleep(0)
        assert (wire.written[2:], out.taken(), taken) == ([b"!"], 23, [17])

    run_virtual(scenario())


@pytest.mark.parametrize("waiting", [0, 4])
def test_whoever_waits_until_all_has_left_is_told_at_once_or_never(waiting: int) -> None:
    """A document that the kernel does not take in one go stays free should this process die: it is not known when it has left."""

    async def scenario() -> None:
        wire = Stuck()
        wire.waiting = waiting
        out = Delivery(wire, Sweep(Timers()), Outbox())
        told: list[str] = []
        out.post(b"document")
        out.when_taken(lambda: told.append("posted"))
        await asyncio.sleep(0)
        assert told == ([] if waiting else ["posted"])
        out.when_taken(lambda: told.append("written"))
        assert told == ([] if waiting else ["posted", "written"])
        assert out.taken() == 8 - waiting

    run_virtual(scenario())


@pytest.mark.parametrize("closing", [False, True])
def test_what_was_posted_to_a_client_that_left_is_never_delivered(closing: bool) -> None:
    """It counts as written and not as taken, nobody is told that it left, and the bill hears that the client does not have it."""

    async def scenario() -> None:
        wire = Stuck()
        out = Delivery(wire, Sweep(Timers()), Outbox())
        told: list[object] = []
        out.post(b"document")
        out.when_taken(lambda: told.append("taken"))
        out.tell(told.append)
        wire.closing = closing
        if not closing:
            out.lost(unfinished=False)
        await asyncio.sleep(0)
        if closing:
            out.lost(unfinished=False)
        assert (wire.written, told, out.delivered() < out.bytes_written) == ([], [False], True)

    run_virtual(scenario())


@both_loops
@pytest.mark.parametrize("last", ["connection: close\r\n", ""])
def test_a_client_that_says_no_more_gets_all_its_answers(run: Run, last: str) -> None:
    """Pipelined requests and a FIN in one packet: every answer arrives whole before the connection ends."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [], 4)
            reply.end(request.path.encode()[:4])

        async with serving(script) as served:
            client = await served.connect()
            client.send(get("/one") + get("/two") + get("/end", last))
            client.half_close()
            assert [(await client.answer()).body for _ in range(3)] == [b"/one", b"/two", b"/end"]
            assert await client.rest() == b""
            assert served.complaints == []

    run(scenario())


@both_loops
def test_a_client_that_does_not_read_its_documents_is_not_asked_for_more(run: Run) -> None:
    """The kernel's refusal is seen a turn later than it would be, so one answer more is held, and not any number."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [], 16_384)
            reply.end(b"d" * 16_384)

        async with serving(script) as served:
            client = await served.connect_bare(receive_buffer_bytes=4096)
            await client.send(get() * 60)
            await until(lambda: served.app.requests)
            await kernel_time()
            assert len(served.app.requests) < 20
            answers = b""
            while answers.count(b"HTTP/1.1 200 OK") < 60:
                answers += await client.read()
            assert len(served.app.requests) == 60

    run(scenario())


def test_a_request_that_was_cancelled_in_its_turn_is_never_sent() -> None:
    """The vendor does not begin what nobody waits for; the connection is not kept, for it could not be told from one that has begun."""

    async def scenario() -> None:
        near, far = socket.socketpair()
        transport, owner = RecordingTransport(near), RecordingOwner()
        connection = PoolConnection(owner, Intake(64), Outbox(), timers=Timers())
        connection.connection_made(transport)
        exchange = connection.start(b"head", b"body", vendor="local", answer_bytes_max=1)
        exchange.close()
        assert owner.released == [False]
        transport.is_closing = lambda: True  # type: ignore[method-assign] # the owner has aborted it
        await asyncio.sleep(0)
        assert transport.writes == []
        near.close()
        far.close()

    run_virtual(scenario())
